"""Likelihood of gaps whose stamps were cut to whole seconds, for three families, of thousands of windows at once.

A true gap x shows as m whole seconds with probability (1 - |x - m|)+ (``streams.stats.triangular``), so P(m) is that
triangle's integral over the density. It is taken by Gauss-Legendre nodes; next to zero, where densities of bursty
gaps have a pole, after the substitution x = u^16. Each window's parameters climb by Newton's method with the exact
gradient and curvature. Arrays are (nodes, cells): a cell is a window and a gap that occurs in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.stats.polygamma import digamma, trigamma
from workload.analyse.log_gamma import log_gamma

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_POWER = 16
_STEPS = 25
_MOVE_MAX = 0.7
_DONE = 2e-3  # the step is taken all the same, and Newton's next would be about its square
_ACTIVE_SHARE = 0.6  # below it, windows that have arrived are taken out of the sums


def _legendre(n: int, low: float, high: float) -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(n)
    return low + (high - low) * (x + 1) / 2, w * (high - low) / 2


def _nodes_of_zero() -> tuple[Floats, Floats]:
    u, w = _legendre(20, 0.0, 1.0)
    x = u**_POWER
    return x, w * _POWER * u ** (_POWER - 1) * (1 - x)


def _nodes_of_one() -> tuple[Floats, Floats]:
    u, w = _legendre(16, 0.0, 1.0)
    x = u**_POWER
    y, v = _legendre(6, 1.0, 2.0)
    return np.concatenate([x, y]), np.concatenate([w * _POWER * u ** (_POWER - 1) * x, v * (2 - y)])


def _nodes_of_triangle(n: int) -> tuple[Floats, Floats]:
    """Both halves of the triangle, as offsets from its middle."""
    x, w = _legendre(n, 0.0, 1.0)
    return np.concatenate([x - 1, 1 - x[::-1]]), np.concatenate([x * w, (x * w)[::-1]])


_ZERO, _ONE, _NEAR, _FAR = _nodes_of_zero(), _nodes_of_one(), _nodes_of_triangle(4), _nodes_of_triangle(2)
_FAR_FROM = 12  # gaps of so many seconds: the density is smooth over two of them


@dataclass(frozen=True, slots=True)
class Group:
    """Cells whose nodes lie alike: which window each belongs to (ascending), its count, and its nodes."""

    window: Ints
    count: Floats
    x: Floats  # (nodes, cells)
    log_x: Floats
    weights: Floats  # (nodes, 1)

    def of(self, keep: NDArray[np.bool_], renumber: Ints) -> "Group":
        """Return the cells of the windows that are kept, under their new numbers."""
        cells = keep[self.window]
        return Group(
            renumber[self.window[cells]], self.count[cells], self.x[:, cells], self.log_x[:, cells], self.weights
        )


@dataclass(frozen=True, slots=True)
class Histogram:
    """Whole gaps of windows: cell i is ``count[i]`` gaps of ``gap[i]`` units in ``window[i]``, sorted by both."""

    window: Ints
    gap: Ints
    count: Ints
    windows: int

    def groups(self) -> list[Group]:
        """Return the cells with their nodes."""
        bounds = ((0, 1, _ZERO), (1, 2, _ONE), (2, _FAR_FROM, _NEAR), (_FAR_FROM, 2**62, _FAR))
        found = []
        for low, high, (offsets, weights) in bounds:
            cells = (self.gap >= low) & (self.gap < high)
            middle = self.gap[cells] if low >= 2 else np.zeros(int(cells.sum()))
            x = offsets[:, None] + middle
            count = self.count[cells].astype(np.float64)
            found.append(Group(self.window[cells], count, x, np.log(x), weights[:, None]))
        return found


def _gamma(p: Floats, g: Group, mean: Floats) -> tuple[Floats, list[Any], list[Any]]:
    """Shape alone, as its logarithm: the mean gap survives the cutting."""
    a = np.exp(p[0])[g.window]
    m = mean[g.window]
    constant = a * (np.log(a) - np.log(m)) - log_gamma(a)
    log_f = constant + (a - 1) * g.log_x - a / m * g.x
    slope = np.log(a) + 1 - np.log(m) - digamma(a) + g.log_x - g.x / m
    first = a * slope
    return log_f, [first], [first + a * (1 - a * trigamma(a))]


def _weibull(p: Floats, g: Group, _: Floats) -> tuple[Floats, list[Any], list[Any]]:
    k = np.exp(p[0])[g.window]
    z = np.clip(k * (g.log_x - p[1][g.window]), None, 50)
    e = np.exp(z)
    u = 1 - e
    log_f = np.log(k) - g.log_x + z - e
    ze = z * e
    return log_f, [1 + z * u, -k * u], [z * u - z * ze, k * (ze - u), -k * k * e]


def _lognormal(p: Floats, g: Group, _: Floats) -> tuple[Floats, list[Any], list[Any]]:
    s = np.exp(-p[0])[g.window]
    z = (g.log_x - p[1][g.window]) * s
    z2 = z * z
    log_f = (np.log(s) - 0.5 * np.log(2 * pi)) - g.log_x - 0.5 * z2
    return log_f, [z2 - 1, z * s], [-2 * z2, -2 * z * s, -s * s]


Density = Callable[[Floats, Group, Floats], tuple[Floats, list[Any], list[Any]]]
DENSITIES: dict[str, Density] = {"gamma": _gamma, "weibull": _weibull, "lognormal": _lognormal}


def evaluate(density: Density, p: Floats, groups: list[Group], mean: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each window's log-likelihood (w,), gradient (k, w) and curvature (k (k + 1)/2, w: 00, 01, 11)."""
    k, windows = p.shape
    pairs = [(i, j) for i in range(k) for j in range(i, k)]
    value, slope, bend = np.zeros(windows), np.zeros((k, windows)), np.zeros((len(pairs), windows))
    for group in groups:
        if not len(group.window):
            continue
        log_f, first, second = density(p, group, mean)
        top = log_f.max(axis=0)
        f = np.exp(log_f - top) * group.weights
        total = f.sum(axis=0)
        f /= total
        means = [np.einsum("nc,nc->c", f, u) for u in first]
        value += _sum(group, np.log(total) + top, windows)
        for i in range(k):
            slope[i] += _sum(group, means[i], windows)
        for at, (i, j) in enumerate(pairs):
            both = np.einsum("nc,nc->c", f, first[i] * first[j] + second[at])
            bend[at] += _sum(group, both - means[i] * means[j], windows)
    return value, slope, bend


def _sum(group: Group, values: Floats, windows: int) -> Floats:
    return np.bincount(group.window, group.count * values, windows).astype(np.float64, copy=False)


def climb(name: str, start: Floats, groups: list[Group], mean: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the likeliest parameters (k, w), the log-likelihood (w,) and its curvature in the first of them (w,)."""
    density = DENSITIES[name]
    best = start.copy()
    value, curvature = np.zeros((2, start.shape[1]))
    active = np.arange(start.shape[1])
    p, at_mean = start.copy(), mean
    for _ in range(_STEPS):
        here, slope, bend = evaluate(density, p, groups, at_mean)
        value[active], curvature[active] = here, bend[0]
        move = np.clip(_newton(slope, bend), -_MOVE_MAX, _MOVE_MAX)
        moving = np.abs(move).max(axis=0) > _DONE
        p = p + move
        best[:, active] = p
        if not moving.any():
            break
        if moving.mean() < _ACTIVE_SHARE:
            renumber = np.cumsum(moving) - 1
            groups = [group.of(moving, renumber) for group in groups]
            p, at_mean, active = p[:, moving], at_mean[moving], active[moving]
    return best, value, curvature


def _newton(slope: Floats, bend: Floats) -> Floats:
    """Return Newton's step; along the gradient, as far as allowed, where the likelihood is not concave."""
    uphill = np.sign(slope) * _MOVE_MAX
    with np.errstate(all="ignore"):
        if len(slope) == 1:
            return np.where(bend < 0, -slope / bend, uphill)
        det = bend[0] * bend[2] - bend[1] ** 2
        step = -np.stack([bend[2] * slope[0] - bend[1] * slope[1], bend[0] * slope[1] - bend[1] * slope[0]]) / det
        one_by_one = np.where(bend[::2] < 0, -slope / bend[::2], uphill)
        found: Floats = np.where((det > 0) & (bend[0] < 0), step, one_by_one)
    return np.nan_to_num(found)
