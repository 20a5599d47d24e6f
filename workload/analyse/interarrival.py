"""How the gaps of one sequence of arrivals vary: rate, CV, Gamma shape, dispersion. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.stats import gamma
from streams.stats.gamma_fit import MOMENT, TRIANGULAR, YE_CHEN, ZEROS_MAX, BinnedCounts, GammaFit, fit_whole_seconds
from streams.stats.misfit import misfit
from workload.analyse.arrival_facts import ArrivalStats
from workload.analyse.arrivals import SECOND_US, Arrivals
from workload.analyse.counts import BINS_MIN, SparseCounts, whole_bins
from workload.analyse.sums import dot
from workload.trace.columns import Int64s

SCALES_S = (1, 10, 60)
MLE = "mle"
_TABLE_MAX = 1_000_000
_MISFIT_RATE_MAX = 0.5  # whole seconds: beyond half an event a second, cutting biases the moments


def describe(times_us: Int64s, resolution_us: int = 1) -> ArrivalStats:
    """Return the facts of arrivals at ``times_us`` (int64 microseconds, shape (n,), in any order).

    ``resolution_us`` is the clock's step, 1,000,000 for whole seconds: gaps below it are lost and never made up; alpha
    then comes from the likelihood of the cut gaps (up to 2 a second) or from the counts' dispersion. Fine stamps: the
    maximum likelihood shape corrected for bias; with up to 1 % of gaps of no length Ye and Chen's; with more the
    moments'. What cannot be known (fewer than two arrivals, all at one time) is None.
    """
    times = times_us if bool(np.all(times_us[1:] >= times_us[:-1])) else np.sort(times_us)
    return describe_arrivals(Arrivals.of(times, resolution_us))


def describe_arrivals(arrivals: Arrivals) -> ArrivalStats:
    """As ``describe``."""
    n, gaps = arrivals.n, max(arrivals.n - 1, 0)
    total_s = arrivals.span * arrivals.unit_us / SECOND_US
    rate = gaps / total_s if total_s else None
    c2 = squared_cv(arrivals)
    second = SparseCounts.of(arrivals, SECOND_US // arrivals.unit_us)
    counts = {scale: second.coarser(scale) if scale > 1 else second for scale in SCALES_S}
    bins = {scale: whole_bins(arrivals, scale * SECOND_US) for scale in SCALES_S}
    fit = _fit(arrivals, c2, rate, counts, bins) if rate else None
    spread = {
        scale: counts[scale].dispersion(bins[scale]) if bins[scale] >= BINS_MIN else (None, None) for scale in SCALES_S
    }
    return ArrivalStats(
        n=n,
        gaps=gaps,
        rate_per_s=rate,
        mean_gap_s=1 / rate if rate else None,
        cv=None if c2 is None else c2**0.5,
        zero_ratio=arrivals.zeros / gaps if gaps else None,
        alpha=fit.shape if fit else None,
        alpha_lower=fit.lower if fit else None,
        alpha_upper=fit.upper if fit else None,
        beta=fit.shape * rate if fit and rate else None,
        method=fit.method if fit else None,
        misfit=_misfit(fit, c2, rate, whole=arrivals.whole) if fit and rate else None,
        idc={str(scale): found[0] for scale, found in spread.items()},
        allan={str(scale): found[1] for scale, found in spread.items()},
    )


def squared_cv(arrivals: Arrivals) -> float | None:
    """Return the squared CV corrected for finite size, as ``streams.stats.cv``; None without two gaps or any time.

    The variance is taken around the mean, so floats lose nothing that matters.
    """
    n = arrivals.n - 1
    if n < 2 or len(arrivals.at) < 2 or (arrivals.zeros and len(arrivals.at) == 2):  # all time in one gap
        return None
    mean = arrivals.span / n
    off = arrivals.gaps - mean
    ratio = (dot(off, off) + arrivals.zeros * mean**2) / n / mean**2
    return n * ratio / (n - 1 - ratio) if ratio < n - 1 else None


def _fit(
    arrivals: Arrivals, c2: float | None, rate: float, counts: dict[int, SparseCounts], bins: dict[int, int]
) -> GammaFit | None:
    if not arrivals.whole:
        return _fit_fine(arrivals, c2)
    whole, seen = _histogram(arrivals.gaps)
    if arrivals.zeros:
        whole, seen = np.concatenate([[0], whole]), np.concatenate([[arrivals.zeros], seen])
    binned = [_binned(counts[scale], scale, bins[scale]) for scale in SCALES_S]
    return fit_whole_seconds(rate, c2, histogram=(whole, seen), binned=binned)


def _histogram(gaps: NDArray[Any]) -> tuple[Int64s, Int64s]:
    if int(gaps.max()) > _TABLE_MAX:
        return np.unique(gaps, return_counts=True)
    seen = np.bincount(gaps)
    return np.flatnonzero(seen), seen[seen > 0]


def _binned(counts: SparseCounts, scale: int, bins: int) -> BinnedCounts:
    kept = counts.counts[counts.bins < bins].astype(np.float64)
    return BinnedCounts(scale, bins, int(kept.sum()), int(dot(kept, kept)))


def _fit_fine(arrivals: Arrivals, c2: float | None) -> GammaFit | None:
    n, zeros = arrivals.n - 1, arrivals.zeros
    if zeros > ZEROS_MAX * n:
        shape, method, interval = gamma.moment(c2), MOMENT, gamma.moment_interval
    else:
        positive = arrivals.gaps / SECOND_US
        logs, method, interval = np.log(positive), MLE, gamma.shape_interval
        total, log_total = arrivals.span / SECOND_US, float(logs.sum())
        if zeros:
            method = YE_CHEN
            shape = gamma.ye_chen(n, total, log_total, dot(positive, logs), zeros)
        else:
            with np.errstate(all="ignore"):  # equal gaps have no shape
                found = float(gamma.mle(n, total, log_total))
            shape = found if n > 1 and 0 < found < gamma.SHAPE_MAX else None
    if shape is None:
        return None
    lower, upper = interval(shape, n) or (None, None)
    return GammaFit(shape, lower, upper, method)


def _misfit(fit: GammaFit, c2: float | None, rate: float, *, whole: bool) -> float | None:
    if not whole or (fit.method == TRIANGULAR and rate <= _MISFIT_RATE_MAX):
        return misfit(1 / c2 if c2 else None, fit.shape)
    return None
