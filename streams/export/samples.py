"""States as samples: which value every metric has now. Pure; the clock and the states are arguments."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from collector.schema.events import Resource
from collector.schema.topics import REQUESTS, RESOURCES
from streams.export.catalogue import PREFIX
from streams.export.tally import Tally
from streams.processors.clocks import Clock, Verdict
from streams.processors.histograms import Distribution
from streams.processors.outputs import ALL
from streams.processors.service import ServiceState
from streams.stats.burn_rate import burn_rate


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric (a histogram's is a distribution); labels in the catalogue's order."""

    name: str
    labels: tuple[str, ...]
    value: float | Distribution


Counters = tuple[Sample, ...]

# The powers of two each histogram has as bounds: some 17 series each, 67 a service.
HISTOGRAMS = {
    "request_tokens": ("request_tokens", range(4, 18)),
    "response_tokens": ("response_tokens", range(2, 15)),
    "time_to_first_token_seconds": ("time_to_first_token_s", range(-6, 7)),
    "request_duration_seconds": ("request_duration_s", range(-4, 11)),
}


def if_known(name: str, labels: tuple[str, ...], value: float | Distribution | None) -> Iterator[Sample]:
    """Return the sample of a metric, named without the prefix; none where the value is not known."""
    if value is not None:
        yield Sample(PREFIX + name, labels, value)


def window_label(window_s: int) -> str:
    """Return the window's label.

    >>> [window_label(s) for s in (10, 60, 1200, 3600)]
    ['10s', '1m', '20m', '1h']
    """
    if window_s % 3600 == 0:
        return f"{window_s // 3600}h"
    return f"{window_s // 60}m" if window_s % 60 == 0 else f"{window_s}s"


def service_counters(state: ServiceState) -> Counters:
    """Return the service's counters: exact for ever, part of the snapshot."""
    ledger, name = state.ledger, state.service
    samples = [
        if_known("burst_episodes_total", (name,), state.burst.episodes_total),
        if_known("failure_episodes_total", (name,), state.failure.episodes_total),
        if_known("pressure_episodes_total", (name,), state.pressure.status.episodes_total),
        if_known("readings_ignored_total", (name,), state.pressure.status.ignored),
        *(if_known("attributed_failures_total", (name, what), n) for what, n in sorted(state.attributed.items())),
        *(_distribution(state, metric) for metric in HISTOGRAMS),
        if_known("negative_durations_total", (name,), state.sketches.negative),
        if_known("duplicate_messages_total", (name,), ledger.duplicates),
        if_known("future_events_total", (name,), ledger.future),
        if_known("event_time_set_back_total", (name,), ledger.set_back),
        *(if_known("late_events_total", (name, path), n) for path, n in ledger.late.items()),
    ]
    for key, totals in state.totals.items():
        labels = (name, *key)
        samples += [
            if_known("arrivals_total", labels, totals.arrivals),
            *(if_known("completions_total", (*labels, o), n) for o, n in totals.completions.items()),
            *(if_known("failures_total", (*labels, r), n) for r, n in totals.failures.items()),
            if_known("tokens_total", (*labels, "request"), totals.request_tokens),
            if_known("tokens_total", (*labels, "response"), totals.response_tokens),
        ]
    return tuple(chain.from_iterable(samples))


def _distribution(state: ServiceState, metric: str) -> Iterator[Sample]:
    measure, octaves = HISTOGRAMS[metric]
    found = state.sketches.distribution(measure, octaves)
    return if_known(metric, (state.service,), found if found.count else None)


def series_of(sample: Sample) -> int:
    """Return how many series a sample is: a histogram has one per bound, and its end, count and sum."""
    return len(sample.value.bounds) + 3 if isinstance(sample.value, Distribution) else 1


def without_histograms(samples: Iterable[Sample], most: int) -> Iterator[Sample]:
    """Return ``samples``, without the histograms if all of them together are more than ``most`` series.

    All or none: a histogram that comes and goes with the traffic of other services would be no use.
    """
    found = list(samples)
    fit = sum(series_of(sample) for sample in found if isinstance(sample.value, Distribution)) <= most
    return (sample for sample in found if fit or not isinstance(sample.value, Distribution))


def service_gauges(state: ServiceState) -> Iterator[Sample]:
    """Return how the service stands now, windows apart."""
    ledger, burst, name = state.ledger, state.burst, state.service
    yield from if_known("missing_messages", (name,), ledger.missing)
    yield from if_known("agent_dropped_events", (name,), ledger.dropped_by_agents)
    if ledger.watermark is not None:
        yield from if_known("watermark_timestamp_seconds", (name,), ledger.watermark / 1e6)
        yield from if_known("agents", (name,), ledger.agents)
        yield from if_known("agents_idle", (name,), ledger.agents_idle)
        yield from if_known("burst_active", (name,), int(burst.active))
        yield from if_known("burst_rate", (name,), burst.rate_10s)
    yield from if_known("burst_z", (name,), burst.z)
    yield from if_known("burst_threshold", (name,), burst.threshold)
    yield from if_known("burst_baseline_rate", (name,), burst.baseline_rate)
    yield from _failures(state)


def _failures(state: ServiceState) -> Iterator[Sample]:
    failure, name = state.failure, state.service
    yield from if_known("failure_budget_ratio", (name,), failure.budget_ratio)
    if state.ledger.watermark is not None:
        yield from if_known("failure_active", (name,), int(failure.active))
    if (total := state.latest.get((ALL, ALL))) is None:
        return
    for window_s, stats in total.windows.items():
        burn = burn_rate(stats.failures, stats.completions, failure.budget_ratio)
        yield from if_known("failure_burn_rate", (name, window_label(window_s)), burn)


def resource_samples(readings: Iterable[Resource]) -> Iterator[Sample]:
    """Return the nodes' memory and engine state."""
    for reading in readings:
        if reading.gpu is not None:
            yield from _gpu(reading, (reading.node, reading.gpu, reading.mig or ""))
        else:
            yield from _engine(reading, (reading.node, reading.engine or "", reading.service or ""))


def _gpu(reading: Resource, place: tuple[str, str, str]) -> Iterator[Sample]:
    for state in ("used", "free", "reserved", "total"):
        yield from if_known("gpu_memory_bytes", (*place, state), getattr(reading, f"gpu_{state}_bytes"))
    yield from if_known("gpu_utilization_ratio", place, reading.gpu_utilization_ratio)


def _engine(reading: Resource, place: tuple[str, str, str]) -> Iterator[Sample]:
    yield from if_known("kv_cache_usage_ratio", place, reading.kv_cache_usage_ratio)
    yield from if_known("engine_requests_running", place, reading.running)
    yield from if_known("engine_requests_waiting", place, reading.waiting)
    yield from if_known("engine_preemptions_total", place, reading.preemptions_total)


def clock_samples(clocks: Iterable[tuple[str, Clock]]) -> Iterator[Sample]:
    """Return what is known of the agents' clocks."""
    for agent, clock in clocks:
        yield from if_known("agent_clock_ahead_seconds", (agent,), max(0, -clock.delay_us) / 1e6)
        if clock.verdict is not Verdict.RECORDING:
            yield from if_known("agent_delay_seconds", (agent,), max(0, clock.delay_us) / 1e6)


def agent_samples(newest: Mapping[str, int]) -> Iterator[Sample]:
    """Return when each agent's newest message was appended; ``newest`` in us since the epoch."""
    for agent, at in newest.items():
        yield from if_known("agent_last_message_timestamp_seconds", (agent,), at / 1e6)


def lag_samples(lags: Iterable[tuple[str, int, int]]) -> Iterator[Sample]:
    """Return how many messages of a topic's partition are not applied yet."""
    for topic, partition, lag in lags:
        yield from if_known("source_lag_messages", (topic, str(partition)), lag)


def partition_samples(partition: int, *, offset: int | None, kept: int, unsaved: int) -> Iterator[Sample]:
    """Return how an owned partition stands; ``offset``: everything below is safe."""
    yield from if_known("source_offset", (REQUESTS, str(partition)), offset)
    yield from if_known("services_kept", (str(partition),), kept)
    yield from if_known("services_unsaved", (str(partition),), unsaved)


def worker_samples(tally: Tally, partitions: int, version: str) -> Iterator[Sample]:
    """Return the worker's own numbers; ``partitions`` is how many it owns."""
    # From the start on: an alert on "reads nothing" must hold of a worker that came up when all agents were dead.
    for topic, count in {REQUESTS: 0, RESOURCES: 0, **tally.messages}.items():
        yield from if_known("messages_total", (topic,), count)
    for (topic, reason), count in tally.dead_letters.items():
        yield from if_known("dead_letters_total", (topic, reason), count)
    for error, count in tally.processor_errors.items():
        yield from if_known("processor_errors_total", (error,), count)
    plain = {
        "partitions_owned": partitions,
        "offset_gaps_total": tally.offset_gaps,
        "lost_messages_total": tally.lost_messages,
        "broken_snapshots_total": tally.broken_snapshots,
        "undelivered_results_total": tally.undelivered,
        "snapshots_total": tally.snapshots,
        "snapshot_failures_total": tally.snapshot_failures,
        "snapshot_size_bytes": tally.snapshot_bytes,
        "snapshot_duration_seconds": tally.snapshot_duration_s,
    }
    for name, value in plain.items():
        yield from if_known(name, (), value)
    yield from if_known("build_info", (version,), 1)
