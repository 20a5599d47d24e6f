"""Window rows as samples, and how many of them a page takes. Pure.

A service's total shows every number of every window. Its classes show the essential ones of two windows, 1 min and
20 min (of the longest where neither is among them), and the percentiles of the longest window that has any: all of
everything would be ten times the series for hardly more to see, and llm.windows has it all. The numbers were worked
out when event time passed the windows' end; here they are only read.
"""

from collections.abc import Iterable, Iterator

from streams.export.catalogue import PREFIX
from streams.export.samples import Sample, window_label
from streams.processors.outputs import ALL, WindowRow, WindowStats
from streams.processors.percentiles import LEVELS
from streams.processors.service import ServiceState

CLASS_WINDOWS_S = (60, 1200)

Shown = tuple[tuple[str, tuple[str, ...], str], ...]  # metric, labels after the window, field of WindowStats

ESSENTIAL: Shown = (
    ("request_rate", (), "rate"),
    ("interarrival_cv", (), "cv"),
    ("gamma_shape", (), "gamma_shape"),
    ("failure_ratio", (), "failure_ratio"),
    ("failure_ratio_lower", (), "failure_ratio_lower"),
    ("failure_ratio_upper", (), "failure_ratio_upper"),
    ("requests_in_flight", (), "concurrency"),
)
OF_TOTAL: Shown = (
    ("window_covered_seconds", (), "covered_s"),
    ("gamma_shape_lower", (), "gamma_shape_lower"),
    ("gamma_shape_upper", (), "gamma_shape_upper"),
    ("gamma_rate", (), "gamma_rate"),
    ("gamma_misfit", (), "misfit"),
    ("interarrival_burstiness", (), "burstiness"),
    ("interarrival_memory", (), "memory"),
    ("dispersion_index", ("100ms",), "dispersion_100ms"),
    ("dispersion_index", ("1s",), "dispersion_1s"),
    ("dispersion_index", ("10s",), "dispersion_10s"),
    ("dispersion_index_lower", ("1s",), "dispersion_1s_lower"),
    ("dispersion_index_upper", ("1s",), "dispersion_1s_upper"),
    ("allan_factor", ("100ms",), "allan_100ms"),
    ("allan_factor", ("1s",), "allan_1s"),
    ("allan_factor", ("10s",), "allan_10s"),
    ("arrivals_peak_to_mean", (), "peak_to_mean"),
    ("arrivals_peak_z", (), "peak_z"),
    ("failure_ratio_jeffreys_lower", (), "failure_ratio_jeffreys_lower"),
    ("failure_ratio_jeffreys_upper", (), "failure_ratio_jeffreys_upper"),
)


QUANTILES = {
    "request_tokens": "request_tokens_quantile",
    "response_tokens": "response_tokens_quantile",
    "time_to_first_token_s": "time_to_first_token_quantile_seconds",
    "request_duration_s": "request_duration_quantile_seconds",
    "time_per_output_token_s": "time_per_output_token_quantile_seconds",
}
_QUANTILE = {level: f"{percent / 100:g}" for level, percent in LEVELS.items()}


def window_gauges(state: ServiceState) -> Iterator[Sample]:
    """Return the newest window rows of a service."""
    for row in state.latest.values():
        yield from _of_total(row) if row.model == ALL else _of_class(row)


def _of_total(row: WindowRow) -> Iterator[Sample]:
    for window_s, stats in row.windows.items():
        labels = (row.service, row.model, row.log_type, window_label(window_s))
        yield from _samples(labels, stats, ESSENTIAL + OF_TOTAL)
        if stats.gamma_method is not None:
            yield Sample(f"{PREFIX}gamma_method_info", (*labels, stats.gamma_method), 1)
        yield from _percentiles(labels, stats)


def _of_class(row: WindowRow) -> Iterator[Sample]:
    shown = [window_s for window_s in CLASS_WINDOWS_S if window_s in row.windows] or [max(row.windows)]
    for window_s in shown:
        labels = (row.service, row.model, row.log_type, window_label(window_s))
        yield from _samples(labels, row.windows[window_s], ESSENTIAL)
    sketched = [window_s for window_s, stats in row.windows.items() if stats.percentiles]
    if sketched:
        labels = (row.service, row.model, row.log_type, window_label(max(sketched)))
        yield from _percentiles(labels, row.windows[max(sketched)])


def _percentiles(labels: tuple[str, ...], stats: WindowStats) -> Iterator[Sample]:
    for measure, levels in stats.percentiles.items():
        for level, value in levels.items():
            if value is not None:
                yield Sample(PREFIX + QUANTILES[measure], (*labels, _QUANTILE[level]), value)


def _samples(labels: tuple[str, ...], stats: WindowStats, shown: Shown) -> Iterator[Sample]:
    for name, more, number in shown:
        if (value := getattr(stats, number)) is not None:
            yield Sample(PREFIX + name, labels + more, value)


def window_samples(states: Iterable[ServiceState], room: int) -> Iterator[Sample]:
    """Return the window gauges of as many services as ``room`` samples hold, and how many services are left out.

    The busiest in their longest window come first, so that those left out have the fewest arrivals; services
    without any window row are not counted.
    """
    withheld = 0
    for state in sorted(states, key=_busiest_first):
        found = [] if withheld else list(window_gauges(state))
        if withheld or len(found) > room:
            withheld += bool(state.latest)
            continue
        room -= len(found)
        yield from found
    yield Sample(f"{PREFIX}services_withheld", (), withheld)


def _busiest_first(state: ServiceState) -> tuple[int, str]:
    total = state.latest.get((ALL, ALL))
    arrivals = total.windows[max(total.windows)].arrivals if total else 0
    return -arrivals, state.service
