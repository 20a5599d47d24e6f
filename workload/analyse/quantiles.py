"""Quantiles by name, and ranks."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHORT = (10, 25, 50, 75, 90)
LONG = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)


def quantiles(values: NDArray[np.generic], percents: Iterable[float] = SHORT) -> dict[str, float]:
    """Return percentiles "p10", ... and "mean" of the values that are known (not NaN), or nothing without any.

    Between two values they are interpolated, as numpy does by default.

    >>> quantiles(np.array([1.0, 2.0, 3.0, np.nan]), [50, 99.9])
    {'p50': 2.0, 'p99.9': 2.998, 'mean': 2.0}
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return {}
    percents = list(percents)
    found = dict(zip(map("p{:g}".format, percents), np.percentile(known, percents).tolist(), strict=True))
    return {**found, "mean": float(known.mean())}


def ranks(values: NDArray[np.generic]) -> Floats:
    """Return the values' ranks, 0 for the smallest; equal values share the mean of theirs.

    >>> ranks(np.array([5, 1, 5])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    middle: Floats = last - (count + 1) / 2
    return middle[place]


def correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float | None:
    """Return Pearson's correlation; None below three pairs or where one column is constant.

    >>> round(correlation(np.array([1, 2, 3]), np.array([2, 4, 6])), 9)
    1.0
    >>> correlation(np.array([1, 1, 1]), np.array([1, 2, 3])) is None
    True
    """
    if len(a) < 3:
        return None
    x, y = (column - column.mean() for column in (a.astype(np.float64), b.astype(np.float64)))
    scale = float(x @ x) ** 0.5 * float(y @ y) ** 0.5
    return max(-1.0, min(1.0, float(x @ y) / scale)) if scale else None
