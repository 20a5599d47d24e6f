"""Which estimator of the Gamma shape suits the stamps at hand: the choice, and its label.

Stamps in microseconds keep the gaps, and the likelihood (Ye and Chen's closed form) uses them best. Stamps cut to
whole seconds have lost what happens inside a second; what can be known from the rest depends on how many events
share a second. Nothing is ever made up for what is lost (no jitter).
"""

from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from streams.stats import gamma
from streams.stats.dispersion import dispersion_interval, index_of_dispersion, shape_of_dispersion
from streams.stats.triangular import whole_gap_shape

YE_CHEN, MOMENT, TRIANGULAR, DISPERSION = "ye_chen", "moment", "triangular", "dispersion"

ZEROS_MAX = 0.01  # share of gaps that may be zero by chance; more are ties with a cause of their own
TRIANGULAR_RATE_MAX = 2.0  # events per second; beyond, most gaps are cut to 0 and the likelihood is flat
MOMENT_RATE_MAX = 0.5  # up to here cutting biases the moments by less than 9 %


class GammaFit(NamedTuple):
    """A shape, its 95 % interval where there is an honest one, and the method's name."""

    shape: float
    lower: float | None
    upper: float | None
    method: str


class BinnedCounts(NamedTuple):
    """Counts in ``bins`` bins of ``width_s`` whole seconds: their sum and the sum of their squares."""

    width_s: int
    bins: int
    total: int
    squares: int


def cut_to_seconds(events: int, whole: int) -> bool:
    """True if the stamps have been cut to whole seconds: more than 99 % of ``events`` are on one.

    >>> cut_to_seconds(1000, 991), cut_to_seconds(1000, 990), cut_to_seconds(0, 0)
    (True, False, False)
    """
    return whole * 100 > events * 99


def fit_gaps(
    gaps: int, seconds: float, squared_cv: float | None, *, zeros: int, logs: tuple[float, float]
) -> GammaFit | None:
    """Return the fit to ``gaps`` gaps of fine stamps that sum to ``seconds``.

    ``logs`` are the sums of ln x and of x ln x (x in seconds), ``squared_cv`` the corrected one. Where more
    than 1 % of the gaps are zero (``zeros``) the moments are used: requests sent together, or a coarser clock, say
    nothing about short gaps. None for a clock's ticks, and for what the estimators themselves refuse.

    >>> from math import log
    >>> x = [0.5, 1.0, 2.0, 4.0] * 10
    >>> fit = fit_gaps(40, sum(x), None, zeros=0, logs=(sum(map(log, x)), sum(v * log(v) for v in x)))
    >>> round(fit.shape, 3), round(fit.lower, 3), fit.method
    (1.756, 1.163, 'ye_chen')
    >>> fit_gaps(40, 80.0, 0.5, zeros=2, logs=(0.0, 0.0)).method
    'moment'
    """
    if zeros > ZEROS_MAX * gaps:
        shape, method, interval = gamma.moment(squared_cv), MOMENT, gamma.moment_interval
    else:
        shape, method, interval = gamma.ye_chen(gaps, seconds, logs[0], logs[1], zeros), YE_CHEN, gamma.shape_interval
    if shape is None:
        return None
    lower, upper = interval(shape, gaps) or (None, None)
    return GammaFit(shape, lower, upper, method)


def fit_whole_seconds(
    rate: float,
    squared_cv: float | None,
    *,
    histogram: tuple[ArrayLike, ArrayLike] | None,
    binned: Sequence[BinnedCounts],
) -> GammaFit | None:
    """Return the fit to stamps cut to whole seconds, ``rate`` per second; None if nothing suits.

    Up to two events a second the triangular likelihood of ``histogram``: the whole gaps (s) that occur, ascending,
    and how often each does. Where it is not kept (None), the moments up to one event in two seconds, without an
    interval because of their bias. Beyond, or where that likelihood is flat, the shape that a renewal process
    with the counts' index of dispersion has: from the narrowest of ``binned`` with five events per bin, the more
    bins the better.

    >>> fit_whole_seconds(0.3, 2.0, histogram=None, binned=[])
    GammaFit(shape=0.5, lower=None, upper=None, method='moment')
    >>> counts = [BinnedCounts(1, 300, 3000, 35_980), BinnedCounts(10, 30, 3000, 330_000)]
    >>> fit = fit_whole_seconds(10.0, 2.0, histogram=None, binned=counts)
    >>> round(fit.shape, 3), fit.method
    (0.487, 'dispersion')
    """
    if rate <= TRIANGULAR_RATE_MAX:
        if histogram and (found := whole_gap_shape(*histogram)):
            return GammaFit(*found, TRIANGULAR)
        if not histogram and rate <= MOMENT_RATE_MAX and (shape := gamma.moment(squared_cv)):
            return GammaFit(shape, None, None, MOMENT)
    return _of_counts(rate, binned)


def _of_counts(rate: float, binned: Sequence[BinnedCounts]) -> GammaFit | None:
    for width_s, bins, total, squares in sorted(binned):
        index = index_of_dispersion(bins, total, squares)
        shape = None if index is None else shape_of_dispersion(index, rate, width_s)
        if index is None or shape is None:
            continue
        ends = dispersion_interval(index, bins, total)
        lower = shape_of_dispersion(ends[1], rate, width_s) if ends else None
        upper = shape_of_dispersion(ends[0], rate, width_s) if ends else None
        honest = lower is not None and upper is not None
        return GammaFit(shape, lower if honest else None, upper if honest else None, DISPERSION)
    return None
