"""Tails of the laws whose fits are drawn. Pure; the fits themselves are ``workload.analyse``'s."""

from math import erf, sqrt

import numpy as np

from workload.report.thin import Floats

_ZIPF_MOST = 2_000_000  # terms summed; lengths beyond are drawn as if the law ended there


def zipf_tail(lengths: Floats, theta: float, k_max: int) -> Floats:
    """Return P(K > k) of a Zipf law on 1 ... ``k_max``, for whole ``lengths`` of 1 or more.

    >>> zipf_tail(np.array([1.0, 2.0, 3.0]), 1.0, 3).round(4).tolist()
    [0.4545, 0.1818, 0.0]
    """
    sums = np.cumsum(np.arange(1, min(k_max, _ZIPF_MOST) + 1, dtype=np.float64) ** -theta)
    places = np.clip(lengths.astype(np.int64), 1, len(sums)) - 1
    return np.asarray(np.maximum(1 - sums[places] / sums[-1], 0.0))


def lognormal_tail(lengths: Floats, mu: float, sigma: float) -> Floats:
    """Return P(X > x) of a log-normal law; of a spread of 0, a step.

    >>> lognormal_tail(np.array([1.0, np.e]), 0.0, 1.0).round(4).tolist()
    [0.5, 0.1587]
    """
    scale = max(sigma, 1e-12) * sqrt(2)
    return np.array([0.5 * (1 - erf((x - mu) / scale)) for x in np.log(lengths)])
