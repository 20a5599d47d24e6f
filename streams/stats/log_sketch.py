"""A log-bucket histogram of positive values: merges by adding counts, quantiles within 1.1 %.

Bucket i holds the values in (2^((i-1)/32), 2^(i/32)]: relative-error buckets as in DDSketch (Masson, Rim and Lee,
VLDB 12:2195, 2019) with gamma = 2^(1/32), which is schema 5 of Prometheus' native histograms. Every 32nd bound
is a power of two, so cumulative counts at powers of two are exact. Zeros have a bucket of their own below all
others.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

PER_OCTAVE = 32
ZERO = -2048  # the bucket of zeros; all buckets fit in 16 bits
GREATEST = 2047
RELATIVE_ERROR = (2 ** (1 / PER_OCTAVE) - 1) / (2 ** (1 / PER_OCTAVE) + 1)  # 1.083 %

_CENTRE = 2 / (1 + 2 ** (1 / PER_OCTAVE))  # of a bucket whose upper bound is 1
# A logarithm's last digit must not lift a value that is exactly a bound into the next bucket. A value above a
# bound by less than 2 parts in 10^11 counts as the bound.
_ROUNDING = 1e-9


def buckets(values: ArrayLike) -> NDArray[np.int64]:
    """Return the bucket of each value; values must be finite and not below 0.

    Values beyond 2^-63 and 2^63 (in whatever unit) fall into the outermost buckets.

    >>> buckets([0, 1, 1.01, 2, 8, 0.5]).tolist()
    [-2048, 0, 1, 32, 96, -32]
    """
    given = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log2(given)
    index = np.minimum(np.maximum(np.ceil(PER_OCTAVE * logs - _ROUNDING), ZERO + 1), GREATEST)
    return np.where(given > 0, index, ZERO).astype(np.int64)


_SMALL = buckets(np.arange(2**16)).astype(np.int16)  # most counts of tokens are, and looking up is faster


def whole_buckets(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bucket of each whole number, as ``buckets`` does.

    >>> whole_buckets(np.array([0, 1, 8])).tolist(), whole_buckets(np.array([2**20])).tolist()
    ([-2048, 0, 96], [640])
    """
    if len(values) and values.max() >= len(_SMALL):
        return buckets(values)
    return _SMALL[values].astype(np.int64)


def value_of(bucket: int) -> float:
    """Return the value that stands for all of ``bucket``, within ``RELATIVE_ERROR`` of each.

    2 gamma^i/(gamma + 1): equally far, as a ratio, from both bounds.

    >>> value_of(ZERO), round(value_of(0), 4), round(value_of(32), 4)
    (0.0, 0.9892, 1.9783)
    """
    return 0.0 if bucket == ZERO else float(_CENTRE * 2.0 ** (bucket / PER_OCTAVE))


def upper_bound(bucket: int) -> float:
    """Return the greatest value that falls into ``bucket``.

    >>> upper_bound(ZERO), upper_bound(-64), upper_bound(320)
    (0.0, 0.25, 1024.0)
    """
    return 0.0 if bucket == ZERO else float(2.0 ** (bucket / PER_OCTAVE))


def quantiles(found: ArrayLike, counts: ArrayLike, levels: Sequence[float]) -> list[float] | None:
    """Return the quantiles at ``levels`` (0 < q <= 1), each within ``RELATIVE_ERROR`` of the exact one.

    ``found`` are the buckets, ascending and once each, ``counts`` how many values each holds. The exact quantile
    is the ceil(q n)-th smallest of n values (the inverse of the empirical distribution). No values give None.

    >>> [round(q, 2) for q in quantiles([0, 32, 64], [50, 40, 10], [0.5, 0.9, 0.99])]
    [0.99, 1.98, 3.96]
    >>> quantiles([], [], [0.5]) is None, quantiles([ZERO, 0], [3, 1], [0.75, 0.76])[0]
    (True, 0.0)
    """
    cumulated = np.cumsum(np.asarray(counts, dtype=np.int64))
    if not len(cumulated) or not cumulated[-1]:
        return None
    index = np.asarray(found)
    # q n may miss a whole number by rounding (0.07 * 100 = 7.000000000000001).
    ranks = np.ceil(np.asarray(levels) * cumulated[-1] * (1 - 1e-12))
    places = np.searchsorted(cumulated, np.maximum(ranks, 1))
    return [value_of(bucket) for bucket in index[places].tolist()]
