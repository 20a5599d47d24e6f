"""From sums to rows: a boundary, its classes, their windows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.processors.burstiness import bin_numbers, gap_numbers
from streams.processors.column_sums import ColumnSums, WindowSums, column_sums
from streams.processors.count_panes import (
    ARRIVALS,
    COMPLETIONS,
    FAILURES,
    REQUEST_TOKENS,
    RESPONSE_TOKENS,
)
from streams.processors.outputs import ALL, WindowRow, WindowStats
from streams.processors.reliability import reliability
from streams.processors.settings import PANE_S, AnalysisSettings
from streams.processors.totals import ClassKey


class _NoFit(NamedTuple):
    """What a fit looks like where there is none."""

    shape: float | None = None
    lower: float | None = None
    upper: float | None = None
    method: str | None = None


_NO_FIT = _NoFit()


def window_stats(sums: ColumnSums, settings: AnalysisSettings) -> WindowStats:
    """Return the numbers of a window from its sums."""
    counts, covered_s = sums.counts, sums.panes * PANE_S
    gaps, bins = gap_numbers(sums, settings), bin_numbers(sums, settings)
    fit = gaps.fit or _NO_FIT
    ended = reliability(counts, sums.reasons, covered_s=covered_s)
    return WindowStats(
        arrivals=counts[ARRIVALS],
        covered_s=covered_s,
        rate=counts[ARRIVALS] / covered_s,
        gaps=gaps.gaps,
        cv=gaps.cv,
        gamma_shape=fit.shape,
        gamma_shape_lower=fit.lower,
        gamma_shape_upper=fit.upper,
        gamma_rate=gaps.rate,
        gamma_method=fit.method,
        burstiness=gaps.burstiness,
        memory=gaps.memory,
        misfit=gaps.misfit,
        dispersion_100ms=bins.dispersion_100ms,
        dispersion_1s=bins.dispersion_1s,
        dispersion_1s_lower=bins.interval_1s[0],
        dispersion_1s_upper=bins.interval_1s[1],
        dispersion_10s=bins.dispersion_10s,
        allan_100ms=bins.allan_100ms,
        allan_1s=bins.allan_1s,
        allan_10s=bins.allan_10s,
        peak_to_mean=bins.peak_to_mean,
        peak_z=bins.peak_z,
        completions=counts[COMPLETIONS],
        failures=counts[FAILURES],
        failures_by_reason=ended.by_reason,
        failure_ratio=ended.failure_ratio,
        failure_ratio_lower=ended.wilson[0],
        failure_ratio_upper=ended.wilson[1],
        failure_ratio_jeffreys_lower=ended.jeffreys[0],
        failure_ratio_jeffreys_upper=ended.jeffreys[1],
        concurrency=ended.concurrency,
        request_tokens=counts[REQUEST_TOKENS],
        response_tokens=counts[RESPONSE_TOKENS],
        percentiles=sums.percentiles,
    )


def rows_at(
    end: int,
    classes: Sequence[ClassKey],
    sums: Sequence[WindowSums],
    *,
    service: str,
    settings: AnalysisSettings,
) -> Iterator[WindowRow]:
    """Yield the rows of the boundary ``end`` (us): the total first, then the classes by name.

    ``sums`` holds each window's sums, shortest first; ``classes`` are the columns from 1 on. A class without
    arrivals or completions in the longest window has no row.
    """
    used = len(classes) + 1
    windows = [column_sums(window, used) for window in sums]
    for column in [0, *sorted(range(1, used), key=lambda column: classes[column - 1])]:
        if not (windows[-1][column].counts[ARRIVALS] or windows[-1][column].counts[COMPLETIONS]):
            continue
        model, log_type = classes[column - 1] if column else (ALL, ALL)
        stats = {
            window_s: window_stats(window[column], settings)
            for window_s, window in zip(settings.windows_s, windows, strict=True)
        }
        yield WindowRow(service=service, model=model, log_type=log_type, end=end, windows=stats)
