"""The first board: load, burstiness, failures, memory and what the pipeline itself lost, on one time axis."""

from dashboards.boards.panels import (
    Board,
    Panel,
    Row,
    board,
    choice_variable,
    datasource_variable,
    label_variable,
)

WINDOWS = ("10s", "1m", "5m", "20m", "1h")

_SERVICE = 'service=~"$service"'
_TOTAL = f'{_SERVICE}, model="all", log_type="all"'
_WINDOW = f'{_TOTAL}, window="$window"'


def _window(metric: str) -> str:
    return f"burstwatch_{metric}{{{_WINDOW}}}"


def _by_service(metric: str) -> str:
    return f"burstwatch_{metric}{{{_SERVICE}}}"


LOAD = Row(
    title="Load and bursts",
    panels=[
        Panel(
            title="Request rate",
            text="Requests submitted per second over the window (burstwatch_request_rate).",
            queries=[(_window("request_rate"), "{{service}}")],
            unit="reqps",
        ),
        Panel(
            title="Rate now against the rate expected",
            text="The last 10 s, and the baseline the burst detector compares it with.",
            queries=[
                (_by_service("burst_rate"), "{{service}} now"),
                (_by_service("burst_baseline_rate"), "{{service}} expected"),
            ],
            unit="reqps",
        ),
        Panel(
            title="Gap CV",
            text="Coefficient of variation of the gaps between arrivals: 1 is Poisson, more is burstier.",
            queries=[(_window("interarrival_cv"), "{{service}}")],
            width=8,
        ),
        Panel(
            title="Gamma shape",
            text="Shape of the Gamma distribution fitted to the gaps, as in the BurstGPT paper: below 1 is bursty.",
            queries=[(_window("gamma_shape"), "{{service}}")],
            width=8,
        ),
        Panel(
            title="Bursts",
            text="1 while a burst lasts.",
            queries=[(_by_service("burst_active"), "{{service}}")],
            width=8,
            most=1,
            step=True,
        ),
    ],
)

FAILURES = Row(
    title="Failures",
    panels=[
        Panel(
            title="Failure ratio with its 95 % bounds",
            text="Failed over ended requests in the window; far bounds mean few requests, not calm.",
            queries=[
                (_window("failure_ratio"), "{{service}}"),
                (_window("failure_ratio_lower"), "{{service}} at least"),
                (_window("failure_ratio_upper"), "{{service}} at most"),
            ],
            unit="percentunit",
            most=1,
            alarm=0.05,
        ),
        Panel(
            title="Failures by reason",
            text="Failed requests per second, by reason.",
            queries=[
                (f"sum by (reason) (rate(burstwatch_failures_total{{{_TOTAL}}}[$__rate_interval]))", "{{reason}}")
            ],
            unit="reqps",
        ),
        Panel(
            title="Failure episodes",
            text="1 while a service fails beyond its budget and beyond chance.",
            queries=[(_by_service("failure_active"), "{{service}}")],
            width=8,
            most=1,
            step=True,
        ),
        Panel(
            title="How fast the failure budget burns",
            text="Failure ratio in the window over the ratio allowed: at 1 the budget lasts exactly its period.",
            queries=[(f'burstwatch_failure_burn_rate{{{_SERVICE}, window="$window"}}', "{{service}}")],
            width=8,
            alarm=1,
        ),
        Panel(
            title="What failures coincide with",
            text="Failed requests per second by what was on in their second: a burst, memory pressure, both, neither.",
            queries=[
                (
                    f"sum by (attribution) (rate({_by_service('attributed_failures_total')}[$__rate_interval]))",
                    "{{attribution}}",
                )
            ],
            unit="reqps",
            width=8,
        ),
    ],
)

MEMORY = Row(
    title="Memory",
    panels=[
        Panel(
            title="KV cache in use",
            text="Part of each engine's KV cache in use. Full means: queue, preempt, refuse.",
            queries=[(_by_service("kv_cache_usage_ratio"), "{{node}} {{engine}}")],
            unit="percentunit",
            most=1,
            alarm=0.95,
        ),
        Panel(
            title="Running and waiting",
            text="Requests in each engine and in its queue.",
            queries=[
                (_by_service("engine_requests_running"), "{{node}} {{engine}} running"),
                (_by_service("engine_requests_waiting"), "{{node}} {{engine}} waiting"),
            ],
        ),
    ],
)

PIPELINE = Row(
    title="Can these numbers be trusted?",
    panels=[
        Panel(
            title="Known loss",
            text="Messages that exist but have not come, and events agents had to drop. 0 is the normal state.",
            queries=[
                (_by_service("missing_messages"), "{{service}} missing"),
                (_by_service("agent_dropped_events"), "{{service}} dropped by agents"),
            ],
            width=8,
        ),
        Panel(
            title="Refused and late",
            text="Messages nobody could read, and events too late for a path, per second.",
            queries=[
                ("sum by (topic, reason) (rate(burstwatch_dead_letters_total[$__rate_interval]))", "dead: {{reason}}"),
                (
                    f"sum by (service, path) (rate(burstwatch_late_events_total{{{_SERVICE}}}[$__rate_interval]))",
                    "late: {{service}} {{path}}",
                ),
            ],
            width=8,
        ),
        Panel(
            title="Messages read",
            text="Messages per second by topic. Live agents send at least one a second, so 0 is a stop.",
            queries=[("sum by (topic) (rate(burstwatch_messages_total[$__rate_interval]))", "{{topic}}")],
            width=8,
        ),
    ],
)


def overview() -> Board:
    """Return the board."""
    return board(
        "burstwatch-overview",
        "Burstwatch overview",
        "Bursts, failures and memory of LLM services on one time axis.",
        rows=[LOAD, FAILURES, MEMORY, PIPELINE],
        variables=[
            datasource_variable(),
            label_variable("service", "burstwatch_arrivals_total", "Service"),
            choice_variable("window", "Window", WINDOWS, "5m"),
        ],
    )
