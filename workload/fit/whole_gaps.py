"""The same question for stamps cut to whole seconds: the likelihood of seeing a gap as so many seconds. Pure.

A true gap x shows as m whole seconds with the chance (1 - |x - m|)+ (``streams.stats.triangular``), hence
P(m) = H(m + 1) - 2 H(m) + H(m - 1) with H(t) = E[(t - x)+]. Nothing is made up for the gaps of zero. The mean
survives the cutting, so each family keeps it and has one shape left: alpha (Gamma), k (Weibull), sigma (log-normal).
All windows are fitted at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from workload.fit.candidates import TINY, Candidate, Floats, log_gammas, normal_cdf

Int64s = NDArray[np.int64]

RATE_MAX = 2.0  # events a second: beyond, most gaps are cut to 0 and the likelihood is flat

_X, _W = np.polynomial.legendre.leggauss(24)
_UNIT, _UNIT_WEIGHTS = (_X + 1) / 2, _W / 2
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_HALF = (_NODES + 1) / 2
_OFFSETS = np.concatenate([_HALF - 1, _HALF])
_TRIANGLE = np.concatenate([_HALF * _WEIGHTS, (1 - _HALF) * _WEIGHTS]) / 2


@dataclass(frozen=True, slots=True)
class WholeGaps:
    """Histograms of whole gaps, all windows in one list: ``window``, ``seconds`` and ``count`` of each bar.

    ``n`` and ``mean`` (seconds, above 0) are those of each window.
    """

    window: Int64s
    seconds: Floats
    count: Floats
    n: Floats
    mean: Floats

    @classmethod
    def of(cls, seconds: Int64s, window: Int64s) -> Self:
        """Return the histograms of gaps in whole seconds; every window 0, 1, ... needs one gap above 0."""
        span = int(seconds.max()) + 1
        keys, counts = np.unique(window * span + seconds, return_counts=True)
        n = np.bincount(window).astype(np.float64)
        mean = np.bincount(window, weights=seconds) / n
        return cls(keys // span, (keys % span).astype(np.float64), counts.astype(np.float64), n, mean)

    def only(self, windows: Int64s) -> Self:
        """Return the histograms of some of the windows (ascending)."""
        if len(windows) == len(self.n):
            return self
        place = np.full(len(self.n), -1, np.int64)
        place[windows] = np.arange(len(windows))
        mine = place[self.window] >= 0
        bars = place[self.window[mine]], self.seconds[mine], self.count[mine]
        return type(self)(*bars, self.n[windows], self.mean[windows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of mean 1 with one shape: its density, and E[(t - x)+] for arrays of t and shapes alike."""

    name: str
    shapes: tuple[float, float]  # where the likeliest is looked for
    density: Callable[[Floats, Floats], Floats]
    shortfall: Callable[[Floats, Floats], Floats]


def _gamma_density(x: Floats, a: Floats) -> Floats:
    return np.exp(a * np.log(a) - log_gammas(a) + (a - 1) * np.log(x) - a * x)


def _weibull_density(x: Floats, k: Floats) -> Floats:
    scaled = x * np.exp(log_gammas(1 + 1 / k))
    power = np.exp(k * np.log(scaled))
    return k * power / x * np.exp(-power)


def _lognormal_density(x: Floats, s: Floats) -> Floats:
    logs = np.log(x)
    return np.exp(-(((logs + s * s / 2) / s) ** 2) / 2 - logs) / (s * sqrt(2 * pi))


def _by_power(density: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    """Integrate (t - x) f(x) over 0..t with x = t y^(1/shape): takes the power law at 0 out of the integrand."""

    def shortfall(t: Floats, shape: Floats) -> Floats:
        power = np.maximum(1 / shape, 1.0)[:, None]
        y = _UNIT**power
        x = t[:, None] * y
        inside = (t[:, None] - x) * density(x, shape[:, None]) * t[:, None] * power * y / _UNIT
        return np.asarray(inside @ _UNIT_WEIGHTS, np.float64)

    return shortfall


def _lognormal_shortfall(t: Floats, s: Floats) -> Floats:
    z = (np.log(t) + s * s / 2) / s
    return t * normal_cdf(z) - normal_cdf(z - s)


def _exponential_shortfall(t: Floats, _: Floats) -> Floats:
    return t + np.expm1(-t)


GAMMA = Family(name="gamma", shapes=(0.02, 200.0), density=_gamma_density, shortfall=_by_power(_gamma_density))
OTHERS = (
    Family(name="weibull", shapes=(0.1, 15.0), density=_weibull_density, shortfall=_by_power(_weibull_density)),
    Family(name="lognormal", shapes=(0.07, 4.0), density=_lognormal_density, shortfall=_lognormal_shortfall),
)
_EXPONENTIAL = Family(
    name="exponential", shapes=(1.0, 1.0), density=lambda x, _: np.exp(-x), shortfall=_exponential_shortfall
)
_BY_NAME = {family.name: family for family in (GAMMA, *OTHERS)}
_PARAMETER = {"gamma": "alpha", "weibull": "shape", "lognormal": "sigma"}


def likelihoods(gaps: WholeGaps, family: Family, shape: Floats) -> Floats:
    """Return each window's composite log-likelihood if it has ``shape``."""
    chances = np.empty(len(gaps.count))
    first = family.shortfall(1 / gaps.mean, shape) * gaps.mean
    second = family.shortfall(2 / gaps.mean, shape) * gaps.mean
    zero, one = gaps.seconds == 0, gaps.seconds == 1
    chances[zero] = first[gaps.window[zero]]
    chances[one] = (second - 2 * first)[gaps.window[one]]
    far = gaps.seconds > 1
    window = gaps.window[far]
    mean = gaps.mean[window, None]
    x = (gaps.seconds[far, None] + _OFFSETS) / mean
    chances[far] = (family.density(x, shape[window, None]) / mean) @ _TRIANGLE
    logs = gaps.count * np.log(np.maximum(chances, TINY))
    return np.asarray(np.bincount(gaps.window, weights=logs, minlength=len(gaps.n)), np.float64)


def likeliest(gaps: WholeGaps, family: Family) -> tuple[Floats, Floats]:
    """Return each window's likeliest shape and its likelihood: a grid over ln shape, then two finer ones around it.

    A shape at either end of ``family.shapes`` says that the data do not bound it there.
    """
    low, high = log(family.shapes[0]), log(family.shapes[1])
    step = (high - low) / 16
    at = np.full(len(gaps.n), (low + high) / 2)
    peak = likelihoods(gaps, family, np.exp(at))
    for half_width in (8, 3, 3, 3):
        centre = at.copy()
        for k in range(-half_width, half_width + 1):
            tried = np.clip(centre + k * step, low, high)
            value = likelihoods(gaps, family, np.exp(tried))
            better = value > peak
            at, peak = np.where(better, tried, at), np.where(better, value, peak)
        step /= 3.5
    return np.exp(at), peak


def family_shapes(gaps: WholeGaps, family: str) -> Floats:
    """Return each window's likeliest shape in the family of this name; Gamma's for the exponential one, as there."""
    return likeliest(gaps, _BY_NAME.get(family, GAMMA))[0]


def whole_gap_candidates(gaps: WholeGaps) -> list[Candidate]:
    """Return the four families fitted to each window. KS is not judged: cut gaps have no continuous distribution."""
    n = int(gaps.n.sum())
    steady = likelihoods(gaps, _EXPONENTIAL, np.ones(len(gaps.n)))
    found = [_candidate("exponential", {"rate": float(np.median(1 / gaps.mean))}, (len(gaps.n), n), steady)]
    for family in (GAMMA, *OTHERS):
        shape, peak = likeliest(gaps, family)
        medians = {_PARAMETER[family.name]: float(np.median(shape)), "mean_s": float(np.median(gaps.mean))}
        found.append(_candidate(family.name, medians, (2 * len(gaps.n), n), peak))
    return found


def _candidate(family: str, parameters: dict[str, float], counts: tuple[int, int], peak: Floats) -> Candidate:
    free, n = counts
    return Candidate(family=family, parameters=parameters, free=free, n=n, log_likelihood=float(peak.sum()))
