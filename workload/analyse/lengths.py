"""Lengths of requests and responses, how the two hang together, and how long requests took. Pure."""

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import Latency, Lengths, Relation
from workload.analyse.plain import Columns
from workload.analyse.sums import dot
from workload.analyse.tallies import BIN_EDGES, Tallies, response_width, tallies, usable
from workload.trace.columns import Trace

Floats = NDArray[np.float64]

_PER_BIN_MIN = 5
_TABLE_MAX = 1 << 22
_CHUNK = 1 << 15


def lengths(known: Tallies) -> Lengths:
    """Return the lengths of requests that did not fail, and the request lengths of those that did."""
    return Lengths(
        request=known.request.numbers(law=True, whole=True),
        response=known.response.numbers(law=True, whole=True),
        failed_request=known.failed_request.numbers(law=True, whole=True),
    )


def latency(known: Tallies) -> Latency:
    """Return how long requests that did not fail took, where the trace tells."""
    return Latency(
        elapsed_s=known.elapsed_s.numbers(),
        first_token_s=known.first_token_s.numbers(),
        per_output_token_s=known.per_token_s.numbers(),
    )


def lengths_of(trace: Trace) -> Lengths:
    """Return the lengths of all requests of a trace."""
    return lengths(tallies(trace, None, response_width(trace)))


def relation(known: Tallies, trace: Trace, rows: NDArray[np.bool_] | None = None) -> Relation:
    """Return how response lengths depend on request lengths; ``known`` are the tallies of the same ``rows``."""
    n = known.joint.n
    if not n:
        return Relation(n=0, bins={}, pearson=None, spearman=None)
    chosen = usable(trace) if rows is None else rows & usable(trace)
    pearson, spearman = correlations(trace.request_tokens[chosen], trace.response_tokens[chosen])
    return Relation(n=n, bins=_bins(known), pearson=pearson, spearman=spearman)


def correlations(x: NDArray[np.int32], y: NDArray[np.int32]) -> tuple[float | None, float | None]:
    """Return Pearson's and Spearman's correlation of whole numbers from 0 up; None as ``quantiles.correlation``.

    Both in one pass: means and variances come from the tallies, only products are summed row by row.
    """
    n = len(x)
    if n < 3:
        return None, None
    tables = []
    for column in (x, y):
        codes = column if int(column.max()) < _TABLE_MAX else None
        values = np.arange(int(column.max()) + 1) if codes is not None else np.unique(column)
        codes = codes if codes is not None else np.searchsorted(values, column).astype(np.int32)
        count = np.bincount(codes, minlength=len(values))
        ranks = np.cumsum(count) - (count + 1) / 2
        centred = [table - float(table @ count) / n for table in (values.astype(np.float64), ranks)]
        tables.append((codes, centred, [float((table * table) @ count) for table in centred]))
    (a, of_a, squares_a), (b, of_b, squares_b) = tables
    sums = np.zeros(2)
    for low in range(0, n, _CHUNK):
        i, j = a[low : low + _CHUNK], b[low : low + _CHUNK]
        sums += [dot(of_a[k][i], of_b[k][j]) for k in (0, 1)]
    found = []
    for product, first, second in zip(sums.tolist(), squares_a, squares_b, strict=True):
        scale = first**0.5 * second**0.5
        found.append(max(-1.0, min(1.0, product / scale)) if scale else None)
    return found[0], found[1]


def _bins(known: Tallies) -> Columns:
    """Return the responses' quantiles and mean in each bin of request tokens that holds enough requests."""
    keys, counts, width = known.joint.values.astype(np.int64), known.joint.counts, known.width
    place, response = keys // width, keys % width
    bins = len(BIN_EDGES)
    n = np.bincount(place, counts, bins).astype(np.int64)
    got = np.bincount(place, counts * response, bins)
    upto, before = np.cumsum(counts), np.cumsum(n) - n
    kept = np.flatnonzero(n >= _PER_BIN_MIN)
    size = n[kept]

    def quantile(q: float) -> Floats:
        rank = (size - 1) * q
        low = rank.astype(np.int64)
        at = (np.searchsorted(upto, before[kept] + r, "right") for r in (low, np.minimum(low + 1, size - 1)))
        a, b = (response[i] for i in at)
        return np.asarray(a + (rank - low) * (b - a), np.float64)

    upper = np.append(BIN_EDGES[1:], BIN_EDGES[-1] * 2)
    return {
        "from_tokens": BIN_EDGES[kept],
        "to_tokens": upper[kept],
        "n": size,
        "request_mean": known.asked[kept] / size,
        "median": quantile(0.5),
        "mean": got[kept] / size,
        "q05": quantile(0.05),
        "q95": quantile(0.95),
    }
