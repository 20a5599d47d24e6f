"""alpha(t): how bursty gaps are, window by window, and which family they are likeliest of: what is common. Pure.

alpha stands for 1/CV^2 whatever the family, as in the model file. ``fine_burstiness`` and ``whole_burstiness``
estimate it, for stamps in microseconds and for stamps cut to whole seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from streams.stats.gamma import SHAPE_MAX
from workload.fit.candidates import Candidate, Floats, log_gammas
from workload.model.model import Quantiles
from workload.trace.columns import Int64s

GAPS_MIN = 30  # per window, for an alpha of its own; with fewer it is anybody's guess
FEW_GAPS = 8  # per window, to say something together with other windows
WINDOWS_JUDGED_MAX = 300  # families are compared in so many windows, spread evenly
ALPHA_MIN = 1e-3
CROWDED_MIN = 0.5  # share of the gaps that must lie in windows with enough of them
LIKELIHOOD, MOMENTS, POOLED = "likelihood", "moments", "moments of all windows together"
INTERVALS, COUNTS = "interval likelihood", "counts"
OWN = "quantiles of the gaps"
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Burstiness:
    """What was found.

    Attributes:
        alpha: mean over the windows, weighed by their gaps; ``lower`` and ``upper`` its 95 % interval, None where
            the gaps are of no known family, on which an interval would rest.
        by_window: the same for each window, NaN where it has too few gaps.
        family: the likeliest of ``candidates``; "empirical" where it is the gaps' own quantiles, ``law``.
        method: how alpha was estimated; ``misfit`` is ln(alpha by moments/alpha by likelihood), None unless both are.
        gaps: how many went in; ``zeros`` the share of no length.
        merged: windows taken together because single ones have too few gaps.
    """

    alpha: float
    lower: float | None
    upper: float | None
    by_window: Floats
    family: str
    candidates: Sequence[Candidate]
    method: str
    misfit: float | None
    gaps: int
    zeros: float
    merged: int = 1
    law: Quantiles | None = None


def interval(alpha: float, variance: float) -> tuple[float, float]:
    """Return the 95 % interval of ``alpha`` whose logarithm has this variance; a factor of 1,000 at most."""
    factor = exp(min(_Z_95 * sqrt(variance), 6.9))
    return alpha / factor, alpha * factor


def alpha_of(family: str, shape: Floats) -> Floats:
    """Return 1/CV^2 of a family with this shape: Gamma's alpha, Weibull's k, log-normal's sigma."""
    if family == "weibull":
        squared_cv = np.expm1(log_gammas(1 + 2 / shape) - 2 * log_gammas(1 + 1 / shape))
    elif family == "lognormal":
        squared_cv = np.expm1(np.minimum(shape * shape, 50.0))
    else:
        squared_cv = 1 / shape
    return np.asarray(np.clip(1 / np.maximum(squared_cv, 1 / SHAPE_MAX), ALPHA_MIN, SHAPE_MAX), np.float64)


def weighed(values: Floats, weights: Floats) -> float | None:
    """Return the mean of ``values`` that are not NaN; None without any."""
    known = ~np.isnan(values) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else None


def merging(window: Int64s, number: int) -> int:
    """Return how many of ``number`` windows to take together so that half of the gaps are in company of a few.

    1, 2, 4, ... up to all of them.
    """
    merged = 1
    while merged < number and in_company(np.bincount(window // merged), FEW_GAPS) < CROWDED_MIN:
        merged *= 2
    return merged


def in_company(n: Int64s, least: int) -> float:
    """Return the share of gaps in windows with at least ``least`` of them, ``n`` being the gaps of each window."""
    return float(n[n >= least].sum()) / max(float(n.sum()), 1.0)


def crowded(window: Int64s, gaps: Floats) -> tuple[Int64s, Int64s]:
    """Return the windows with ``FEW_GAPS`` gaps that are not all alike, and each window's place among them or -1."""
    n = np.bincount(window)
    least, greatest = np.full(len(n), np.inf), np.full(len(n), -np.inf)
    np.minimum.at(least, window, gaps)
    np.maximum.at(greatest, window, gaps)
    kept = np.flatnonzero((n >= FEW_GAPS) & (greatest > least * (1 + 1e-9)))
    place = np.full(len(n), -1, np.int64)
    place[kept] = np.arange(len(kept))
    return kept, place


def by_moments(gaps: Floats, window: Int64s) -> tuple[Floats, float | None]:
    """Return 1/CV^2 of each window, corrected for finite size (``streams.stats.cv``), and of all windows together.

    The latter solves sum n r2 = sum n (n-1)/(n alpha + 1) over the windows with ``FEW_GAPS`` gaps, r2 their squared CV
    (population variance): the exact expectation for Gamma gaps, so that windows of a few gaps and of any rate give an
    unbiased estimate together. NaN and None where there is none.
    """
    n = np.bincount(window).astype(np.float64)
    mean = np.bincount(window, weights=gaps) / np.maximum(n, 1)
    scaled = gaps / np.maximum(mean[window], 1e-300)
    r2 = np.bincount(window, weights=(scaled - 1) ** 2) / np.maximum(n, 1)
    usable = (n >= 2) & (r2 > 0) & (r2 < n - 1)
    safe = np.where(usable, r2, 1.0)
    alone = np.where(usable, np.clip((n - 1 - safe) / np.maximum(n * safe, 1), ALPHA_MIN, SHAPE_MAX), np.nan)
    few = (n >= FEW_GAPS) & (mean > 0)
    seen = float(n[few] @ r2[few])
    if not few.any() or seen <= 0:
        return alone, None
    low, high = ALPHA_MIN, SHAPE_MAX
    for _ in range(60):
        middle = sqrt(low * high)
        expected = float((n[few] * (n[few] - 1) / (n[few] * middle + 1)).sum())
        low, high = (middle, high) if expected > seen else (low, middle)
    return alone, sqrt(low * high)


def judged_windows(number: int) -> Int64s:
    """Return at most ``WINDOWS_JUDGED_MAX`` of ``number`` windows, spread evenly."""
    return np.unique(np.linspace(0, number - 1, min(number, WINDOWS_JUDGED_MAX)).astype(np.int64))


def spread_over(kept: Int64s, values: Floats, *, merged: int, number: int) -> Floats:
    """Return values of the windows ``kept``, each of which is ``merged`` of ``number``, as a value for each or NaN."""
    wide = np.full(-(-number // merged), np.nan)
    wide[kept] = values
    return np.repeat(wide, merged)[:number]
