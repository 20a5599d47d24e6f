"""An hour of a quiet service and twenty minutes more, with a burst that fills its KV cache, as OpenMetrics text.

Every metric of the catalogue is there, so that no panel is empty for want of data; what a board shows of the story can
be told from these few lines. Numbers that nobody tells apart are one constant. No clock, no chance.
"""

import itertools
from collections.abc import Iterator
from math import exp, prod

from streams.export.catalogue import CATALOGUE, Metric, MetricType

START = 1_767_229_200  # 2026-01-01 01:00:00 UTC; any time does
STEP = 15
END = START + 20 * 60
TIMES = (*range(START - 4200, START - 300, 60), *range(START - 300, END + 1, STEP))  # boards compare with an hour ago
BURST = (START + 8 * 60, START + 11 * 60)

SERVICE = "chat"
ENGINES = (("gpu-node-1", "0"), ("gpu-node-2", "0"))
# What a label takes on; where a metric has none of these labels it has one series.
VALUES = {
    "service": (SERVICE,),
    "model": ("large", "small"),
    "log_type": ("API log", "Conversation log"),
    "window": ("10s", "1m", "5m", "20m", "1h"),
    "outcome": ("ok", "failed", "cancelled"),
    "attribution": ("burst", "memory_pressure", "burst_and_memory_pressure", "neither", "unknown"),
    "direction": ("request", "response"),
    "scale": ("100ms", "1s", "10s"),
    "path": ("counts", "ordered"),
    "topic": ("llm.requests", "llm.resources"),
    "partition": ("0", "1"),
    "agent": ("gpu-node-1", "gpu-node-2"),
    "gpu": ("0",),
    "mig": ("",),
    "state": ("used", "free", "total"),
    "bound": ("lower", "estimate"),
    "quantile": ("0.5", "0.9", "0.95", "0.99"),
    "method": ("saturated",),
    "error": ("ValueError",),
    "version": ("0.1.0",),
}
REASONS = {"burstwatch_failures_total": ("timeout", "overloaded"), "burstwatch_dead_letters_total": ("bad_json",)}
BOUNDS = (1, 2, 4, 8, 16, 32, 64)

# Counters per second, and gauges, as (calm, burst); what is not here is a counter that rests, or a gauge of 1.
RATES = {
    "arrivals_total": (1.92, 11.5), "tokens_total": (300.0, 1800.0), "messages_total": (4.0, 8.0),
    "attributed_failures_total": (0.0, 0.3), "failures_total": (0.0, 0.2), "engine_preemptions_total": (0.0, 2.0),
    "capture_messages_total": (4.0, 8.0), "capture_events_total": (3.0, 20.0), "dead_letters_total": (0.0, 0.02),
    "burst_episodes_total": (0.0, 0.006), "failure_episodes_total": (0.0, 0.006),
    "pressure_episodes_total": (0.0, 0.006),
}  # fmt: skip
LEVELS = {
    "request_rate": (4.0, 24.0), "interarrival_cv": (1.1, 2.1), "gamma_shape": (0.9, 0.4),
    "gamma_shape_lower": (0.8, 0.3), "gamma_shape_upper": (1.0, 0.5), "dispersion_index": (1.2, 14.0),
    "failure_ratio": (0.002, 0.08), "failure_ratio_lower": (0.0005, 0.06), "failure_ratio_upper": (0.009, 0.11),
    "failure_budget_ratio": (0.01, 0.01), "failure_burn_rate": (0.2, 8.0), "failure_active": (0, 1),
    "burst_active": (0, 1), "burst_z": (0.5, 12.0), "burst_threshold": (5.0, 5.0), "burst_rate": (4.0, 24.0),
    "burst_baseline_rate": (4.0, 4.4), "pressure_active": (0, 2), "kv_cache_usage_ratio": (0.35, 0.985),
    "kv_cache_growth_rate": (0.0, 0.02), "engine_requests_running": (8, 60), "engine_requests_waiting": (0, 40),
    "engine_waiting_growth_rate": (0.0, 2.0), "engine_preemption_rate": (0.0, 2.0), "missing_messages": (0, 0),
    "agent_dropped_events": (0, 0), "agents": (2, 2), "agents_idle": (0, 0), "agent_delay_seconds": (0.08, 0.2),
    "agent_clock_ahead_seconds": (0, 0), "source_lag_messages": (2, 30), "capture_lag_messages": (4, 40),
    "services_withheld": (0, 0), "services_unsaved": (0, 1), "snapshot_size_bytes": (2e6, 2e6),
    "snapshot_duration_seconds": (0.05, 0.08), "capture_disk_free_bytes": (8e10, 8e10), "replicas_live": (2, 2),
    "replicas_wanted": (2, 5), "demand_rate": (6.0, 30.0), "replica_capacity_rate": (6.0, 6.0),
    "requests_in_flight": (9, 70), "gpu_utilization_ratio": (0.4, 0.99), "arrivals_peak_to_mean": (1.6, 4.0),
    "arrivals_peak_z": (1.5, 12.0), "interarrival_burstiness": (0.05, 0.35), "interarrival_memory": (0.0, 0.25),
    "request_tokens_quantile": (420.0, 480.0), "response_tokens_quantile": (220.0, 250.0),
    "time_to_first_token_quantile_seconds": (0.2, 4.0), "request_duration_quantile_seconds": (4.0, 14.0),
    "time_per_output_token_quantile_seconds": (0.02, 0.05), "window_covered_seconds": (300, 300),
}  # fmt: skip
# Said only while it is so: absent is "not enough data", or "not growing".
ONLY_IN_A_BURST = {
    "kv_exhaustion_seconds": 25.0, "burst_kv_exhaustion_seconds": 20.0, "gpu_memory_exhaustion_seconds": 600.0,
}  # fmt: skip
# How long before the evaluation these moments lay.
AGES = {
    "watermark_timestamp_seconds": 3, "agent_last_message_timestamp_seconds": 1,
    "capture_last_segment_timestamp_seconds": 40,
}  # fmt: skip
# What tells the series of one metric apart, so that a panel which mixes them up is seen.
WEIGHTS = {
    ("quantile", "0.5"): 0.5, ("quantile", "0.9"): 0.8, ("quantile", "0.95"): 0.9, ("model", "small"): 0.6,
    ("log_type", "Conversation log"): 0.3, ("reason", "timeout"): 0.4, ("attribution", "memory_pressure"): 0.4,
    ("attribution", "neither"): 0.1, ("attribution", "unknown"): 0.0, ("direction", "response"): 0.7,
    ("scale", "100ms"): 0.4, ("scale", "10s"): 1.8, ("topic", "llm.resources"): 0.5, ("gpu", "1"): 0.8,
}  # fmt: skip
BYTES = {"used": 70e9, "free": 10e9, "total": 80e9}

Series = tuple[str, dict[str, str], list[tuple[int, float]]]


def heat(at: int) -> float:
    """How much of a burst is on: 0 to 1, rising within half a minute, falling more slowly."""
    start, end = BURST
    if at < start:
        return 0.0
    return 1 - exp(-(at - start) / 15) if at < end else exp(-(at - end) / 40)


def weight(labels: dict[str, str]) -> float:
    """By how much this series is less, or more, than the first of its metric."""
    return prod(WEIGHTS.get(label, 1.0) for label in labels.items())


def openmetrics(*, idle: bool = False) -> str:
    """The whole story as text promtool backfills from; ``idle``: a worker that has not met a service yet."""
    lines = []
    for name, labels, points in _series(idle=idle):
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        lines += [f"{name}{{{inside}}} {value!r} {at}" for at, value in points]
    return "\n".join([*lines, "# EOF", ""])


def _series(*, idle: bool) -> Iterator[Series]:
    for metric in CATALOGUE.values():
        if not idle or ("service" not in metric.labels and not {"node", "agent"} & set(metric.labels)):
            yield from _of_metric(metric, idle=idle)
    for job in ("burstwatch-worker", "burstwatch-capture"):
        labels = {"job": job, "instance": f"{job}:9464"}
        yield "up", labels, [(at, 1) for at in TIMES]
        yield "scrape_samples_post_metric_relabeling", labels, [(at, 1200) for at in TIMES]
    if not idle:
        labels = {"alertname": "LLMBurst", "alertstate": "firing", "severity": "warning", "service": SERVICE}
        yield "ALERTS", labels, [(at, 1) for at in range(*BURST, STEP)]


def _of_metric(metric: Metric, *, idle: bool) -> Iterator[Series]:
    short = metric.name.removeprefix("burstwatch_")
    for labels in _label_sets(metric):
        if metric.type is MetricType.HISTOGRAM:
            yield from _histogram(metric.name, labels)
        elif metric.type is MetricType.COUNTER:
            yield metric.name, labels, _counted(short, labels, rate=0.0 if idle else 1.0)
        else:
            levels = ((at, _level(short, labels, at, 0.0 if idle else heat(at))) for at in TIMES)
            yield metric.name, labels, [(at, level) for at, level in levels if level is not None]


def _label_sets(metric: Metric) -> Iterator[dict[str, str]]:
    engines = "engine" in metric.labels
    nodes = tuple(node for node, _ in ENGINES)
    values = VALUES | {"node": ("",) if engines else nodes, "engine": ("",), "reason": REASONS.get(metric.name, ())}
    gauge = metric.type is MetricType.GAUGE
    if gauge:
        values |= {"model": (*VALUES["model"], "all"), "log_type": ("API log", "all")}
    if metric.name.startswith("burstwatch_dispersion_index_"):
        values["scale"] = ("1s",)
    for row in itertools.product(*(values[label] for label in metric.labels)):
        labels = dict(zip(metric.labels, row, strict=True))
        # Gauges of windows are there of each class and of the service's total, which is "all" twice.
        if gauge and (labels.get("model") == "all") != (labels.get("log_type") == "all"):
            continue
        for node, engine in ENGINES if engines else (("", ""),):
            yield labels | ({"node": node, "engine": engine} if engines else {})


def _counted(short: str, labels: dict[str, str], *, rate: float) -> list[tuple[int, float]]:
    calm, burst = RATES.get(short, (0.0, 0.0))
    if short == "completions_total":
        calm, burst = {"ok": (1.9, 11.0), "failed": (0.0, 0.5), "cancelled": (0.02, 0.04)}[labels["outcome"]]
    total = 0.0
    points = []
    for before, at in itertools.pairwise((TIMES[0], *TIMES)):
        total += rate * (at - before) * weight(labels) * (calm + (burst - calm) * heat(at))
        points.append((at, round(total, 3)))
    return points


def _level(short: str, labels: dict[str, str], at: int, hot: float) -> float | None:
    if short in AGES:
        return at - AGES[short]
    if short == "gpu_memory_bytes":
        return BYTES[labels["state"]]
    if short in ONLY_IN_A_BURST:
        return ONLY_IN_A_BURST[short] * (1.0 if labels["bound"] == "lower" else 1.4) if hot > 0.3 else None
    calm, burst = LEVELS.get(short, (1, 1))
    hot *= 0.5 if labels.get("node") == ENGINES[1][0] else 1.0  # the second engine has less to do
    if isinstance(calm, int) and isinstance(burst, int):
        return round(calm + (burst - calm) * hot)
    return round(weight(labels) * (calm + (burst - calm) * hot), 5)


def _histogram(name: str, labels: dict[str, str]) -> Iterator[Series]:
    """Observations that move to higher buckets while a burst is on."""
    totals = [0.0] * (len(BOUNDS) + 1)
    points: list[list[tuple[int, float]]] = [[] for _ in totals]
    for at in TIMES:
        for index in range(len(totals)):
            middle = 2 + 2.5 * heat(at)
            totals[index] += 60 * exp(-((index - middle) ** 2) / 2)
            points[index].append((at, round(sum(totals[: index + 1]), 2)))
    for index, bound in enumerate((*BOUNDS, "+Inf")):
        yield f"{name}_bucket", labels | {"le": f"{bound}.0" if bound != "+Inf" else bound}, points[index]
    yield f"{name}_count", labels, points[-1]
    yield f"{name}_sum", labels, [(at, total * 6) for at, total in points[-1]]
