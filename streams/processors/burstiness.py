"""How bursty arrivals are: a window's gaps and counts in numbers, each with the gate and the method it needs."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from streams.processors.count_panes import (
    ARRIVALS,
    PEAK_1S,
    SQUARES_1S,
    SQUARES_10S,
    SQUARES_100MS,
    STEPS_1S,
    STEPS_10S,
    STEPS_100MS,
)
from streams.processors.settings import PANE_S, AnalysisSettings
from streams.stats.allan import allan_factor
from streams.stats.burstiness import burstiness
from streams.stats.cv import squared_cv
from streams.stats.dispersion import dispersion_interval, index_of_dispersion
from streams.stats.gamma import moment, moment_interval, shape_interval, ye_chen
from streams.stats.gap_panes import EVENTS, LOGS, SQUARES, TOTAL, TOTAL_LOGS, WHOLE, ZEROS
from streams.stats.misfit import misfit
from streams.stats.peak import peak_to_mean, peak_z

Bounds = tuple[float, float] | tuple[None, None]


class Gaps(NamedTuple):
    """See ``outputs.WindowStats`` for what each means."""

    gaps: int
    cv: float | None = None
    shape: float | None = None
    interval: Bounds = (None, None)
    rate: float | None = None
    method: str | None = None
    burstiness: float | None = None
    misfit: float | None = None


class Bins(NamedTuple):
    """See ``outputs.WindowStats`` for what each means."""

    dispersion_100ms: float | None
    dispersion_1s: float | None
    interval_1s: Bounds
    dispersion_10s: float | None
    allan_100ms: float | None
    allan_1s: float | None
    allan_10s: float | None
    peak_to_mean: float | None
    peak_z: float | None


def gap_numbers(exact: Sequence[int], logs: Sequence[float], settings: AnalysisSettings) -> Gaps:
    """Return what the sums over a window's gaps say (rows of ``GapPanes``).

    Zero gaps have no logarithm, and whole-second stamps have lost the order inside a second: there the likelihood
    is off by 2 to 15 times, the moments by less than 9 % up to one event per two seconds.
    """
    gaps, total = exact[EVENTS] - 1, exact[TOTAL]
    if gaps < settings.gaps_min:
        return Gaps(max(gaps, 0))
    squared, seconds = squared_cv(gaps, total, exact[SQUARES]), total / 1e6
    whole = exact[WHOLE] == exact[EVENTS]
    by_moments = moment(squared)
    if exact[ZEROS] or whole:
        shape, method = by_moments, "moment"
        interval = moment_interval(shape, gaps) if shape is not None and not whole else None
    else:
        shape, method = ye_chen(gaps, seconds, logs[LOGS], logs[TOTAL_LOGS]), "ye_chen"
        interval = None if shape is None else shape_interval(shape, gaps)
    return Gaps(
        gaps=gaps,
        cv=None if squared is None else sqrt(squared),
        shape=shape,
        interval=interval or (None, None),
        rate=None if shape is None else shape * gaps / seconds,
        method=None if shape is None else method,
        burstiness=burstiness(squared),
        misfit=misfit(by_moments, shape) if method == "ye_chen" else None,
    )


def bin_numbers(counts: Sequence[int], tenths: Sequence[int] | None, *, panes: int, settings: AnalysisSettings) -> Bins:
    """Return what the counts in bins say (rows of ``CountPanes``); ``tenths`` only for the service's total.

    A bin width is given if the window has ``bins_min`` of them. What takes long to work out, the interval and the
    surprise of the peak, is for the total only.
    """
    arrivals, seconds = counts[ARRIVALS], panes * PANE_S
    by_1s, by_10s = seconds >= settings.bins_min, panes >= settings.bins_min
    dispersion_1s = index_of_dispersion(seconds, arrivals, counts[SQUARES_1S]) if by_1s else None
    interval, fine, allan_fine, surprise = None, None, None, None
    if tenths is not None:
        if seconds * 10 >= settings.bins_min:
            fine = index_of_dispersion(seconds * 10, arrivals, tenths[SQUARES_100MS])
            allan_fine = allan_factor(seconds * 10, arrivals, tenths[STEPS_100MS])
        if dispersion_1s is not None:
            interval = dispersion_interval(dispersion_1s, seconds, arrivals)
            surprise = peak_z(seconds, arrivals, counts[PEAK_1S])
    return Bins(
        dispersion_100ms=fine,
        dispersion_1s=dispersion_1s,
        interval_1s=interval or (None, None),
        dispersion_10s=index_of_dispersion(panes, arrivals, counts[SQUARES_10S]) if by_10s else None,
        allan_100ms=allan_fine,
        allan_1s=allan_factor(seconds, arrivals, counts[STEPS_1S]) if by_1s else None,
        allan_10s=allan_factor(panes, arrivals, counts[STEPS_10S]) if by_10s else None,
        peak_to_mean=peak_to_mean(seconds, arrivals, counts[PEAK_1S]) if by_1s else None,
        peak_z=surprise,
    )
