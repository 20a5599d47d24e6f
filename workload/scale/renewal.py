"""Arrival times of a given number of requests along a rate that changes, as bursty as asked window by window. Pure.

Time rescaling: gaps of mean 1 are laid on the axis of expected counts and carried back through the inverse of the
integrated rate, so the gaps' shape is the same where many come and where few do. All of it on arrays.

The number of requests is met exactly, by scaling the gaps to their place rather than by chance. In a process whose
shape alpha changes, each stretch of one alpha has the number of requests that the rate gives it (rounded): gaps over
their sum are distributed (for Gamma gaps) just as they are when that number is known.
"""

from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from workload.model.gap_law import draw_gaps
from workload.model.model import FAMILIES, Quantiles

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING = 1e-280


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCurve:
    """A rate that is constant between edges: ``edges_s`` (m + 1, growing), ``rate_per_s`` and ``alpha`` (m each)."""

    edges_s: Floats
    rate_per_s: Floats
    alpha: Floats

    @classmethod
    def steady(cls, duration_s: float, rate_per_s: float, alpha: float) -> "RateCurve":
        """Return the curve of one rate and one shape from 0 to ``duration_s``."""
        return cls(edges_s=np.array([0.0, duration_s]), rate_per_s=np.array([rate_per_s]), alpha=np.array([alpha]))

    @property
    def duration_s(self) -> float:
        """Seconds from the first edge to the last."""
        return float(self.edges_s[-1] - self.edges_s[0])

    @property
    def counts(self) -> Floats:
        """The number of requests expected before each edge."""
        return np.concatenate(([0.0], np.cumsum(np.diff(self.edges_s) * self.rate_per_s)))

    @property
    def expected(self) -> float:
        """The number of requests that the rates add up to."""
        return float(np.diff(self.edges_s) @ self.rate_per_s)


def arrivals(rng: np.random.Generator, curve: RateCurve, n: int, family: str | Quantiles = "gamma") -> Floats:
    """Return ``n`` ascending times (s) in [first edge, last edge); only the curve's proportions count, not its level.

    Where alpha is one and the same, or ``family`` is the gaps' own quantiles, ``n`` + 1 gaps fill the curve, as if a
    request had come right before the first edge and one came at the last. Nothing comes where the rate is 0. Raises
    ``ValueError`` if the rate is 0 everywhere and ``n`` is not, or for an unknown family.
    """
    if isinstance(family, str) and family not in FAMILIES:
        raise ValueError(f"unknown family of gaps {family!r}")
    if not n:
        return np.empty(0)
    counts = curve.counts
    if not counts[-1] > 0:
        raise ValueError("nothing can come where the rate is 0 everywhere")
    counts *= n / counts[-1]
    one_law = not isinstance(family, str)
    inner = np.flatnonzero((curve.alpha[1:] != curve.alpha[:-1]) & (not one_law)) + 1
    if len(inner):
        shapes = curve.alpha[np.append(inner - 1, len(curve.alpha) - 1)]
        ticks = _by_stretch(rng, np.append(counts[inner], counts[-1]), shapes, family)
    else:
        gaps = _fitted(unit_gaps(rng, curve.alpha[:1], np.array([n + 1]), family), np.array([n + 1]), counts[-1:])
        ticks = np.cumsum(gaps)[:-1]
    times: Floats = np.interp(ticks, counts, curve.edges_s)
    # Rounding may carry the last ones onto the edge, which belongs to what comes after.
    inside: Floats = np.minimum(times, np.nextafter(curve.edges_s[-1], -np.inf))
    return inside


def _by_stretch(rng: np.random.Generator, ends: Floats, shapes: Floats, family: str | Quantiles) -> Floats:
    """Return ascending places on the axis of expected counts, stretch by stretch (of one alpha, up to ``ends``)."""
    upto = np.floor(ends + rng.random()).astype(np.int64)
    upto[-1] = round(ends[-1])
    sizes = np.diff(upto, prepend=0)
    kept = sizes > 0
    starts = np.concatenate(([0.0], ends[:-1]))[kept]
    gaps = unit_gaps(rng, shapes[kept], sizes[kept], family)
    return round_each_stretch(rng, gaps, sizes[kept], starts, np.diff(ends, prepend=0.0)[kept])


def round_each_stretch(rng: np.random.Generator, gaps: Floats, sizes: Ints, starts: Floats, widths: Floats) -> Floats:
    """Return ascending places: ``sizes[i]`` (1 at least) of the gaps laid round stretch i, scaled to its width.

    Each stretch is a circle of gaps, turned by chance: so no place in it is favoured, and the gap across an edge has
    the mean it should have, which requests pinned to the edges would not give.
    """
    fitted = _fitted(gaps, sizes, widths)
    within = np.cumsum(fitted) - np.repeat(np.cumsum(widths) - widths, sizes)
    turned = within + np.repeat(rng.random(len(sizes)) * widths, sizes)
    width = np.repeat(widths, sizes)
    turned = np.where(turned >= width, turned - width, turned)
    places: Floats = np.sort(np.clip(turned, 0.0, width) + np.repeat(starts, sizes), kind="stable")
    return places


def _fitted(gaps: Floats, sizes: Ints, widths: Floats) -> Floats:
    """Return the gaps of each stretch, scaled to add up to its width."""
    heads = np.cumsum(sizes) - sizes
    sums = np.add.reduceat(gaps, heads)
    if not np.all(sums > _NOTHING):  # shapes near 0 underflow: all gaps of a stretch may be 0, or nearly
        gaps = np.where(np.repeat(sums > _NOTHING, sizes), gaps, 1.0)
        sums = np.where(sums > _NOTHING, sums, sizes)
    factor = widths / sums
    return gaps * (np.repeat(factor, sizes) if len(sizes) > 1 else factor[0])


def unit_gaps(rng: np.random.Generator, alpha: Floats, sizes: Ints, family: str | Quantiles) -> Floats:
    """Return ``sizes[i]`` gaps of mean 1 and squared CV 1/``alpha[i]`` for each i, one after the other.

    Gaps of quantiles of their own are all of one law, and ``alpha`` does not matter.
    """
    n = int(sizes.sum())
    if isinstance(family, Quantiles):
        return draw_gaps(rng, n, family)
    if family == "exponential":
        return rng.standard_exponential(n)
    if family == "gamma":
        shape = _per_gap(alpha, sizes)
        return rng.standard_gamma(shape, n) / shape
    if family == "weibull":
        k = np.array([weibull_shape(value) for value in alpha])
        scale = np.array([exp(-lgamma(1 + 1 / value)) for value in k])
        return rng.standard_exponential(n) ** _per_gap(1 / k, sizes) * _per_gap(scale, sizes)
    sigma = np.sqrt(np.log1p(1 / alpha))
    return np.exp(rng.standard_normal(n) * _per_gap(sigma, sizes) - _per_gap(sigma**2 / 2, sizes))


def _per_gap(values: Floats, sizes: Ints) -> Floats | float:
    return np.repeat(values, sizes) if len(values) > 1 else float(values[0])


def weibull_shape(alpha: float) -> float:
    """Return the shape k of the Weibull distribution whose squared CV is 1/``alpha``, by bisection in ln k.

    G(1 + 2/k)/G(1 + 1/k)^2 = 1 + 1/alpha.

    >>> round(weibull_shape(1.0), 9), round(weibull_shape(0.2), 6)
    (1.0, 0.5)
    """
    low, high = log(1e-2), log(2e4)
    wanted = log(1 + 1 / alpha)
    for _ in range(60):
        middle = (low + high) / 2
        inverse = exp(-middle)
        above = lgamma(1 + 2 * inverse) - 2 * lgamma(1 + inverse) > wanted
        low, high = (middle, high) if above else (low, middle)
    return exp((low + high) / 2)
