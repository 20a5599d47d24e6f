"""Zipf's law of lengths, P(k) proportional to k^-theta for k = 1..k_max, by maximum likelihood."""

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import Zipf
from workload.analyse.sums import dot

Ints = NDArray[np.int64]

K_MAX = 1 << 22
_STEPS = 50


def zipf(values: Ints, counts: Ints) -> Zipf | None:
    """Return the law of whole ``values`` from 1 up (ascending, each ``counts`` times); None if all are 1 or too great.

    k_max is the greatest value: theta may then be anything, below 1 too. Newton's method on the log-likelihood
    -theta sum(ln x) - n ln(sum k^-theta), which is concave.
    """
    if not len(values) or values[-1] < 2 or values[-1] > K_MAX:
        return None
    n, k_max = int(counts.sum()), int(values[-1])
    logs = np.log(np.arange(1, k_max + 1, dtype=np.float64))
    mean_log = float(logs[values - 1] @ counts) / n
    theta = 1.0
    for _ in range(_STEPS):
        weights = np.exp(-theta * logs)
        weights /= weights.sum()
        mean = dot(weights, logs)
        bend = dot(weights, logs * logs) - mean**2
        move = (mean - mean_log) / max(bend, 1e-12)
        theta += max(-1.0, min(1.0, move))
        if abs(move) < 1e-9 or abs(theta) > 200:
            break
    weights = np.exp(-theta * logs)
    total = float(weights.sum())
    model = np.cumsum(weights) / total
    upto = np.cumsum(counts) / n
    before = np.concatenate([[0.0], upto[:-1]])
    just_below = np.where(values > 1, model[values - 2], 0.0)
    ks = max(float(np.abs(upto - model[values - 1]).max()), float(np.abs(before - just_below).max()))
    value = -n * (theta * mean_log + float(np.log(total)))
    return Zipf(theta=theta, k_max=k_max, ks=ks, log_likelihood=value)
