"""Simulated arrivals per second: the null kinds detectors are judged by, and bursts put into them. Seeded."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

DAY = 86_400
MIDNIGHT = 19_676 * DAY  # 2023-11-15, UTC
KINDS = ("poisson", "diurnal", "gamma0.5", "gamma0.25", "mmpp", "mixed")
_SHAPES = {"gamma0.5": 0.5, "gamma0.25": 0.25, "mixed": 0.5}


def rates(kind: str, rate: float, seconds: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the rate in each second: flat, 4:1 over the day, or with levels that change every few minutes."""
    found = np.full(seconds, float(rate))
    if kind in {"diurnal", "mixed"}:
        found *= 1 + 0.6 * np.sin(2 * np.pi * (np.arange(seconds) / DAY + rng.random()))
    if kind == "mmpp":
        found *= _levels(rng, seconds, (0.85, 1.3), (400, 200))
    if kind == "mixed":
        found *= _levels(rng, seconds, (0.9, 1.2), (600, 300))
    return found


def _levels(rng, seconds, levels, dwells_s):
    found, at, state = np.empty(seconds), 0, 0
    while at < seconds:
        dwell = int(rng.exponential(dwells_s[state])) + 1
        found[at : at + dwell] = levels[state]
        at, state = at + dwell, 1 - state
    return found


def counts(kind: str, rate: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return arrivals per second at ``rate``: Poisson, or gaps from a Gamma distribution in stretched time."""
    if (shape := _SHAPES.get(kind)) is None:
        return rng.poisson(rate)
    load = np.concatenate(([0.0], np.cumsum(rate)))
    n = int(load[-1] * 1.05 + 12 * np.sqrt(load[-1] / shape) + 100)
    times = np.cumsum(rng.gamma(shape, 1 / shape, n))
    seconds = np.interp(times[times < load[-1]], load, np.arange(len(load)))
    return np.bincount(np.minimum(seconds.astype(np.int64), len(rate) - 1), minlength=len(rate))


def simulate(
    kind: str, rate: float, seconds: int, seed: object, bursts: Mapping[int, tuple[int, float]] | None = None
) -> NDArray[np.int64]:
    """Return arrivals per second of ``kind`` with ``bursts``: start -> (duration, factor)."""
    rng = np.random.default_rng(seed)
    at = rates(kind, rate, seconds, rng)
    for start, (duration, factor) in (bursts or {}).items():
        at[start : start + duration] *= factor
    return counts(kind, at, rng)
