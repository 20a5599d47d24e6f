"""Fewer points for the same picture. Pure.

Whoever looks at 5 million requests looks at ~1,000 pixels: more points only make the page heavy.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
MOST_POINTS = 2000


def floats(values: ArrayLike) -> Floats:
    """Return numbers as an array, absent ones (None) as NaN.

    >>> floats([1, None]).tolist()
    [1.0, nan]
    """
    return np.asarray(values, dtype=np.float64)


def thinned(x: ArrayLike, y: ArrayLike, most: int = MOST_POINTS) -> tuple[Floats, Floats]:
    """Return at most ``most`` points of a line in order of x, the lowest and highest of each stretch among them.

    Peaks and troughs stay where they are. A stretch without any value gives one NaN: the line's gap stays.
    """
    xs, ys = floats(x), floats(y)
    if len(xs) <= most:
        return xs, ys
    stretches = np.array_split(np.arange(len(xs)), most // 2)
    kept: list[int] = []
    for rows in stretches:
        part = ys[rows]
        if np.all(np.isnan(part)):
            kept.append(int(rows[0]))
        else:
            kept += sorted({int(rows[np.nanargmin(part)]), int(rows[np.nanargmax(part)])})
    return xs[kept], ys[kept]


def summarised(x: ArrayLike, y: ArrayLike, quantiles: tuple[float, ...], stretches: int) -> tuple[Floats, list[Floats]]:
    """Return the middles of equally many-rowed stretches of x, and for each quantile its value in every stretch.

    For clouds of points too many to draw. NaN values are left out; a stretch of nothing else is NaN.
    """
    xs, ys = floats(x), floats(y)
    parts = [rows for rows in np.array_split(np.arange(len(xs)), max(stretches, 1)) if len(rows)]
    middles = np.array([float(np.mean(xs[rows])) for rows in parts])
    table = [_quantiles(ys[rows], quantiles) for rows in parts]
    return middles, [np.array([row[i] for row in table]) for i in range(len(quantiles))]


def _quantiles(values: Floats, quantiles: tuple[float, ...]) -> list[float]:
    known = values[~np.isnan(values)]
    return [float("nan")] * len(quantiles) if not len(known) else [float(v) for v in np.quantile(known, quantiles)]
