"""Which family do the gaps between requests follow? Exponential, Gamma, Weibull, log-normal, window by window. Pure.

Each window has parameters of its own, because the rate changes from one to the next and would else pass for
burstiness; what is compared is the likelihood of all windows together. Stamps in microseconds are judged here,
stamps cut to whole seconds by ``whole_gaps``.
"""

from math import lgamma, log, log1p, pi, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streams.stats.gamma import mle
from workload.fit.candidates import TINY, Candidate, Floats, gamma_cdf, log_gammas, normal_cdf
from workload.scale.renewal import weibull_shape

FAMILIES = ("exponential", "gamma", "weibull", "lognormal")
KS_GAPS_MAX = 8_000  # distribution functions are worked out for so many gaps, spread evenly
_WEIBULL_STEPS = 20
_WEIBULL_CLOSE = 1e-6


class Gaps:
    """Gaps above zero, in seconds, by window: ``window`` holds 0, 1, ... for each gap; none of them may be empty."""

    def __init__(self, seconds: Floats, window: NDArray[np.int64]) -> None:
        self.window = window
        self.n: Floats = np.bincount(window).astype(np.float64)
        self.mean: Floats = self.sums(seconds) / self.n
        self.scaled = seconds / self.mean[window]  # the mean of each window is 1: no overflow in powers
        self.logs: Floats = np.log(self.scaled)
        self.mean_log: Floats = self.sums(self.logs) / self.n

    def only(self, windows: NDArray[np.int64]) -> Self:
        """Return the gaps of some of the windows (ascending)."""
        if len(windows) == len(self.n):
            return self
        place = np.full(len(self.n), -1, np.int64)
        place[windows] = np.arange(len(windows))
        mine = place[self.window] >= 0
        return type(self)((self.scaled * self.mean[self.window])[mine], place[self.window[mine]])

    def sums(self, values: Floats) -> Floats:
        """Return the sum of ``values`` in each window."""
        return np.asarray(np.bincount(self.window, weights=values), np.float64)


def gap_candidates(gaps: Gaps) -> list[Candidate]:
    """Return the four families fitted to each window: parameters (medians), likelihood, and KS of all gaps pooled.

    KS is that of the gaps' probability transforms against the uniform distribution. Windows whose gaps are all
    alike have no shape: leave them out before.
    """
    return [_exponential(gaps), _gamma(gaps), _weibull(gaps), _lognormal(gaps)]


def gap_shapes(gaps: Gaps, family: str) -> Floats:
    """Return each window's likeliest shape: Gamma's alpha (corrected for bias), Weibull's k, log-normal's sigma.

    The exponential family has none: what is returned is how far the gaps are from it, as Gamma's alpha.
    """
    if family in {"gamma", "exponential"}:
        return mle(gaps.n, gaps.n, gaps.n * gaps.mean_log)
    if family == "weibull":
        return _weibull_shapes(gaps)
    if family == "lognormal":
        variance = gaps.sums((gaps.logs - gaps.mean_log[gaps.window]) ** 2) / gaps.n
        return np.sqrt(np.maximum(variance, TINY))
    raise ValueError(f"unknown family of gaps {family!r}")


def likeliest_with(gaps: Gaps, alpha: float) -> str:
    """Return the family that is likeliest if all gaps have the squared CV 1/``alpha``, with the windows' own means.

    For gaps whose tail no family follows freely: which one goes best with the CV they have.
    """
    n, x, logs = len(gaps.scaled), float(gaps.scaled.sum()), float(gaps.logs.sum())
    k, sigma2 = weibull_shape(alpha), log1p(1 / alpha)
    front = k * lgamma(1 + 1 / k)  # of a mean of 1
    power = float(np.exp(k * gaps.logs + front).sum())
    away = float(((gaps.logs + sigma2 / 2) ** 2).sum())
    found = {
        "gamma": n * (alpha * log(alpha) - lgamma(alpha)) + (alpha - 1) * logs - alpha * x,
        "weibull": n * (log(k) + front) + (k - 1) * logs - power,
        "lognormal": -logs - away / (2 * sigma2) - n * log(2 * pi * sigma2) / 2,
    }
    return max(found, key=lambda name: found[name])


def distance_with(gaps: Gaps, family: str, alpha: float) -> float:
    """Return the KS distance of the gaps over their windows' means from the family with mean 1 and CV^2 1/``alpha``."""
    x, logs = _some(gaps.scaled), _some(gaps.logs)
    if family == "lognormal":
        sigma2 = log1p(1 / alpha)
        return uniform_distance(normal_cdf((logs + sigma2 / 2) / sqrt(sigma2)))
    if family == "weibull":
        k = weibull_shape(alpha)
        return uniform_distance(-np.expm1(-np.exp(k * (logs + lgamma(1 + 1 / k)))))
    return uniform_distance(gamma_cdf(np.full(len(x), alpha), alpha * x))


def _candidate(gaps: Gaps, family: str, medians: dict[str, Floats], likelihood: Floats, below: Floats) -> Candidate:
    # The scaled gaps' likelihood is that of the gaps times mean^n.
    return Candidate(
        family=family,
        parameters={name: float(np.median(values)) for name, values in medians.items()},
        free=len(medians) * len(gaps.n),
        n=int(gaps.n.sum()),
        log_likelihood=float(likelihood.sum() - gaps.n @ np.log(gaps.mean)),
        ks=uniform_distance(below),
    )


def _exponential(gaps: Gaps) -> Candidate:
    below: Floats = -np.expm1(-_some(gaps.scaled))
    return _candidate(gaps, "exponential", {"rate": 1 / gaps.mean}, -gaps.n, below)


def _gamma(gaps: Gaps) -> Candidate:
    shape = gap_shapes(gaps, "gamma")
    front = shape * np.log(shape) - log_gammas(shape)
    likelihood = gaps.n * (front + (shape - 1) * gaps.mean_log - shape)
    mine = shape[_some(gaps.window)]
    below = gamma_cdf(mine, mine * _some(gaps.scaled))
    return _candidate(gaps, "gamma", {"alpha": shape, "beta": shape / gaps.mean}, likelihood, below)


def _weibull_shapes(gaps: Gaps) -> Floats:
    """Newton's method on 1/k = sum x^k ln x / sum x^k - mean ln x, kept within a factor of 2 a step."""
    k = np.ones(len(gaps.n))
    for _ in range(_WEIBULL_STEPS):
        power = np.exp(k[gaps.window] * gaps.logs)
        s0, s1, s2 = (gaps.sums(power * gaps.logs**j) for j in range(3))
        miss = s1 / s0 - 1 / k - gaps.mean_log
        slope = s2 / s0 - (s1 / s0) ** 2 + 1 / k**2
        better = np.clip(k - miss / slope, k / 2, k * 2)
        k, moved = better, float(np.abs(better - k).max())
        if moved < _WEIBULL_CLOSE:
            break
    return k


def _weibull(gaps: Gaps) -> Candidate:
    k = gap_shapes(gaps, "weibull")
    scale_k = gaps.sums(np.exp(k[gaps.window] * gaps.logs)) / gaps.n
    likelihood = gaps.n * (np.log(k) - np.log(scale_k) + (k - 1) * gaps.mean_log - 1)
    window = _some(gaps.window)
    below: Floats = -np.expm1(-np.exp(k[window] * _some(gaps.logs)) / scale_k[window])
    medians = {"shape": k, "scale": gaps.mean * scale_k ** (1 / k)}
    return _candidate(gaps, "weibull", medians, likelihood, below)


def _lognormal(gaps: Gaps) -> Candidate:
    sigma = gap_shapes(gaps, "lognormal")
    likelihood = -gaps.n * (gaps.mean_log + 0.5 * (log(2 * pi) + 1) + np.log(sigma))
    window = _some(gaps.window)
    below = normal_cdf((_some(gaps.logs) - gaps.mean_log[window]) / sigma[window])
    return _candidate(gaps, "lognormal", {"mu": gaps.mean_log + np.log(gaps.mean), "sigma": sigma}, likelihood, below)


def _some(values: NDArray[Any]) -> NDArray[Any]:
    return values[:: max(1, -(-len(values) // KS_GAPS_MAX))]


def uniform_distance(below: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance of probability transforms from the uniform distribution."""
    u, n = np.sort(below), len(below)
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - u).max(), (u - steps[:-1]).max()))
