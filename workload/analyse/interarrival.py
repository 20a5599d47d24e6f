"""How the gaps of one sequence of arrivals vary: rate, CV, Gamma shape, dispersion. Pure."""

import numpy as np

from streams.stats import gamma
from streams.stats.gamma_fit import MOMENT, YE_CHEN, ZEROS_MAX, BinnedCounts, GammaFit, fit_whole_seconds
from streams.stats.misfit import misfit
from workload.analyse.arrival_facts import ArrivalStats
from workload.analyse.counts import SparseCounts
from workload.trace.columns import Int64s

SCALES_S = (1, 10, 60)
MLE = "mle"
SECOND_US = 1_000_000
_MISFIT_RATE_MAX = 0.5  # whole seconds: beyond half an event a second, cutting biases the moments


def describe(times_us: Int64s, resolution_us: int = 1) -> ArrivalStats:
    """Return the facts of arrivals at ``times_us`` (int64 microseconds, shape (n,), in any order).

    ``resolution_us`` is the clock's step, 1,000,000 for whole seconds: gaps below it are lost and never made up; alpha
    then comes from the likelihood of the cut gaps (up to 2 a second) or from the counts' dispersion. Fine stamps: the
    maximum likelihood shape corrected for bias; with up to 1 % of gaps of no length Ye and Chen's; with more the
    moments'. What cannot be known (fewer than two arrivals, all at one time) is None.
    """
    times = times_us if bool(np.all(times_us[1:] >= times_us[:-1])) else np.sort(times_us)
    gaps_us = np.diff(times)
    n, gaps = len(times), len(gaps_us)
    total_us = int(times[-1] - times[0]) if gaps else 0
    rate = gaps / total_us * 1e6 if total_us else None
    zeros = int(np.count_nonzero(gaps_us == 0))
    c2 = squared_cv(gaps_us)
    counts, bins = _counts(times, total_us, resolution_us)
    fit = _fit(gaps_us, c2, rate, resolution_us, counts) if rate else None
    spread = {scale: counts[scale].dispersion(bins[scale]) if bins[scale] > 1 else (None, None) for scale in SCALES_S}
    return ArrivalStats(
        n=n,
        gaps=gaps,
        rate_per_s=rate,
        mean_gap_s=1 / rate if rate else None,
        cv=None if c2 is None else c2**0.5,
        zero_ratio=zeros / gaps if gaps else None,
        alpha=fit.shape if fit else None,
        alpha_lower=fit.lower if fit else None,
        alpha_upper=fit.upper if fit else None,
        beta=fit.shape * rate if fit and rate else None,
        method=fit.method if fit else None,
        misfit=_misfit(fit, c2, rate, resolution_us) if fit and rate else None,
        idc={str(scale): found[0] for scale, found in spread.items()},
        allan={str(scale): found[1] for scale, found in spread.items()},
    )


def squared_cv(gaps_us: Int64s) -> float | None:
    """Return the squared CV corrected for finite size, as ``streams.stats.cv``; None without two gaps or any time.

    The variance is taken around the mean, so floats lose nothing that matters.
    """
    n = len(gaps_us)
    mean = float(gaps_us.mean()) if n > 1 else 0.0
    if not mean:
        return None
    ratio = float(np.var(gaps_us)) / mean**2
    return n * ratio / (n - 1 - ratio) if ratio < n - 1 else None


def _counts(times: Int64s, total_us: int, resolution_us: int) -> tuple[dict[int, SparseCounts], dict[int, int]]:
    second = SparseCounts.of(times - times[0] if len(times) else times, SECOND_US)
    whole_us = total_us + (resolution_us if resolution_us > 1 else 0)
    bins = {scale: whole_us // (scale * SECOND_US) for scale in SCALES_S}
    return {scale: second.coarser(scale) for scale in SCALES_S}, bins


def _fit(
    gaps_us: Int64s, c2: float | None, rate: float, resolution_us: int, counts: dict[int, SparseCounts]
) -> GammaFit | None:
    if resolution_us >= SECOND_US:
        step_rate = rate * resolution_us / SECOND_US
        whole, seen = _histogram(gaps_us // resolution_us)
        span_s = int(gaps_us.sum()) // SECOND_US + 1
        binned = [_binned(counts[scale], scale, span_s // scale) for scale in SCALES_S]
        return fit_whole_seconds(step_rate, c2, histogram=(whole, seen), binned=binned)
    return _fit_fine(gaps_us, c2)


def _histogram(gaps: Int64s) -> tuple[Int64s, Int64s]:
    if int(gaps.max()) > 1_000_000:
        return np.unique(gaps, return_counts=True)
    seen = np.bincount(gaps)
    return np.flatnonzero(seen), seen[seen > 0]


def _binned(counts: SparseCounts, scale: int, bins: int) -> BinnedCounts:
    kept = counts.counts[counts.bins < bins]
    return BinnedCounts(scale, bins, int(kept.sum()), int(kept @ kept))


def _fit_fine(gaps_us: Int64s, c2: float | None) -> GammaFit | None:
    n = len(gaps_us)
    positive = gaps_us[gaps_us > 0] / 1e6
    zeros = n - len(positive)
    if zeros > ZEROS_MAX * n:
        shape, method, interval = gamma.moment(c2), MOMENT, gamma.moment_interval
    else:
        logs, method, interval = np.log(positive), MLE, gamma.shape_interval
        total = float(positive.sum())
        if zeros:
            method = YE_CHEN
            shape = gamma.ye_chen(n, total, float(logs.sum()), float(positive @ logs), zeros)
        else:
            with np.errstate(all="ignore"):  # equal gaps have no shape
                found = float(gamma.mle(n, total, float(logs.sum())))
            shape = found if n > 1 and 0 < found < gamma.SHAPE_MAX else None
    if shape is None:
        return None
    lower, upper = interval(shape, n) or (None, None)
    return GammaFit(shape, lower, upper, method)


def _misfit(fit: GammaFit, c2: float | None, rate: float, resolution_us: int) -> float | None:
    if fit.method in {MLE, YE_CHEN} or rate * resolution_us / SECOND_US <= _MISFIT_RATE_MAX:
        return misfit(1 / c2 if c2 else None, fit.shape)
    return None
