"""Gaps that no family describes, told by their own quantiles: when that is worth its many numbers, and which. Pure.

A family says in two numbers a window what quantiles say in some sixty for all windows: they are taken only where what
the family would draw is far from the data, and where they are likelier even with all their numbers counted (AIC).
"""

import numpy as np

from workload.fit.candidates import Candidate, Floats
from workload.fit.gap_families import Gaps, uniform_distance
from workload.model.gap_law import GAP_MIN, gap_moments
from workload.model.model import EMPIRICAL, Quantiles

GAPS_MIN = 1000  # for quantiles of their own
KS_FAR = 0.1  # what a family draws is this far from the data, or ``_BOUNDS`` times what chance does in 5 %
_BOUNDS, _KS_95 = 3, 1.36
_BODY = tuple(i / 50 for i in range(50))
_TAIL = (0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)


def far(distance: float | None, n: int) -> bool:
    """Return whether a KS distance over ``n`` gaps, of a family fitted to them, is out of bounds by far."""
    return distance is not None and n >= GAPS_MIN and distance > max(KS_FAR, _BOUNDS * _KS_95 / n**0.5)


def own_law(scaled: Floats) -> Quantiles:
    """Return the quantiles of gaps over their windows' means: every 2 %, closer where they are long; mean 1.

    The tail has the points beyond which gaps lie, and the longest two: a handful of gaps makes most of the CV.
    """
    n = len(scaled)
    points = (*_BODY, *(p for p in _TAIL if n * (1 - p) >= 3), 1 - 1 / n, 1.0)
    values = np.maximum(np.quantile(scaled, points), GAP_MIN)
    mean, _ = gap_moments(Quantiles(probabilities=points, values=tuple(values.tolist())))
    told = tuple(float(f"{value:.5g}") for value in np.maximum(values / mean, GAP_MIN).tolist())
    return Quantiles(probabilities=points, values=told)


def own_candidate(gaps: Gaps) -> Candidate:
    """Return how well quantiles of the gaps themselves describe them, beside ``gap_families.gap_candidates``.

    The likelihood is that of a density that is even in ln x between points. Points of one value are taken together
    with the stretch below, which can but lower it. Counted as fitted: each point, and each window's mean.
    """
    law = own_law(gaps.scaled)
    logs, last = np.unique(np.log(law.values)[::-1], return_index=True)
    upto = np.asarray(law.probabilities)[::-1][last]
    upto[0] = 0.0
    n, likelihood = int(gaps.n.sum()), -np.inf
    if len(logs) > 1:
        cell = np.clip(np.searchsorted(logs, gaps.logs, side="left") - 1, 0, len(logs) - 2)
        density = np.log(np.diff(upto)) - np.log(np.diff(logs))
        likelihood = float(density[cell].sum() - gaps.logs.sum() - gaps.n @ np.log(gaps.mean))
    return Candidate(
        family=EMPIRICAL,
        parameters={"points": float(len(law.values))},
        free=len(law.values) + len(gaps.n),
        n=n,
        log_likelihood=likelihood,
        ks=uniform_distance(np.interp(gaps.logs, logs, upto)),
    )
