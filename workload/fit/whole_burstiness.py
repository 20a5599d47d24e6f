"""alpha(t) of gaps between stamps that were cut to whole seconds. Pure.

Up to two arrivals a second by the interval likelihood of the gaps; beyond, where nearly all gaps are cut to 0, from
the dispersion of counts in 10 s, which does not depend on what happened inside a second.
"""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np

from streams.stats.dispersion import shape_of_dispersion
from workload.fit.burstiness import (
    ALPHA_MIN,
    COUNTS,
    CROWDED_MIN,
    GAPS_MIN,
    INTERVALS,
    POOLED,
    Burstiness,
    alpha_of,
    by_moments,
    crowded,
    in_company,
    interval,
    judged_windows,
    merging,
    spread_over,
    weighed,
)
from workload.fit.candidates import Candidate, Floats, best
from workload.fit.whole_gaps import GAMMA, RATE_MAX, WholeGaps, family_shapes, likelihoods, whole_gap_candidates
from workload.trace.columns import Int64s

BIN_S = 10
BINS_MIN = 30
_STEP = 0.05
# By how much these estimates are too high at worst, in simulations: 1 %, and 1.3 over the gaps of a window. With
# millions of gaps chance is less than that, and the interval would be of chance alone.
_BIAS, _BIAS_OF_FEW = 0.01, 1.3


class _Part(NamedTuple):
    """The windows that one method served: their alpha, and how much is known of ln alpha (its inverse variance)."""

    alphas: Floats
    information: float
    family: str = "gamma"
    candidates: Sequence[Candidate] = ()


def whole_burstiness(seconds: Int64s, window: Int64s, number: int, counts: Floats) -> Burstiness | None:
    """Return the burstiness of gaps of whole ``seconds``; ``window`` says for each in which of ``number`` it ends.

    ``counts`` has the arrivals in bins of ``BIN_S`` seconds, a row a window, NaN for a bin that is not to count. None
    where no window, and not all of them together, has ``GAPS_MIN`` gaps that differ.
    """
    merged = merging(window, number)
    wide = window // merged
    kept, place = crowded(wide, seconds.astype(np.float64))
    if not len(kept):
        return None
    n = np.bincount(wide)[kept].astype(np.float64)
    slow = np.bincount(wide, weights=seconds)[kept] * RATE_MAX >= n
    parts = [_Part(np.empty(0), 0.0), _Part(np.empty(0), 0.0)]
    if slow.any():
        place[kept] = np.where(slow, np.cumsum(slow) - 1, -1)
        mine = place[wide] >= 0
        parts[0] = _of_gaps(WholeGaps.of(seconds[mine], place[wide[mine]]))
    if not slow.all():
        bins = np.full((-(-number // merged) * merged, counts.shape[1]), np.nan)
        bins[:number] = counts
        parts[1] = _of_counts(bins.reshape(-1, merged * counts.shape[1])[kept[~slow]])
    alphas = np.empty(len(kept))
    alphas[slow], alphas[~slow] = parts[0].alphas, parts[1].alphas
    alphas[n < GAPS_MIN] = np.nan
    information = parts[0].information + parts[1].information
    alpha, method = weighed(alphas, n), INTERVALS if n[slow].sum() >= n[~slow].sum() else COUNTS
    if alpha is None or in_company(np.bincount(wide), GAPS_MIN) < CROWDED_MIN:
        # So few a window are so far apart that cutting to seconds does not matter to their moments.
        alpha, method = by_moments(seconds.astype(np.float64), wide)[1], POOLED
        information = n.sum() / (2 * (1 + 1 / alpha)) if alpha else 0.0
    if alpha is None:
        return None
    bias = _BIAS + _BIAS_OF_FEW / float(np.average(n, weights=n))
    lower, upper = interval(alpha, 1 / max(information, 1e-9) + bias**2)
    return Burstiness(
        alpha=alpha,
        lower=lower,
        upper=upper,
        by_window=spread_over(kept, alphas, merged=merged, number=number),
        family=parts[0].family,
        candidates=parts[0].candidates,
        method=method,
        misfit=None,
        gaps=int(n.sum() if method == POOLED else n[~np.isnan(alphas)].sum()),
        zeros=float((seconds == 0).mean()),
        merged=merged,
    )


def _of_gaps(gaps: WholeGaps) -> _Part:
    candidates = whole_gap_candidates(gaps.only(judged_windows(len(gaps.n))))
    winner = best(candidates)
    family = winner.family if winner else GAMMA.name
    alphas = alpha_of(family, family_shapes(gaps, family))
    # How much all gaps together say of ln alpha: the bend of the (composite) likelihood at the mean.
    middle = log(weighed(alphas, gaps.n) or 1.0)
    tried = [
        float(likelihoods(gaps, GAMMA, np.full(len(gaps.n), np.exp(middle + step))).sum())
        for step in (-_STEP, 0, _STEP)
    ]
    bend = (2 * tried[1] - tried[0] - tried[2]) / _STEP**2
    return _Part(alphas, max(bend, 1e-9), family, candidates)


def _of_counts(counts: Floats) -> _Part:
    """Invert each window's index of dispersion, of its bins that count; NaN where fewer than ``BINS_MIN`` do.

    Information: half the degrees of freedom that ``streams.stats.dispersion.dispersion_interval`` gives an index.
    """
    bins = (~np.isnan(counts)).sum(axis=1)
    mean = np.nansum(counts, axis=1) / np.maximum(bins, 1)
    squares = np.nansum((counts - mean[:, None]) ** 2, axis=1)
    alphas, information = np.full(len(counts), np.nan), 0.0
    for i in np.flatnonzero((bins >= BINS_MIN) & (mean > 0)).tolist():
        index = float(squares[i] / (bins[i] - 1) / mean[i])
        found = shape_of_dispersion(index, float(mean[i]) / BIN_S, BIN_S) if index > 0 else None
        if found is not None:
            alphas[i] = max(found, ALPHA_MIN)
            skewed = max((3 * index - 1) * (index - 1) / (index * float(mean[i])), 0.0)
            information += float(bins[i] - 1) / (2 + skewed)
    return _Part(alphas, information)
