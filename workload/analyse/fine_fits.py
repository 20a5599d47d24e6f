"""Families fitted to gaps of fine stamps, window by window: parameters, log-likelihood, KS distance."""

import numpy as np
from numpy.typing import NDArray

from streams.stats.gamma import SHAPE_MAX
from streams.stats.polygamma import digamma, trigamma
from workload.analyse.arrival_facts import FAMILIES
from workload.analyse.cut_fits import Fit, cdf
from workload.analyse.log_gamma import log_gamma

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STEPS = 30
_HALF_LOG_2_PI_E = 0.5 * np.log(2 * np.pi * np.e)


def fit_all(gaps_s: Floats, first: Ints) -> dict[str, Fit]:
    """Return the maximum likelihood fits to windows of gaps above zero, by family.

    ``gaps_s`` in seconds, window after window; window i begins at ``first[i]``, and none is empty. NaN where all gaps
    of a window are alike. The log-likelihoods are of densities per second.
    """
    n = np.diff(first, append=len(gaps_s)).astype(np.float64)
    with np.errstate(all="ignore"):
        logs = np.log(gaps_s)
        total, log_total = np.add.reduceat(gaps_s, first), np.add.reduceat(logs, first)
        mean, centre = total / n, log_total / n
        window = np.repeat(np.arange(len(first)), n.astype(np.int64))
        spread = np.sqrt(np.add.reduceat((logs - centre[window]) ** 2, first) / n)
        alike = spread < 1 / SHAPE_MAX
        found = {
            "exponential": (1 / mean[None], -n * (np.log(mean) + 1)),
            "gamma": _gamma(n, mean, centre),
            "weibull": _weibull(logs, first, centre, spread),
            "lognormal": (
                np.stack([centre, spread]),
                -log_total - n * (np.log(spread) + 0.5 * np.log(2 * np.pi) + 0.5),
            ),
        }
        ordered = _sorted(gaps_s, first)
        return {name: _fit(name, found[name], ordered, first, alike & (name != "exponential")) for name in FAMILIES}


def _gamma(n: Floats, mean: Floats, centre: Floats) -> tuple[Floats, Floats]:
    s = np.log(mean) - centre
    a = (3 - s + np.sqrt((s - 3) ** 2 + 24 * s)) / (12 * s)
    for _ in range(5):  # Minka 2002, as streams.stats.gamma.mle, but without the correction for bias
        a = 1 / (1 / a + (np.log(a) - s - digamma(a)) / (a * a * (1 / a - trigamma(a))))
    value = n * (a * np.log(a / mean) - log_gamma(a) + (a - 1) * centre - a)
    return np.stack([a, a / mean]), value


def _weibull(logs: Floats, first: Ints, centre: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Solve 1/k = sum(x^k ln x)/sum(x^k) - mean ln x by Newton's method in k."""
    n = np.diff(first, append=len(logs)).astype(np.float64)
    window = np.repeat(np.arange(len(first)), n.astype(np.int64))
    off = logs - centre[window]
    k = 1.28 / np.maximum(spread, 1e-6)
    for _ in range(_STEPS):
        power = np.exp(np.clip(k[window] * off, -700, 700))
        s0 = np.add.reduceat(power, first)
        power *= off
        m1 = np.add.reduceat(power, first) / s0
        power *= off
        m2 = np.add.reduceat(power, first) / s0
        move = (1 / k - m1) / (1 / k**2 + m2 - m1**2)
        k = np.maximum(k + move, k / 3)
        if not np.any(np.abs(move) > 1e-7 * k):
            break
    scale = np.exp(centre + np.log(np.add.reduceat(np.exp(np.clip(k[window] * off, -700, 700)), first) / n) / k)
    value = n * (np.log(k) - k * np.log(scale) + (k - 1) * centre - 1)
    return np.stack([k, scale]), value


def _sorted(gaps_s: Floats, first: Ints) -> Floats:
    ordered = gaps_s.copy()
    for low, high in zip(first.tolist(), [*first[1:].tolist(), len(ordered)], strict=True):
        ordered[low:high].sort()
    return ordered


def _fit(name: str, found: tuple[Floats, Floats], ordered: Floats, first: Ints, unknown: NDArray[np.bool_]) -> Fit:
    p, value = found
    n = np.diff(first, append=len(ordered))
    window = np.repeat(np.arange(len(first)), n)
    rank = np.arange(len(ordered)) - first[window]
    model = cdf(name, p[:, window], ordered)
    size = n[window]
    off = np.maximum(model - rank / size, (rank + 1) / size - model)
    ks = np.maximum.reduceat(off, first)
    unknown = unknown | ~np.isfinite(value)
    return Fit(np.where(unknown, np.nan, p), np.where(unknown, np.nan, value), np.where(unknown, np.nan, ks))
