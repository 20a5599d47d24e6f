"""Gaps between requests by their own quantiles, where no family has their shape. Pure.

The law has a mean of 1 and is linear in the logarithm between points: gaps range over six and more powers of ten.
"""

import numpy as np
from numpy.typing import NDArray

from workload.model.model import Quantiles

Floats = NDArray[np.float64]

GAP_MIN = 1e-9  # of the mean gap: what a gap of no length (requests sent together) counts as


def log_gaps(law: Quantiles) -> Floats:
    """Return the logarithms of the law's values."""
    return np.log(np.maximum(np.asarray(law.values, np.float64), GAP_MIN))


def gap_moments(law: Quantiles) -> tuple[float, float]:
    """Return mean and squared CV of what is drawn.

    Between a and b, linear in the logarithm, E[x] = (b - a)/ln(b/a) and E[x^2] = (b^2 - a^2)/(2 ln(b/a)).

    >>> one = Quantiles(probabilities=(0.0, 1.0), values=(1.0, 1.0))
    >>> gap_moments(one)
    (1.0, 0.0)
    """
    logs, chances = log_gaps(law), np.diff(law.probabilities)
    low, wide = np.exp(logs[:-1]), np.diff(logs)
    flat = np.where(wide > 0, wide, 1.0)
    mean = float(chances @ (low * np.where(wide > 0, np.expm1(flat) / flat, 1.0)))
    square = float(chances @ (low**2 * np.where(wide > 0, np.expm1(2 * flat) / (2 * flat), 1.0)))
    return mean, square / mean**2 - 1


def draw_gaps(rng: np.random.Generator, n: int, law: Quantiles) -> Floats:
    """Return ``n`` gaps: one from each n-th part of the law, in an order of chance.

    Drawn freely, the few gaps that are as long as all others together would come once too often or not at all, and
    with them the scale of all the rest would change.
    """
    places = (rng.permutation(n) + rng.random(n)) / max(n, 1)
    return np.exp(np.interp(places, law.probabilities, log_gaps(law)))
