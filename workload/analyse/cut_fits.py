"""Families fitted to whole-second gaps, window by window: parameters, log-likelihood, KS distance."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workload.analyse.arrival_facts import FAMILIES
from workload.analyse.cut_gaps import DENSITIES, Histogram, climb, evaluate
from workload.analyse.log_gamma import gamma_cdf, normal_cdf

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHAPE_MIN, SHAPE_MAX = 0.04, 1e3
ERROR_MAX = 0.5  # greatest standard error of ln(shape), as ``streams.stats.triangular``
SD_MIN = 0.15  # gaps that vary less (in units) all look alike once cut
_LOG_OF_ZERO = -1.5  # mean of ln x of a gap that shows as zero, had it the triangle's density
_EULER = 0.5772156649015329


class Fit(NamedTuple):
    """A family fitted to ``w`` windows, as ``arrival_facts.PARAMETERS`` names its parameters.

    Attributes:
        parameters: shape (k, w); ``log_likelihood`` and ``ks`` (the KS distance) (w,).
        curvature: minus the second derivative of the log-likelihood by the logarithm of the shape (w,).
    """

    parameters: Floats
    log_likelihood: Floats
    ks: Floats
    curvature: Floats | None = None


def fit_all(cells: Histogram, gaps: Floats, total: Floats) -> dict[str, Fit]:
    """Return the fits to windows of ``gaps`` gaps (w,) that sum to ``total`` units (w,), by family.

    Every window must have a cell of 0 and one of 1 unit (of count 0, if none was seen) and a total above zero. NaN
    where a family cannot be told: all gaps alike, or a Gamma shape beyond what cut gaps show.
    """
    mean = total / gaps
    logs = np.where(cells.gap > 0, np.log(np.maximum(cells.gap, 1)), _LOG_OF_ZERO)
    centre = np.bincount(cells.window, cells.count * logs, cells.windows) / gaps
    spread = np.bincount(cells.window, cells.count * logs * logs, cells.windows) / gaps - centre**2
    spread = np.sqrt(np.maximum(spread, 0.01))
    starts = {
        "gamma": _gamma_start(np.log(mean) - centre),
        "weibull": np.stack([np.log(1.28 / spread), centre + _EULER * spread / 1.28]),
        "lognormal": np.stack([np.log(spread), centre]),
    }
    groups = cells.groups()
    found = {"exponential": _exponential(cells, gaps, total)}
    for name, start in starts.items():
        p, value, curvature = climb(name, start, groups, mean)
        flat = (name == "gamma") & (curvature * ERROR_MAX**2 > -1)
        found[name] = _judged(name, p, np.where(flat, np.nan, value), cells, gaps)._replace(curvature=-curvature)
    return {name: found[name] for name in FAMILIES}


def _gamma_start(s: Floats) -> Floats:
    s = np.maximum(s, 0.01)
    return np.log((3 - s + np.sqrt((s - 3) ** 2 + 24 * s)) / (12 * s))[None]


def _exponential(cells: Histogram, gaps: Floats, total: Floats) -> Fit:
    """Maximum likelihood from three sums: zeros, others, and what the others last in all."""
    zeros = np.bincount(cells.window, cells.count * (cells.gap == 0), cells.windows)
    others = gaps - zeros

    def value(log_mean: Floats) -> Floats:
        mean = np.exp(log_mean)
        rest = -np.expm1(-1 / mean)
        seen = zeros * np.log(np.maximum(1 - mean * rest, 1e-300))
        result: Floats = seen + others * (log_mean + 2 * np.log(rest)) - (total - others) / mean
        return result

    at, h = np.log(total / gaps), 1e-3
    for _ in range(8):
        below, here, above = value(at - h), value(at), value(at + h)
        bend = (above - 2 * here + below) / h**2
        at = at + np.clip(np.where(bend < 0, -(above - below) / (2 * h) / np.minimum(bend, -1e-12), 0), -0.5, 0.5)
    mean = np.exp(at)

    def shown(m: Ints, window: Ints) -> Floats:
        result: Floats = 1 + mean[window] * np.exp(-m / mean[window]) * np.expm1(-1 / mean[window])
        return result

    return Fit(1 / mean[None], value(at), _ks(cells, gaps, shown))


def _judged(name: str, p: Floats, value: Floats, cells: Histogram, gaps: Floats) -> Fit:
    mean = np.bincount(cells.window, cells.count * cells.gap, cells.windows) / gaps
    if name == "gamma":
        shape = np.exp(p[0])
        parameters = np.stack([shape, shape / mean])
        known = (shape > SHAPE_MIN) & (shape < np.minimum((mean / SD_MIN) ** 2, SHAPE_MAX))
    elif name == "weibull":
        parameters = np.exp(p)
        known = (parameters[0] > SHAPE_MIN / 2) & (parameters[0] < SHAPE_MAX)
    else:
        parameters = np.stack([p[1], np.exp(p[0])])
        known = (parameters[1] > 0.01) & (parameters[1] < 50)
    known &= np.isfinite(value)
    alone = Histogram(np.arange(len(gaps)), np.zeros(len(gaps), np.int64), np.ones(len(gaps), np.int64), len(gaps))
    zero = np.exp(evaluate(DENSITIES[name], p, alone.groups(), mean)[0])

    def shown(m: Ints, window: Ints) -> Floats:
        return np.where(m == 0, zero[window], _mean_cdf(name, parameters, m, window))

    ks = np.where(known, _ks(cells, gaps, shown), np.nan)
    return Fit(np.where(known, parameters, np.nan), np.where(known, value, np.nan), ks)


def cdf(name: str, p: Floats, x: Floats) -> Floats:
    """Return a family's distribution function at ``x`` > 0; ``p`` are its parameters (k, n), one set a value."""
    if name == "exponential":
        result: Floats = -np.expm1(-p[0] * x)
    elif name == "gamma":
        result = gamma_cdf(p[0], p[1] * x)
    elif name == "weibull":
        result = -np.expm1(-np.exp(np.minimum(p[0] * np.log(x / p[1]), 50)))
    else:
        result = normal_cdf((np.log(x) - p[0]) / p[1])
    return result


def _mean_cdf(name: str, p: Floats, m: Ints, window: Ints) -> Floats:
    """Return the chance to show as ``m`` or less, the integral of the distribution function from m to m + 1."""
    result = np.empty(len(m))
    near = m < 8
    x, at = m[near].astype(np.float64), p[:, window[near]]
    offset = 0.5 / 3**0.5
    result[near] = (cdf(name, at, x + 0.5 - offset) + cdf(name, at, x + 0.5 + offset)) / 2
    result[~near] = cdf(name, p[:, window[~near]], m[~near].astype(np.float64) + 0.5)
    return result


def _ks(cells: Histogram, gaps: Floats, shown: Callable[[Ints, Ints], Floats]) -> Floats:
    """Return the greatest distance of the two distribution functions; both change at whole units only."""
    ends = np.searchsorted(cells.window, np.arange(cells.windows), "right")
    upto = np.cumsum(cells.count).astype(np.float64)
    before = np.concatenate([[0.0], upto[ends[:-1] - 1]])[cells.window]
    n = gaps[cells.window]
    high, low = (upto - before) / n, (upto - before - cells.count) / n
    model = shown(cells.gap, cells.window)
    off = np.abs(model - high)
    later = cells.gap > 0  # just below a cell, the model has come to what it is one unit before
    under = shown(cells.gap[later] - 1, cells.window[later])
    off[later] = np.maximum(off[later], np.abs(under - low[later]))
    starts = np.concatenate([[0], ends[:-1]])
    result: Floats = np.maximum.reduceat(off, starts)
    return result
