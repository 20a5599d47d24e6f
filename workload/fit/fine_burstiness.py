"""alpha(t) of gaps whose lengths are known to the microsecond. Pure.

For gaps of the chosen family the likelihood knows alpha best. Where moments and likelihood disagree (the tail is not
the family's), the moments are taken, because the model promises the CV, and the family that is likeliest with that CV;
if what it would draw is far from the data, the gaps' own quantiles (``own_gaps``).
"""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log

import numpy as np

from streams.stats.gamma import SHAPE_MAX
from streams.stats.polygamma import trigamma
from workload.fit.burstiness import (
    ALPHA_MIN,
    CROWDED_MIN,
    GAPS_MIN,
    LIKELIHOOD,
    MOMENTS,
    OWN,
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
from workload.fit.gap_families import Gaps, distance_with, gap_candidates, gap_shapes, likeliest_with
from workload.fit.own_gaps import far, own_candidate, own_law
from workload.model.gap_law import gap_moments
from workload.model.model import EMPIRICAL
from workload.trace.columns import Int64s

ZEROS_MAX = 0.01  # share of gaps of no length that chance explains; more are requests sent together
MISFIT_MAX = 0.25  # |ln(alpha by moments / alpha by likelihood)|: beyond, the family's tail is not the data's


def fine_burstiness(gaps: Floats, window: Int64s, number: int, *, tick: Floats) -> Burstiness | None:
    """Return the burstiness of ``gaps``; ``window`` says for each in which of ``number`` windows it ends.

    The unit does not matter, but a gap of no length must be 0; ``tick`` is the clock's step in that unit, for each gap.
    A few gaps of 0 are counted as what their logarithm is expected to be, two Gamma stamps being cut alike: ln tick -
    1/alpha - 1/(1 + alpha) (``streams.stats.gamma.ye_chen``); more are left out, and the moments taken. None where
    no window, and not all of them together, has ``FEW_GAPS`` gaps that differ.
    """
    merged = merging(window, number)
    wide, positive = window // merged, gaps > 0
    zeros = 1 - float(positive.mean()) if len(gaps) else 0.0
    moments, pooled = by_moments(gaps, wide)
    if pooled and 0 < zeros <= ZEROS_MAX:
        counted = np.where(positive, gaps, tick * exp(-1 / pooled - 1 / (1 + pooled)))
        positive = counted > 0
    else:
        counted = gaps
    kept, place = crowded(wide[positive], counted[positive])
    if not len(kept):
        return None
    mine = place[wide[positive]] >= 0
    known = Gaps(counted[positive][mine], place[wide[positive]][mine])
    candidates = gap_candidates(known.only(judged_windows(len(kept))))
    winner = best(candidates)
    family = winner.family if winner else "gamma"
    n = np.bincount(wide)[kept].astype(np.float64)
    likely = np.where(n >= GAPS_MIN, alpha_of(family, gap_shapes(known, family)), np.nan)
    moment = np.where(n >= GAPS_MIN, moments[kept], np.nan)
    misfit = _misfit(weighed(moment, n), weighed(likely, n))
    if in_company(np.bincount(wide), GAPS_MIN) < CROWDED_MIN or misfit is None:
        method, alpha, alphas = POOLED, pooled, np.full(len(kept), np.nan)
    elif zeros <= ZEROS_MAX and abs(misfit) <= MISFIT_MAX:
        method, alpha, alphas = LIKELIHOOD, weighed(likely, n), likely
    else:
        method, alpha, alphas = MOMENTS, weighed(moment, n), moment
    if alpha is None:
        return None
    if method == MOMENTS:
        family = likeliest_with(known, alpha)
    used = float(n.sum() if method == POOLED else n[~np.isnan(alphas)].sum())
    spread = 1 + alpha * float(trigamma(1 + alpha)) if method == LIKELIHOOD else 2 * (1 + 1 / alpha)
    if own := _own(known, (gaps, wide), candidates, (method, family, alpha)):
        return replace(own, misfit=misfit, zeros=zeros, by_window=np.full(number, np.nan))
    of_no_family = method == MOMENTS and abs(misfit or 0.0) > MISFIT_MAX
    bounds = (None, None) if of_no_family else interval(alpha, spread / used)
    return Burstiness(
        alpha=alpha,
        lower=bounds[0],
        upper=bounds[1],
        by_window=spread_over(kept, alphas, merged=merged, number=number),
        family=family,
        candidates=candidates,
        method=method,
        misfit=misfit,
        gaps=int(used),
        zeros=zeros,
        merged=merged,
    )


def _own(
    known: Gaps, every: tuple[Floats, Int64s], candidates: Sequence[Candidate], chosen: tuple[str, str, float]
) -> Burstiness | None:
    """Return the gaps' own quantiles where the ``chosen`` family (method, name, alpha) is far from them, else None.

    ``every`` are all gaps and their windows, those of no length too.
    """
    method, family, alpha = chosen
    winner = best(candidates)
    if method == POOLED or winner is None:
        return None
    drawn = distance_with(known, family, alpha) if method == MOMENTS else winner.ks
    if not far(drawn, len(known.scaled)):
        return None
    own = own_candidate(known.only(judged_windows(len(known.n))))
    if best([winner, own]) is not own:
        return None
    gaps, window = every
    n = np.bincount(window)
    mean = np.bincount(window, weights=gaps) / np.maximum(n, 1)
    inside = mean[window] > 0
    law = own_law(gaps[inside] / mean[window][inside])
    squared_cv = gap_moments(law)[1]
    if not 1 / SHAPE_MAX < squared_cv < 1 / ALPHA_MIN:
        return None
    return Burstiness(
        alpha=1 / squared_cv,
        lower=None,
        upper=None,
        by_window=np.empty(0),
        family=EMPIRICAL,
        candidates=[*candidates, own],
        method=OWN,
        misfit=None,
        gaps=len(gaps),
        zeros=0.0,
        law=law,
    )


def _misfit(moment: float | None, likely: float | None) -> float | None:
    return log(moment / likely) if moment and likely else None
