"""How much load must be served so that little is turned away? A quantile of the arrivals in a horizon.

Arrivals in ``horizon_s`` seconds have mean rate * horizon and variance dispersion * mean (the index of dispersion at
that horizon). The negative binomial has just these two moments and is what a Poisson process with a Gamma
distributed rate gives (Greenwood and Yule 1920): r = mean / (dispersion - 1), p = 1 / dispersion. At a dispersion of
1 or below the Poisson distribution takes its place: never fewer than a process without bursts would need.
"""

from collections.abc import Sequence
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np

# Exact sums up to here (5 ms); beyond a standard deviation this wide the normal differs by less than 1e-3.
_DEVIATION_MAX = 2_000.0
_BELOW = 10  # deviations below the mean: less than 1e-12 lies there
_ABOVE = 40  # and above it, where the tail falls like exp(-k / dispersion) at worst


def demand_rates(rate: float, dispersion: float, *, horizon_s: float, quantiles: Sequence[float]) -> list[float]:
    """Return, for each of ``quantiles``, the rate (1/s) that arrivals in ``horizon_s`` seconds do not exceed so often.

    Exact: the smallest count whose distribution function reaches the quantile, over the horizon; above a
    standard deviation of 2,000 arrivals the normal approximation with the same two moments.

    >>> demand_rates(5.0, 1.0, horizon_s=10, quantiles=(0.5, 0.99))
    [5.0, 6.7]
    >>> demand_rates(5.0, 20.0, horizon_s=10, quantiles=(0.5, 0.99))
    [4.4, 15.0]
    >>> demand_rates(0.0, 3.0, horizon_s=10, quantiles=[0.9])
    [0.0]
    """
    mean = rate * horizon_s
    if mean <= 0:
        return [0.0] * len(quantiles)
    return [count / horizon_s for count in count_quantiles(mean, dispersion, quantiles)]


def count_quantiles(mean: float, dispersion: float, quantiles: Sequence[float]) -> list[int]:
    """Return the smallest counts whose chances of not being exceeded reach ``quantiles`` (each within 0 and 1).

    >>> count_quantiles(50.0, 1.0, [0.5]), count_quantiles(0.01, 5.0, [0.9, 0.9999])
    ([50], [0, 10])
    """
    over = max(dispersion, 1.0)
    deviation = sqrt(mean * over)
    if deviation > _DEVIATION_MAX:
        return [ceil(mean + deviation * NormalDist().inv_cdf(q)) for q in quantiles]
    first = max(0, int(mean - _BELOW * deviation))
    counts = np.arange(first + 1, mean + _ABOVE * (deviation + over) + 1)
    # The chance of a count over that of the one before; what all have in common cancels.
    if over - 1 < 1e-9:
        steps = np.log(mean / counts)
    else:
        steps = np.log((counts - 1 + mean / (over - 1)) / counts * (1 - 1 / over))
    chances = np.concatenate(([0.0], np.cumsum(steps)))
    reached = np.cumsum(np.exp(chances - chances.max()))
    return [first + int(np.searchsorted(reached, q * reached[-1])) for q in quantiles]
