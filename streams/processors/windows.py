"""From sums to numbers: a class, a window, a boundary."""

from collections.abc import Sequence
from math import sqrt

from streams.processors.count_panes import (
    ARRIVALS,
    COMPLETIONS,
    FAILURES,
    REQUEST_TOKENS,
    RESPONSE_TOKENS,
    SQUARES_1S,
    SQUARES_10S,
    CountSums,
)
from streams.processors.outputs import ALL, WindowRow, WindowStats
from streams.processors.settings import PANE_S, AnalysisSettings
from streams.processors.totals import ClassKey
from streams.stats.cv import squared_cv
from streams.stats.dispersion import index_of_dispersion
from streams.stats.gamma import moment, ye_chen
from streams.stats.gap_panes import EVENTS, LOGS, SQUARES, TOTAL, TOTAL_LOGS, WHOLE, ZEROS, GapSums
from streams.stats.wilson import wilson_bounds

Burstiness = tuple[float | None, float | None, float | None, str | None]  # cv, shape, rate, method


def window_stats(
    panes: int,
    settings: AnalysisSettings,
    *,
    counts: Sequence[int],
    exact: Sequence[int],
    logs: Sequence[float],
) -> WindowStats:
    """Return the numbers of a window of ``panes`` from its sums (rows of ``CountPanes`` and ``GapPanes``)."""
    covered_s = panes * PANE_S
    gaps = max(exact[EVENTS] - 1, 0)
    cv, shape, rate, method = _burstiness(exact, logs) if gaps >= settings.gaps_min else (None,) * 4
    bounds = wilson_bounds(counts[FAILURES], counts[COMPLETIONS])
    arrivals = counts[ARRIVALS]
    return WindowStats(
        arrivals=arrivals,
        covered_s=covered_s,
        rate=arrivals / covered_s,
        gaps=gaps,
        cv=cv,
        gamma_shape=shape,
        gamma_rate=rate,
        gamma_method=method,
        dispersion_1s=_dispersion(covered_s, arrivals, counts[SQUARES_1S], settings.bins_min),
        dispersion_10s=_dispersion(panes, arrivals, counts[SQUARES_10S], settings.bins_min),
        completions=counts[COMPLETIONS],
        failures=counts[FAILURES],
        failure_ratio=counts[FAILURES] / counts[COMPLETIONS] if bounds else None,
        failure_ratio_lower=bounds[0] if bounds else None,
        failure_ratio_upper=bounds[1] if bounds else None,
        request_tokens=counts[REQUEST_TOKENS],
        response_tokens=counts[RESPONSE_TOKENS],
    )


def _dispersion(bins: int, total: int, squares: int, bins_min: int) -> float | None:
    return index_of_dispersion(bins, total, squares) if bins >= bins_min else None


def _burstiness(exact: Sequence[int], logs: Sequence[float]) -> Burstiness:
    gaps, total = exact[EVENTS] - 1, exact[TOTAL]
    squared = squared_cv(gaps, total, exact[SQUARES])
    cv = None if squared is None else sqrt(squared)
    seconds = total / 1e6
    # Zero gaps have no logarithm, and whole-second stamps have lost the order inside a second: there the
    # likelihood is off by 2 to 15 times, the moments by less than 9 % up to one event per two seconds.
    if exact[ZEROS] or exact[WHOLE] == exact[EVENTS]:
        shape, method = moment(squared), "moment"
    else:
        shape, method = ye_chen(gaps, seconds, logs[LOGS], logs[TOTAL_LOGS]), "ye_chen"
    if shape is None:
        return cv, None, None, None
    return cv, shape, shape * gaps / seconds, method


def rows_at(
    end: int,
    classes: Sequence[ClassKey],
    sums: Sequence[tuple[CountSums, GapSums]],
    *,
    service: str,
    settings: AnalysisSettings,
) -> list[WindowRow]:
    """Return the rows of the boundary ``end`` (us): the total first, then the classes by name.

    ``sums`` holds each window's counts and gap sums, shortest first; ``classes`` are the columns from 1 on.
    A class without arrivals or completions in the longest window has no row.
    """
    used = len(classes) + 1
    windows = [
        (panes, counts[:, :used].T.tolist(), gaps.exact[:, :used].T.tolist(), gaps.logs[:, :used].T.tolist())
        for (panes, counts, _), gaps in sums
    ]
    longest = windows[-1][1]
    rows = []
    for column in [0, *sorted(range(1, used), key=lambda column: classes[column - 1])]:
        if not (longest[column][ARRIVALS] or longest[column][COMPLETIONS]):
            continue
        model, log_type = classes[column - 1] if column else (ALL, ALL)
        stats = {
            window_s: window_stats(panes, settings, counts=counts[column], exact=exact[column], logs=logs[column])
            for window_s, (panes, counts, exact, logs) in zip(settings.windows_s, windows, strict=True)
        }
        rows.append(WindowRow(service=service, model=model, log_type=log_type, end=end, windows=stats))
    return rows
