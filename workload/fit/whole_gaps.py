"""The same question for stamps cut to whole seconds: the likelihood of seeing a gap as so many seconds. Pure.

A true gap x shows as m whole seconds with the chance (1 - |x - m|)+ (``streams.stats.triangular``), hence
P(m) = H(m + 1) - 2 H(m) + H(m - 1) with H(t) = E[(t - x)+]. Nothing is made up for the gaps of zero. The mean
survives the cutting, so each family keeps it and has one shape left: alpha (Gamma), k (Weibull), sigma (log-normal).
All windows are fitted at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log, pi, sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from workload.fit.candidates import TINY, Candidate, Floats, log_gammas, normal_cdf

Int64s = NDArray[np.int64]
Curve = Callable[[Floats], Floats]
Density = Callable[[Floats, Floats, Floats, Floats], Floats]

RATE_MAX = 2.0  # events a second: beyond, most gaps are cut to 0 and the likelihood is flat

_X, _W = np.polynomial.legendre.leggauss(20)
_LOG_UNIT, _SLOPES = np.log((_X + 1) / 2), _W / (_X + 1)  # dx/x = p dy/y
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_HALF = (_NODES + 1) / 2
_OFFSETS = np.concatenate([_HALF - 1, _HALF])
_TRIANGLE = np.concatenate([_HALF * _WEIGHTS, (1 - _HALF) * _WEIGHTS]) / 2


@dataclass(frozen=True)
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

    @cached_property
    def nodes(self) -> tuple[Floats, Floats]:
        """Where the densities of gaps of 2 s and more are needed, over their windows' means, and the logarithms."""
        far = self.seconds > 1
        x = (self.seconds[far, None] + _OFFSETS) / self.mean[self.window[far], None]
        return x, np.log(x)

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
    """A family of mean 1 with one shape.

    ``start`` guesses the shape from a squared CV. ``front`` is what the density needs of the shape (worked out once a
    window, not once a bar): density(x, ln x, shape, front) = x f(x), which no small x makes overflow. ``shortfall`` is
    E[(t - x)+] for arrays of t and shapes alike.
    """

    name: str
    shapes: tuple[float, float]  # where the likeliest is looked for
    start: Curve
    front: Curve
    density: Density
    shortfall: Callable[[Floats, Floats], Floats]


def _gamma_start(squared_cv: Floats) -> Floats:
    return 1 / squared_cv


def _weibull_start(squared_cv: Floats) -> Floats:
    return squared_cv**-0.54  # Justus' rule, CV^-1.086


def _lognormal_start(squared_cv: Floats) -> Floats:
    return np.sqrt(np.log1p(squared_cv))


def _gamma_front(a: Floats) -> Floats:
    return np.asarray(a * np.log(a) - log_gammas(a), np.float64)


def _gamma_density(x: Floats, logs: Floats, a: Floats, front: Floats) -> Floats:
    return np.exp(front + a * logs - a * x)


def _weibull_front(k: Floats) -> Floats:
    return log_gammas(1 + 1 / k)


def _weibull_density(_: Floats, logs: Floats, k: Floats, front: Floats) -> Floats:
    power = np.exp(k * (logs + front))
    return k * power * np.exp(-power)


def _nothing(shape: Floats) -> Floats:
    return np.zeros(len(shape))


def _lognormal_density(_: Floats, logs: Floats, s: Floats, __: Floats) -> Floats:
    return np.exp(-(((logs + s * s / 2) / s) ** 2) / 2) / (s * sqrt(2 * pi))


def _exponential_density(x: Floats, _: Floats, __: Floats, ___: Floats) -> Floats:
    return x * np.exp(-x)


def _by_power(front: Curve, density: Density) -> Callable[[Floats, Floats], Floats]:
    """Integrate (t - x) x f(x) dx/x over 0..t with x = t y^(1/shape): takes the power law at 0 out of the integrand."""

    def shortfall(t: Floats, shape: Floats) -> Floats:
        power = np.maximum(1 / shape, 1.0)[:, None]
        x = t[:, None] * np.exp(power * _LOG_UNIT)
        logs = np.log(t)[:, None] + power * _LOG_UNIT
        inside = (t[:, None] - x) * density(x, logs, shape[:, None], front(shape)[:, None])
        return np.asarray((inside @ _SLOPES) * power[:, 0], np.float64)

    return shortfall


def _lognormal_shortfall(t: Floats, s: Floats) -> Floats:
    z = (np.log(t) + s * s / 2) / s
    return t * normal_cdf(z) - normal_cdf(z - s)


def _exponential_shortfall(t: Floats, _: Floats) -> Floats:
    return t + np.expm1(-t)


GAMMA = Family(
    name="gamma",
    shapes=(0.02, 200.0),
    start=_gamma_start,
    front=_gamma_front,
    density=_gamma_density,
    shortfall=_by_power(_gamma_front, _gamma_density),
)
OTHERS = (
    Family(
        name="weibull",
        shapes=(0.1, 15.0),
        start=_weibull_start,
        front=_weibull_front,
        density=_weibull_density,
        shortfall=_by_power(_weibull_front, _weibull_density),
    ),
    Family(
        name="lognormal",
        shapes=(0.07, 4.0),
        start=_lognormal_start,
        front=_nothing,
        density=_lognormal_density,
        shortfall=_lognormal_shortfall,
    ),
)
_EXPONENTIAL = Family(
    name="exponential",
    shapes=(1.0, 1.0),
    start=np.ones_like,
    front=_nothing,
    density=_exponential_density,
    shortfall=_exponential_shortfall,
)
_BY_NAME = {family.name: family for family in (GAMMA, *OTHERS)}
_PARAMETER = {"gamma": "alpha", "weibull": "shape", "lognormal": "sigma"}


def likelihoods(gaps: WholeGaps, family: Family, shape: Floats) -> Floats:
    """Return each window's composite log-likelihood if it has ``shape``."""
    chances = np.empty(len(gaps.count))
    first = family.shortfall(1 / gaps.mean, shape) * gaps.mean
    second = family.shortfall(2 / gaps.mean, shape) * gaps.mean
    zero, one, far = (gaps.seconds == 0), (gaps.seconds == 1), (gaps.seconds > 1)
    chances[zero] = first[gaps.window[zero]]
    chances[one] = (second - 2 * first)[gaps.window[one]]
    window = gaps.window[far]
    x, x_logs = gaps.nodes
    density = family.density(x, x_logs, shape[window, None], family.front(shape)[window, None])
    chances[far] = ((density / x) @ _TRIANGLE) / gaps.mean[window]
    logs = gaps.count * np.log(np.maximum(chances, TINY))
    return np.asarray(np.bincount(gaps.window, weights=logs, minlength=len(gaps.n)), np.float64)


def likeliest(gaps: WholeGaps, family: Family) -> tuple[Floats, Floats]:
    """Return each window's likeliest shape and its likelihood.

    A grid over ln shape around the guess by moments, two finer ones around its best point, then the top of the parabola
    through the last three. A shape at either end of ``family.shapes`` says that the data do not bound it there.
    """
    low, high = log(family.shapes[0]), log(family.shapes[1])
    step = (high - low) / 16
    squares = np.bincount(gaps.window, weights=gaps.count * gaps.seconds**2)
    at = np.clip(np.log(family.start(np.maximum(squares / gaps.n / gaps.mean**2 - 1, 1e-6))), low, high)
    peak = likelihoods(gaps, family, np.exp(at))
    for half_width in (3, 2, 2):
        centre = at.copy()
        for k in (*range(-half_width, 0), *range(1, half_width + 1)):
            tried = np.clip(centre + k * step, low, high)
            value = likelihoods(gaps, family, np.exp(tried))
            better = value > peak
            at, peak = np.where(better, tried, at), np.where(better, value, peak)
        step /= 3
    below, above = (likelihoods(gaps, family, np.exp(np.clip(at + s, low, high))) for s in (-3 * step, 3 * step))
    bend = below + above - 2 * peak
    moved = np.where(bend < 0, 3 * step * (below - above) / (2 * np.minimum(bend, -TINY)), 0.0)
    found = np.clip(at + np.clip(moved, -3 * step, 3 * step), low, high)
    return np.exp(found), np.maximum(peak, likelihoods(gaps, family, np.exp(found)))


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
