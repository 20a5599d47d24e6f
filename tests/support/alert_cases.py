"""Every alert in three acts (see ``promtool``), and what must not sound although it looks like it."""

from tests.support.promtool import Before, Case, Clock, Counter, Gauge, Silence, always, steadily

CHAT = {"service": "chat"}
ENGINE = {"service": "chat", "node": "n1", "engine": "e0"}
GPU = {"node": "n1", "gpu": "0", "mig": ""}
SCRAPED = {"job": "burstwatch-worker", "instance": "w1:9464"}
CAPTURE = {"job": "burstwatch-capture", "instance": "c1:9465"}
PAGE, TICKET = "LLMFailureBudgetBurnsFast", "LLMFailureBudgetBurns"
BURN = "service:burstwatch_failure_burn:rate"
HOUR = 240  # in steps of 15 s
HOUR_S = 3600


def series(metric: str, labels: dict[str, str] | None = None, **more: str) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in {**(labels or {}), **more}.items())
    return (
        f"{metric}{{{inside}}}"
        if metric in {"up", "scrape_samples_post_metric_relabeling"}
        else (f"burstwatch_{metric}{{{inside}}}")
    )


def total(metric: str, window: str) -> str:
    return series(metric, CHAT, model="all", log_type="all", window=window)


def ended(outcome: str) -> str:
    return series("completions_total", CHAT, model="m", log_type="API log", outcome=outcome)


def traffic(step_s: int, ratio: float, under: float, *, rate: float = 10.0, prelude: float = 0) -> dict:
    """Requests that end, ``ratio`` of them failed in trouble, and the budget of 1 %."""
    ended_in_step = rate * step_s
    failed = Counter(0, ended_in_step * ratio, ended_in_step * under, ended_in_step * prelude)
    rest = [ended_in_step - part for part in (0, failed.trouble, failed.under, failed.prelude)]
    return {
        ended("ok"): Counter(*rest),
        ended("failed"): failed,
        series("failures_total", CHAT, model="m", log_type="API log", reason="overloaded"): failed,
        series("failure_budget_ratio", CHAT): always(0.01),
    }


EPISODE = series("failure_active", CHAT)


def bursty(cv: Gauge, upper: Gauge, rate: float = 0.26, covered: float = 1200) -> dict:
    return {
        total("interarrival_cv", "20m"): cv,
        total("gamma_shape_upper", "20m"): upper,
        total("request_rate", "20m"): always(rate),
        total("window_covered_seconds", "20m"): always(covered),
    }


def counted(name: str, metric: str, labels: dict[str, str], what: str = "", summary: str = "") -> list[Case]:
    """What is counted by series that appear with the first thing they count: it is told once, and again."""
    there = {series("partitions_owned", SCRAPED): always(8)}
    once, again = {metric: Gauge(None, 1, None), **there}, {metric: Counter(0, 1, 0)}
    return [
        Case(name, once, labels, steps=(90, 80, 150), why=f"{what} even once".strip(), summary=summary),
        Case(name, again, labels, steps=(90, 80, 150), why=f"{what} again".strip()),
    ]


SERVICES = [
    Case(
        "LLMBurstActive",
        {series("burst_active", CHAT): Gauge(0, 1, 0), series("burst_rate", CHAT): Gauge(5, 42, 42)},
        CHAT,
        summary="A burst of requests to chat: 42 requests/s",
    ),
    Case(
        "LLMTrafficBursty",
        bursty(Gauge(1, 1.58, 1.42), Gauge(1.1, 0.5, 0.5)),
        CHAT,
        steps=(20, HOUR, HOUR),
        why="by its CV",
        summary="Traffic of chat stays bursty: CV of gaps 1.6 over 20 min",
    ),
    Case(
        "LLMTrafficBursty",
        bursty(Gauge(1, 1.8, 1.8), Gauge(1.1, 0.95, 1.05)),
        CHAT,
        steps=(20, HOUR, HOUR),
        why="and not by chance",
    ),
    Case(
        "LLMFailureEpisode",
        {
            series("failure_active", CHAT): Gauge(0, 1, 0),
            series("failure_burn_rate", CHAT, window="1m"): Gauge(0, 19.73, 19.73),
            series("failure_burn_rate", CHAT, window="1h"): Gauge(0, 2, 2),
        },
        CHAT,
        summary="Requests to chat fail, up to 20 times what its budget allows",
    ),
    *(
        Case(name, {EPISODE: Before(), **shown} if "after" in why else shown, CHAT, steps, prelude, step_s, why=why)
        for name, why, step_s, steps, prelude, shown in [
            (PAGE, "in an hour", 60, (360, 41, 120), 0, traffic(60, 0.22, 0.206)),
            (PAGE, "in an hour and still", 60, (360, 40, 120), 18, traffic(60, 0.148, 0.14, prelude=0.4)),
            (PAGE, "by ten failures in an hour", 60, (360, 65, 120), 0, traffic(60, 0.206, 0.194, rate=50 / HOUR_S)),
            (PAGE, "in six hours", 120, (180, 84, 60), 0, traffic(120, 0.135, 0.125)),
            (PAGE, "in six hours and still", 120, (180, 120, 60), 60, traffic(120, 0.062, 0.058, prelude=0.12)),
            (PAGE, "by ten failures in six", 120, (10, 200, 60), 0, traffic(120, 0.515, 0.485, rate=20 / (6 * HOUR_S))),
            (PAGE, "thin, after an episode", 60, (360, 60, 120), 10, traffic(60, 0.16, 0.1, prelude=1)),
            (PAGE, "thin and for long, after an episode", 120, (180, 40, 120), 10, traffic(120, 0.08, 0.05, prelude=1)),
            (TICKET, "in three days", 900, (288, 100, 96), 0, traffic(900, 0.03, 0.0282)),
            (TICKET, "in three days and still", 900, (288, 160, 96), 48, traffic(900, 0.0104, 0.0098, prelude=0.05)),
            (TICKET, "by ten failures", 900, (2, 300, 96), 0, traffic(900, 0.515, 0.485, rate=20 / (72 * HOUR_S))),
        ]
    ),
]

MEMORY = [
    Case(
        "LLMBurstExhaustsKVCache",
        {
            series("burst_active", CHAT): always(1),
            series("burst_kv_exhaustion_seconds", CHAT, bound="estimate"): Gauge(None, 57, 63),
            series("pressure_active", CHAT): always(0),
        },
        CHAT,
        why="soon",
        summary="A burst fills the KV cache of chat in 57 s",
    ),
    Case(
        "LLMBurstExhaustsKVCache",
        {series("burst_active", CHAT): Gauge(0, 1, 0), series("pressure_active", CHAT): always(2)},
        CHAT,
        why="already",
        summary="A burst has filled the KV cache of chat: 0 s are left",
    ),
    Case(
        "LLMMemoryPressure",
        {series("pressure_active", CHAT): Gauge(0, 1, 0)},
        CHAT,
        summary="Engines of chat that run, or will run, out of KV cache: 1",
    ),
    Case(
        "LLMKVCacheNearlyFull",
        {
            series("kv_cache_usage_ratio", ENGINE): Gauge(0.5, 0.97, 0.93),
            series("engine_requests_waiting", ENGINE): always(1),
        },
        ENGINE,
        why="while requests wait",
        summary="The KV cache of e0 on n1 is 97% full, and requests wait",
    ),
    Case(
        "LLMKVCacheNearlyFull",
        {
            series("kv_cache_usage_ratio", ENGINE): always(0.99),
            series("engine_requests_waiting", ENGINE): always(0),
            series("engine_preemption_rate", ENGINE): Gauge(0, 0.05, 0),
        },
        ENGINE,
        why="while requests are preempted",
    ),
    Case("LLMPreemptionStorm", {series("engine_preemption_rate", ENGINE): Gauge(0, 0.21, 0.19)}, ENGINE),
    Case(
        "LLMGPUMemoryNearlyFull",
        {
            series("gpu_memory_bytes", GPU, state="used"): Gauge(60e9, 79e9, 76e9),
            series("gpu_memory_bytes", GPU, state="total"): always(80e9),
        },
        {"node": "n1", "gpu": "0"},
        summary="Memory of GPU 0 on n1 is 98.75% used",
    ),
    Case(
        "LLMGPUMemoryExhaustion",
        {
            series("gpu_memory_bytes", GPU, state="used"): always(73e9),
            series("gpu_memory_bytes", GPU, state="total"): always(80e9),
            series("gpu_memory_exhaustion_seconds", GPU, bound="estimate"): Gauge(None, 58, 62),
        },
        {"node": "n1", "gpu": "0"},
        why="soon",
        summary="Memory of GPU 0 on n1 is used up in 58 s",
    ),
    Case(
        "LLMGPUMemoryExhaustion",
        {
            series("gpu_memory_bytes", GPU, state="used"): Gauge(40e9, 73e9, 71e9),
            series("gpu_memory_bytes", GPU, state="total"): always(80e9),
            series("gpu_memory_exhaustion_seconds", GPU, bound="estimate"): always(20),
        },
        {"node": "n1", "gpu": "0"},
        why="once its weights are loaded",
    ),
]

WORKERS = [
    Case(
        "BurstwatchWorkerAbsent",
        {series("partitions_owned", SCRAPED): Gauge(8, None, 0)},
        summary="No worker is scraped: nothing is measured",
    ),
    Case(
        "BurstwatchTargetDown",
        {series("up", SCRAPED): Gauge(1, 0, 1)},
        SCRAPED,
        summary="w1:9464 of burstwatch-worker cannot be scraped",
    ),
    Case(
        "BurstwatchTargetDown",
        {series("up", CAPTURE, job="llm/burstwatch-capture"): Gauge(1, 0, 1)},
        {**CAPTURE, "job": "llm/burstwatch-capture"},
        why="as an operator names it",
    ),
    Case(
        "BurstwatchWorkerStale",
        {
            series("messages_total", SCRAPED, topic="llm.requests"): Counter(75, 0, 0.2),
            series("partitions_owned", SCRAPED): always(8),
        },
        why="reads nothing",
        steps=(20, 60, 100),
        summary="Kafka cannot be reached, or all agents or workers stand still: no message is read",
    ),
    Case("BurstwatchWorkerStale", {series("partitions_owned", SCRAPED): Gauge(8, 0, 1)}, why="has no partitions"),
    Case(
        "BurstwatchWorkerLags",
        {series("source_lag_messages", SCRAPED, topic="llm.requests", partition="0"): Gauge(3, 1040, 960)},
        {"topic": "llm.requests"},
        steps=(60, 38, 100),
        summary="Workers are 1040 messages behind on llm.requests, and fall further back",
    ),
    *counted("BurstwatchProcessorErrors", series("processor_errors_total", SCRAPED, error="E"), {"error": "E"}),
    Case(
        "BurstwatchMessagesLost",
        {series("lost_messages_total", SCRAPED): Counter(0, 5, 0)},
        SCRAPED,
        steps=(20, 40, 150),
    ),
    Case("BurstwatchResultsUndelivered", {series("undelivered_results_total", SCRAPED): Counter(0, 1, 0)}, SCRAPED),
]

TELEMETRY = [
    *counted(
        "BurstwatchDeadLetters",
        series("dead_letters_total", SCRAPED, topic="llm.requests", reason="json"),
        {"topic": "llm.requests", "reason": "json"},
        summary="Unreadable messages on llm.requests (json): 1 in 10 min",
    ),
    Case("BurstwatchEventsLost", {series("missing_messages", CHAT): Gauge(0, 1, 0)}, CHAT),
    Case("BurstwatchAgentDrops", {series("agent_dropped_events", CHAT): Counter(0, 10, 0)}, CHAT),
    Case(
        "BurstwatchAgentClockAhead",
        {series("agent_clock_ahead_seconds", {"agent": "a1"}): Gauge(0, 2.05, 1.95)},
        {"agent": "a1"},
        summary="The clock of agent a1 is 2 s ahead",
    ),
    Case(
        "BurstwatchAgentSilent",
        {
            series("agent_last_message_timestamp_seconds", {"agent": "a1"}): Clock(0, 62, 58),
            series("source_lag_messages", SCRAPED, topic="llm.requests", partition="0"): always(960),
        },
        {"agent": "a1"},
        summary="Agent a1 has been silent for 1m 2s",
    ),
]

CAPTURED = [
    *counted("BurstwatchCaptureIncomplete", series("capture_lost_messages_total", CAPTURE, partition="3"), CAPTURE),
    *counted("BurstwatchCaptureUnreadable", series("capture_unreadable_messages_total", CAPTURE), CAPTURE),
    Case(
        "BurstwatchCaptureWriteFailures", {series("capture_write_failures_total", CAPTURE): Counter(0, 1, 0)}, CAPTURE
    ),
    Case(
        "BurstwatchCaptureLags",
        {series("capture_lag_messages", CAPTURE, partition="0"): Gauge(3, 1040, 960)},
        CAPTURE,
        steps=(60, 38, 100),
    ),
    Case(
        "BurstwatchCaptureDiskLow",
        {series("capture_disk_free_bytes", CAPTURE): Gauge(1.2 * 2**30, 1.04 * 10**9, 1.11 * 10**9)},
        CAPTURE,
        steps=(HOUR, 80, HOUR),
        why="at once",
    ),
    Case(
        "BurstwatchCaptureDiskLow",
        {series("capture_disk_free_bytes", CAPTURE): Counter(0, -15e6, -5e6, start=9e9)},
        CAPTURE,
        steps=(HOUR, 200, 2 * HOUR),
        why="in four hours",
    ),
]

BUDGETS = [
    Case(
        "BurstwatchCardinalityBudget",
        {series("arrivals_total", service="other-3", model="m", log_type="API log"): Counter(0, 15, 0)},
        {"service": "other-3"},
        steps=(60, 80, 120),
        why="of services",
        summary='Requests of other-3 told apart only as "other": 600 in 10 min',
    ),
    Case(
        "BurstwatchCardinalityBudget",
        {series("arrivals_total", CHAT, model="other", log_type="other"): Counter(0, 15, 0)},
        CHAT,
        steps=(60, 80, 120),
        why="of models",
    ),
    Case(
        "BurstwatchServicesWithheld",
        {series("services_withheld", SCRAPED): Gauge(0, 1, 0)},
        SCRAPED,
        steps=(20, 60, 100),
    ),
    Case("BurstwatchReadingsIgnored", {series("readings_ignored_total", CHAT): Counter(0, 4, 0)}, CHAT),
    Case(
        "BurstwatchScrapeNearLimit",
        {series("scrape_samples_post_metric_relabeling", SCRAPED): Gauge(5000, 41000, 39000)},
        SCRAPED,
        steps=(20, 60, 100),
    ),
]

CASES = [*SERVICES, *MEMORY, *WORKERS, *TELEMETRY, *CAPTURED, *BUDGETS]

SILENCES = [
    Silence("LLMTrafficBursty", "of too few requests", bursty(always(3), always(0.3), rate=0.24), HOUR),
    Silence("LLMTrafficBursty", "of a service known for too short", bursty(always(3), always(0.3), covered=1190), HOUR),
    Silence("LLMFailureBudgetBurnsFast", "where hardly anything ends", traffic(60, 1, 1, rate=9 / 21_600), 400, 60),
    Silence("LLMFailureBudgetBurns", "where hardly anything ends", traffic(900, 1, 1, rate=9 / 260_000), 300, 900),
    Silence(
        PAGE,
        "where nothing ever failed",
        {ended("ok"): steadily(600), series("failure_budget_ratio", CHAT): always(0.01)},
        400,
        60,
        {f"{BURN}{window}": [(f'{BURN}{window}{{service="chat"}}', 0)] for window in ("5m", "30m", "1h", "6h")},
    ),
    Silence(
        TICKET,
        "where nothing ever failed",
        {ended("ok"): steadily(9000), series("failure_budget_ratio", CHAT): always(0.01)},
        300,
        900,
        {f"{BURN}{window}": [(f'{BURN}{window}{{service="chat"}}', 0)] for window in ("6h", "3d")},
    ),
    Silence(
        PAGE,
        "of an episode of ten minutes, which is paged, nor after it",
        {EPISODE: Gauge(0, 1, 0), **traffic(60, 0.9, 0)},
        steps=10,
        step_s=60,
        calm=(120, 240),
    ),
    Silence(TICKET, "of a service known for five hours", traffic(300, 0.5, 0), 60, 300),
    Silence("LLMFailureBudgetBurnsFast", "where nothing ends", traffic(60, 1, 1, rate=0), 100, 60, {f"{BURN}5m": []}),
    Silence(
        "LLMKVCacheNearlyFull",
        "of an engine that is full and well",
        {series("kv_cache_usage_ratio", ENGINE): always(1), series("engine_requests_waiting", ENGINE): always(0)},
    ),
    Silence(
        "LLMBurstExhaustsKVCache",
        "without a burst",
        {
            series("burst_active", CHAT): always(0),
            series("pressure_active", CHAT): always(3),
            series("burst_kv_exhaustion_seconds", CHAT, bound="estimate"): always(5),
        },
    ),
    Silence(
        "LLMBurstExhaustsKVCache",
        "in a burst the cache has room for",
        {series("burst_active", CHAT): always(1), series("pressure_active", CHAT): always(0)},
    ),
    Silence(
        "BurstwatchWorkerLags",
        "of a backlog that is being worked off",
        {series("source_lag_messages", SCRAPED, topic="llm.requests", partition="0"): steadily(-100)},
    ),
    Silence(
        "BurstwatchWorkerLags",
        "of a backlog that stays as it is",
        {series("source_lag_messages", SCRAPED, topic="llm.requests", partition="0"): always(5000)},
    ),
    Silence(
        "BurstwatchCaptureLags",
        "of a backlog that stays as it is",
        {series("capture_lag_messages", CAPTURE, partition="0"): always(5000)},
    ),
    Silence(
        "BurstwatchAgentSilent",
        "where the worker is behind",
        {
            series("agent_last_message_timestamp_seconds", {"agent": "a1"}): always(0),
            series("source_lag_messages", SCRAPED, topic="llm.requests", partition="0"): always(1040),
        },
    ),
    Silence("BurstwatchWorkerAbsent", "where one of two is left", {series("partitions_owned", SCRAPED): always(8)}),
    Silence("BurstwatchTargetDown", "of somebody else's job", {series("up", job="node", instance="x"): always(0)}),
    Silence(
        "BurstwatchCaptureDiskLow",
        "that lasts for five hours",
        {series("capture_disk_free_bytes", CAPTURE): Gauge(None, 9e9, None)},
    ),
    Silence(
        "BurstwatchCardinalityBudget",
        "where all have a name",
        {series("arrivals_total", service="other", model="others", log_type="API log"): steadily(100)},
    ),
    Silence(
        "BurstwatchWorkerStale",
        "that has just started, with 0 messages and no partition in its first half minute",
        {
            series("messages_total", SCRAPED, topic="llm.requests"): Counter(75, 0, 0),
            series("partitions_owned", SCRAPED): Gauge(8, 0, 0),
        },
        steps=3,
        calm=(0, 40),
        may_wait=True,
    ),
    Silence(
        "BurstwatchWorkerStale",
        "whose partitions are handed out anew for half a minute",
        {
            series("messages_total", SCRAPED, topic="llm.requests"): Counter(75, 0, 0),
            series("partitions_owned", SCRAPED): always(8),
        },
        steps=2,
        calm=(40, 40),
    ),
]
