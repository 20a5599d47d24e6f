"""How bursty arrivals are: a window's gaps and counts in numbers, each with the gate and the method it needs."""

from math import sqrt
from typing import Any, NamedTuple

from numpy.typing import NDArray

from streams.processors.column_sums import ColumnSums
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
from streams.stats.dispersion import bins_are_independent, dispersion_interval, index_of_dispersion
from streams.stats.gamma import moment
from streams.stats.gamma_fit import (
    MOMENT_RATE_MAX,
    YE_CHEN,
    BinnedCounts,
    GammaFit,
    cut_to_seconds,
    fit_gaps,
    fit_whole_seconds,
)
from streams.stats.gap_panes import EVENTS, FIRST_GAP, LOGS, PRODUCTS, SQUARES, TOTAL, TOTAL_LOGS, WHOLE, ZEROS
from streams.stats.memory import memory_coefficient
from streams.stats.misfit import misfit
from streams.stats.peak import peak_to_mean, peak_z

Bounds = tuple[float, float] | tuple[None, None]


class Gaps(NamedTuple):
    """See ``outputs.WindowStats`` for what each means."""

    gaps: int
    cv: float | None = None
    fit: GammaFit | None = None
    rate: float | None = None
    burstiness: float | None = None
    memory: float | None = None
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


def gap_numbers(sums: ColumnSums, settings: AnalysisSettings) -> Gaps:
    """Return what a window's gaps say; which estimator suits the stamps is decided in ``stats.gamma_fit``.

    Of stamps cut to whole seconds the moments are off by less than 9 % up to one event in two seconds. Above that
    the CV is the one of the fitted shape, 1/sqrt(alpha), and there is no memory: what is cut off one gap is added
    to its neighbour.
    """
    exact, gaps = sums.exact, sums.exact[EVENTS] - 1
    total, seconds = exact[TOTAL], exact[TOTAL] / 1e6
    if gaps < settings.gaps_min or not total:
        return Gaps(max(gaps, 0))
    squared, remembers = squared_cv(gaps, total, exact[SQUARES]), True
    by_moments = moment(squared)
    if cut_to_seconds(exact[EVENTS], exact[WHOLE]):
        fit = fit_whole_seconds(gaps / seconds, squared, histogram=_histogram(sums), binned=_binned(sums, settings))
        if gaps / seconds > MOMENT_RATE_MAX:
            squared, remembers = (1 / fit.shape if fit else None), False
    else:
        fit = fit_gaps(gaps, seconds, squared, zeros=exact[ZEROS], logs=(sums.logs[LOGS], sums.logs[TOTAL_LOGS]))
    memory = None
    if remembers:
        ends = (exact[FIRST_GAP], sums.last_gap)
        memory = memory_coefficient(gaps, total, exact[SQUARES], products=exact[PRODUCTS], ends=ends)
    return Gaps(
        gaps=gaps,
        cv=None if squared is None else sqrt(squared),
        fit=fit,
        rate=None if fit is None else fit.shape * gaps / seconds,
        burstiness=burstiness(squared),
        memory=memory,
        misfit=misfit(by_moments, fit.shape) if fit and fit.method == YE_CHEN else None,
    )


def _histogram(sums: ColumnSums) -> tuple[NDArray[Any], NDArray[Any]] | None:
    return None if sums.seconds is None else sums.seconds.of(sums.column)


def _binned(sums: ColumnSums, settings: AnalysisSettings) -> list[BinnedCounts]:
    counts, arrivals = sums.counts, sums.counts[ARRIVALS]
    found = [
        BinnedCounts(1, sums.panes * PANE_S, arrivals, counts[SQUARES_1S]),
        BinnedCounts(PANE_S, sums.panes, arrivals, counts[SQUARES_10S]),
    ]
    return [binned for binned in found if binned.bins >= settings.bins_min]


def bin_numbers(sums: ColumnSums, settings: AnalysisSettings) -> Bins:
    """Return what a window's counts in bins say.

    A bin width is given if the window has ``bins_min`` of them. What takes long to work out, the interval and the
    surprise of the peak, is for the total only.
    """
    counts, tenths, panes = sums.counts, sums.tenths, sums.panes
    arrivals, seconds = counts[ARRIVALS], panes * PANE_S
    by_1s, by_10s = seconds >= settings.bins_min, panes >= settings.bins_min
    dispersion_1s = index_of_dispersion(seconds, arrivals, counts[SQUARES_1S]) if by_1s else None
    allan_1s = allan_factor(seconds, arrivals, counts[STEPS_1S]) if by_1s else None
    interval, fine, allan_fine, surprise = None, None, None, None
    if tenths is not None:
        if seconds * 10 >= settings.bins_min:
            fine = index_of_dispersion(seconds * 10, arrivals, tenths[SQUARES_100MS])
            allan_fine = allan_factor(seconds * 10, arrivals, tenths[STEPS_100MS])
        if dispersion_1s is not None and allan_1s is not None:
            if bins_are_independent(dispersion_1s, allan_1s, seconds):
                interval = dispersion_interval(dispersion_1s, seconds, arrivals)
            surprise = peak_z(seconds, arrivals, counts[PEAK_1S])
    return Bins(
        dispersion_100ms=fine,
        dispersion_1s=dispersion_1s,
        interval_1s=interval or (None, None),
        dispersion_10s=index_of_dispersion(panes, arrivals, counts[SQUARES_10S]) if by_10s else None,
        allan_100ms=allan_fine,
        allan_1s=allan_1s,
        allan_10s=allan_factor(panes, arrivals, counts[STEPS_10S]) if by_10s else None,
        peak_to_mean=peak_to_mean(seconds, arrivals, counts[PEAK_1S]) if by_1s else None,
        peak_z=surprise,
    )
