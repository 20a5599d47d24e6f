"""Every metric Burstwatch shows, declared once. Exporter, rules, boards and METRICS.md are checked against it.

Rules: base units (seconds, bytes, ratios from 0 to 1), counters end in ``_total``, no colons, closed labels.
Not enough data means that the series is absent: never NaN, never a 0 that was not measured.
"""

from dataclasses import dataclass
from enum import StrEnum

from streams.export.labels import LABEL_TEXTS

PREFIX = "burstwatch_"


class MetricType(StrEnum):
    """How Prometheus treats a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: its full name, its labels in order, what it says and in which unit."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    help: str
    unit: str = ""


CLASS = ("service", "model", "log_type")
WINDOW = (*CLASS, "window")
ENGINE = ("node", "engine", "service")
REPLICA = ("service", "node", "engine")

LABELS = LABEL_TEXTS  # label -> what it may hold


def _metric(kind: MetricType, name: str, labels: tuple[str, ...], text: str, unit: str = "") -> Metric:
    return Metric(name=PREFIX + name, type=kind, labels=labels, help=text, unit=unit)


def _counter(name: str, labels: tuple[str, ...], text: str, unit: str = "") -> Metric:
    return _metric(MetricType.COUNTER, name, labels, text, unit)


def _gauge(name: str, labels: tuple[str, ...], text: str, unit: str = "") -> Metric:
    return _metric(MetricType.GAUGE, name, labels, text, unit)


def _histogram(name: str, text: str, unit: str) -> Metric:
    return _metric(MetricType.HISTOGRAM, name, ("service",), text, unit)


TRAFFIC = (
    _counter("arrivals_total", CLASS, "Requests submitted.", "requests"),
    _counter("completions_total", (*CLASS, "outcome"), "Requests ended, by outcome.", "requests"),
    _counter("failures_total", (*CLASS, "reason"), "Requests that failed, by reason.", "requests"),
    _counter("tokens_total", (*CLASS, "direction"), "Tokens of ended requests.", "tokens"),
)

BURSTINESS = (
    _gauge("request_rate", WINDOW, "Requests submitted per second over the window.", "1/s"),
    _gauge(
        "interarrival_cv",
        WINDOW,
        "Coefficient of variation of the gaps between arrivals: 1 for Poisson, more is burstier.",
    ),
    _gauge("gamma_shape", WINDOW, "Shape alpha of the Gamma distribution fitted to the gaps: below 1 is bursty."),
    _gauge("gamma_shape_lower", WINDOW, "Lower 95 % bound of the shape."),
    _gauge("gamma_shape_upper", WINDOW, "Upper 95 % bound of the shape."),
    _gauge("gamma_rate", WINDOW, "Rate beta of the Gamma distribution fitted to the gaps.", "1/s"),
    _gauge("gamma_method_info", (*WINDOW, "method"), "Always 1: how shape and rate were estimated."),
    _gauge("gamma_misfit", WINDOW, "ln(shape by moments / by likelihood): about 0 if the gaps are Gamma distributed."),
    _gauge("interarrival_burstiness", WINDOW, "(CV-1)/(CV+1): -1 for a clock, 0 for Poisson, towards 1 for bursts."),
    _gauge("interarrival_memory", WINDOW, "Correlation of neighbouring gaps: above 0 if bursts last for many."),
    _gauge(
        "dispersion_index",
        (*WINDOW, "scale"),
        "Variance over mean of the arrivals counted in bins: 1 for Poisson, more is burstier.",
    ),
    _gauge(
        "dispersion_index_lower",
        (*WINDOW, "scale"),
        "Lower 95 % bound of the index (1-s bins), where neighbouring bins are independent.",
    ),
    _gauge("dispersion_index_upper", (*WINDOW, "scale"), "Upper 95 % bound of the index (1-s bins), likewise."),
    _gauge(
        "allan_factor",
        (*WINDOW, "scale"),
        "How much neighbouring bins differ: 1 for Poisson; far below the dispersion index means the rate drifts.",
    ),
    _gauge("arrivals_peak_to_mean", WINDOW, "Arrivals in the busiest second over those of the mean one.", "ratio"),
    _gauge("arrivals_peak_z", WINDOW, "How surprising that second is for Poisson traffic, in standard deviations."),
    _gauge("window_covered_seconds", WINDOW, "How much of the window the service has been known.", "seconds"),
    _gauge(
        "requests_in_flight", WINDOW, "Mean number of requests in flight, by Little's law from those ended.", "requests"
    ),
    _gauge("failure_ratio", WINDOW, "Failed over ended requests in the window.", "ratio"),
    _gauge("failure_ratio_lower", WINDOW, "Lower 95 % bound (Wilson) of the failure ratio.", "ratio"),
    _gauge("failure_ratio_upper", WINDOW, "Upper 95 % bound (Wilson) of the failure ratio.", "ratio"),
    _gauge(
        "failure_ratio_jeffreys_lower",
        WINDOW,
        "Lower 95 % bound by Jeffreys: below 100 ended requests.",
        "ratio",
    ),
    _gauge("failure_ratio_jeffreys_upper", WINDOW, "Upper 95 % bound by Jeffreys, likewise.", "ratio"),
)

QUANTILE = (*WINDOW, "quantile")

LATENCIES = (
    _gauge("request_tokens_quantile", QUANTILE, "Request tokens of ended requests, within 1.1 %.", "tokens"),
    _gauge("response_tokens_quantile", QUANTILE, "Response tokens of requests that ended ok, within 1.1 %.", "tokens"),
    _gauge(
        "time_to_first_token_quantile_seconds",
        QUANTILE,
        "Submission to first token, of requests that ended ok, within 1.1 %.",
        "seconds",
    ),
    _gauge(
        "request_duration_quantile_seconds",
        QUANTILE,
        "Submission to end, of requests that ended ok, within 1.1 %.",
        "seconds",
    ),
    _gauge(
        "time_per_output_token_quantile_seconds",
        QUANTILE,
        "First token to end over the tokens after the first, of requests that ended ok, within 1.1 %.",
        "seconds",
    ),
    _histogram("request_tokens", "Request tokens of ended requests, by powers of two.", "tokens"),
    _histogram("response_tokens", "Response tokens of requests that ended ok, by powers of two.", "tokens"),
    _histogram("time_to_first_token_seconds", "Submission to first token, of requests that ended ok.", "seconds"),
    _histogram("request_duration_seconds", "Submission to end, of requests that ended ok.", "seconds"),
    _counter(
        "negative_durations_total",
        ("service",),
        "Requests whose times contradict each other, e.g. an end before the submission: no latency of theirs counts.",
        "requests",
    ),
)

BURSTS = (
    _gauge("burst_active", ("service",), "1 while a burst lasts, else 0."),
    _gauge(
        "burst_z",
        ("service",),
        "Greatest score of the arrivals of the last 1 to 60 s against the baseline; a burst starts at burst_threshold.",
    ),
    _gauge("burst_threshold", ("service",), "Score at which a burst starts."),
    _gauge("burst_rate", ("service",), "Requests submitted per second over the last 10 s.", "1/s"),
    _gauge("burst_baseline_rate", ("service",), "Requests per second expected at this time of day.", "1/s"),
    _counter("burst_episodes_total", ("service",), "Bursts begun."),
)

FAILURES = (
    _gauge("failure_active", ("service",), "1 while a service fails beyond its budget and beyond chance, else 0."),
    _gauge("failure_budget_ratio", ("service",), "Failures over completions that are allowed.", "ratio"),
    _gauge(
        "failure_burn_rate",
        ("service", "window"),
        "Failure ratio in the window over the ratio allowed: at 1 the budget lasts exactly its period.",
    ),
    _counter("failure_episodes_total", ("service",), "Failure episodes begun."),
    _counter(
        "attributed_failures_total",
        ("service", "attribution"),
        "Failures by what coincided with them; counted 30 s of event time after the fact, late events not at all.",
        "requests",
    ),
)

PRESSURE = (
    _gauge("pressure_active", ("service",), "Engines of the service that run, or will run, out of KV cache."),
    _counter("pressure_episodes_total", ("service",), "Pressure episodes begun."),
    _gauge(
        "kv_exhaustion_seconds",
        (*REPLICA, "bound"),
        "Time until the KV cache is full if it goes on growing as it does; absent while it does not clearly grow.",
        "seconds",
    ),
    _gauge(
        "burst_kv_exhaustion_seconds",
        ("service", "bound"),
        "The same, of the engine that is full first, while a burst is on: the burst will exhaust it in so long.",
        "seconds",
    ),
    _gauge("kv_cache_growth_rate", REPLICA, "Change of the KV cache's usage ratio per second over 5 s.", "1/s"),
    _gauge("engine_waiting_growth_rate", REPLICA, "Change of the queue's length per second over 5 s.", "1/s"),
    _gauge("engine_preemption_rate", REPLICA, "Requests preempted per second over the last minute.", "1/s"),
    _counter("readings_ignored_total", ("service",), "Readings of engines beyond the budget, or too far ahead."),
)

SCALING = (
    _gauge(
        "demand_rate",
        ("service", "quantile"),
        "Requests per second to be ready for: what 10 s of arrivals stay below so often, and never less than now.",
        "1/s",
    ),
    _gauge("replica_capacity_rate", ("service", "method"), "Requests per second one engine can finish.", "1/s"),
    _gauge("replicas_live", ("service",), "Engines with a reading in the last 30 s of event time."),
    _gauge(
        "replicas_wanted",
        ("service",),
        "Engines needed for the demand at --demand-quantile; not smoothed, let the autoscaler scale down slowly.",
    ),
)

RESOURCES = (
    _gauge("kv_cache_usage_ratio", ENGINE, "Part of the engine's KV cache in use.", "ratio"),
    _gauge("engine_requests_running", ENGINE, "Requests the engine is working on.", "requests"),
    _gauge("engine_requests_waiting", ENGINE, "Requests waiting in the engine's queue.", "requests"),
    _counter("engine_preemptions_total", ENGINE, "Requests the engine preempted, as it counts them.", "requests"),
    _gauge("gpu_memory_bytes", ("node", "gpu", "mig", "state"), "Device memory by state.", "bytes"),
    _gauge(
        "gpu_memory_exhaustion_seconds",
        ("node", "gpu", "mig", "bound"),
        "Time until the device's memory is used up if it goes on growing as it does; absent while it does not.",
        "seconds",
    ),
    _gauge("gpu_utilization_ratio", ("node", "gpu", "mig"), "Part of the time the device was busy.", "ratio"),
)

PIPELINE = (
    _counter("messages_total", ("topic",), "Messages this worker read since it started.", "messages"),
    _counter("duplicate_messages_total", ("service",), "Messages that came again and were not counted twice."),
    _gauge("missing_messages", ("service",), "Messages known to exist that have not come.", "messages"),
    _counter("late_events_total", ("service", "path"), "Events that came too late for a path.", "events"),
    _counter("future_events_total", ("service",), "Events too far ahead of the watermark to be kept.", "events"),
    _gauge("agent_dropped_events", ("service",), "Events the agents say they had to drop.", "events"),
    _gauge("watermark_timestamp_seconds", ("service",), "Event time up to which all is known (Unix).", "seconds"),
    _counter(
        "event_time_set_back_total",
        ("service",),
        "Times event time was set back: a clock had been far ahead, windows started anew.",
    ),
    _gauge("agents", ("service",), "Agents whose promises make up the service's event time.", "agents"),
    _gauge("agents_idle", ("service",), "Agents too far behind the others to be waited for.", "agents"),
    _gauge(
        "agent_clock_ahead_seconds",
        ("agent",),
        "How far the agent's clock is ahead for certain, by Kafka's append times.",
        "seconds",
    ),
    _gauge(
        "agent_delay_seconds",
        ("agent",),
        "Least delay of its messages over the last minute; a clock behind looks the same. Absent for recordings.",
        "seconds",
    ),
    _gauge(
        "agent_last_message_timestamp_seconds",
        ("agent",),
        "When Kafka appended the agent's newest message (Unix); forgotten when others went on for 1 h without it.",
        "seconds",
    ),
    _gauge("source_offset", ("topic", "partition"), "Next offset to apply, as of the last snapshot."),
    _gauge("source_lag_messages", ("topic", "partition"), "Messages in Kafka that are not applied yet.", "messages"),
    _gauge("partitions_owned", (), "Partitions of llm.requests this worker has."),
    _counter("dead_letters_total", ("topic", "reason"), "Messages that could not be used.", "messages"),
    _counter("processor_errors_total", ("error",), "Faults in the worker's own code."),
    _counter("offset_gaps_total", (), "Times the reader skipped messages and was moved back."),
    _counter("lost_messages_total", (), "Messages the log no longer held when they were needed.", "messages"),
    _counter("broken_snapshots_total", (), "Service states that could not be restored and were rebuilt."),
    _counter("undelivered_results_total", (), "Results Kafka refused for good.", "messages"),
    _gauge("services_kept", ("partition",), 'Services with a state, that of "other" included.', "services"),
    _gauge("services_withheld", (), "Services without window gauges here: the page is at --series-max.", "services"),
    _gauge("services_unsaved", ("partition",), "Services whose next snapshot is due.", "services"),
    _counter("snapshots_total", (), "State snapshots written."),
    _counter("snapshot_failures_total", (), "State snapshots that failed and were tried again."),
    _gauge("snapshot_size_bytes", (), "Size of the last snapshot.", "bytes"),
    _gauge("snapshot_duration_seconds", (), "Time until the last snapshot was safe.", "seconds"),
    _gauge("build_info", ("version",), "Always 1."),
)

CAPTURE = (
    _counter("capture_messages_total", (), "Messages taken since this capture started.", "messages"),
    _counter("capture_events_total", (), "Completed requests in segments finished since it started.", "events"),
    _counter("capture_segments_total", (), "Segments finished since it started.", "segments"),
    _gauge("capture_lag_messages", ("partition",), "Messages in Kafka that are not taken yet.", "messages"),
    _counter(
        "capture_lost_messages_total",
        ("partition",),
        "Messages Kafka no longer held when their turn came: the trace has a hole there.",
        "messages",
    ),
    _counter("capture_unreadable_messages_total", (), "Messages that could not be decoded.", "messages"),
    _counter("capture_write_failures_total", (), "Times the disk refused; the messages stay in Kafka."),
    _gauge("capture_last_segment_timestamp_seconds", (), "When the newest segment was finished (Unix).", "seconds"),
    _gauge("capture_disk_free_bytes", (), "Free space where the segments lie.", "bytes"),
)

GROUPS: dict[str, tuple[Metric, ...]] = {
    "Traffic": TRAFFIC,
    "Burstiness and failures": BURSTINESS,
    "Tokens and latencies": LATENCIES,
    "Bursts": BURSTS,
    "Failure episodes": FAILURES,
    "Memory pressure": PRESSURE,
    "Autoscaling": SCALING,
    "Memory and engines": RESOURCES,
    "The pipeline itself": PIPELINE,
    "Capture": CAPTURE,
}

CATALOGUE: dict[str, Metric] = {metric.name: metric for group in GROUPS.values() for metric in group}
