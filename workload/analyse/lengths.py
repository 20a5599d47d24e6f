"""Lengths of requests and responses, how the two hang together, and how long requests took. Pure."""

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import Latency, Lengths, Relation
from workload.analyse.plain import Columns
from workload.analyse.quantiles import correlation
from workload.analyse.tally import Tally
from workload.trace.columns import UNKNOWN, Int64s, OutcomeCode, Trace

Floats = NDArray[np.float64]

_PER_BIN_MIN = 5
_STEPS_PER_DOUBLING = 2
_TOKENS_MAX = 1 << 24
_SECOND_US = 1_000_000


def lengths(trace: Trace) -> Lengths:
    """Return the lengths of requests that did not fail, and the request lengths of those that did."""
    failed = trace.failed
    return Lengths(
        request=_tokens(trace.request_tokens[~failed]).numbers(law=True, whole=True),
        response=_tokens(trace.response_tokens[~failed]).numbers(law=True, whole=True),
        failed_request=_tokens(trace.request_tokens[failed]).numbers(law=True, whole=True),
    )


def _tokens(column: NDArray[np.int32]) -> Tally:
    return Tally.of(column[column != UNKNOWN])


def relation(trace: Trace) -> Relation:
    """Return how response lengths depend on request lengths, of ``facts.Relation``."""
    usable = (trace.outcome == OutcomeCode.OK) & (trace.request_tokens > 0) & (trace.response_tokens > 0)
    request, response = trace.request_tokens[usable], trace.response_tokens[usable]
    if not len(request):
        return Relation(n=0, bins={}, pearson=None, spearman=None)
    return Relation(
        n=len(request),
        bins=_bins(request, response),
        pearson=correlation(request, response),
        spearman=correlation(_ranks(request), _ranks(response)),
    )


def _ranks(tokens: NDArray[np.int32]) -> NDArray[np.float64]:
    if int(tokens.max()) > _TOKENS_MAX:
        tokens = np.unique(tokens, return_inverse=True)[1].astype(np.int32)
    count = np.bincount(tokens)
    middle: Floats = np.cumsum(count) - (count + 1) / 2
    return middle[tokens]


def _bins(request: NDArray[np.int32], response: NDArray[np.int32]) -> Columns:
    top = float(np.log2(int(request.max()) + 1))
    edges = np.unique(np.ceil(2 ** np.arange(0, top + 1, 1 / _STEPS_PER_DOUBLING)).astype(np.int64))
    at = np.searchsorted(edges, np.arange(int(request.max()) + 1), "right").astype(np.int64) - 1  # one look-up a row
    place = at[request]
    n = np.bincount(place, minlength=len(edges))
    asked = np.bincount(place, request, len(edges))
    got = np.bincount(place, response, len(edges))
    width = int(response.max()) + 1
    keys = place * width + response
    keys = np.sort(keys.astype(np.int32) if len(edges) * width < 2**31 else keys)  # int32 sorts several times faster
    start = np.cumsum(n) - n
    kept = np.flatnonzero(n >= _PER_BIN_MIN)
    size = np.maximum(n[kept], 1)
    upper = np.append(edges[1:], edges[-1] * 2)

    def quantile(q: float) -> Floats:
        place = (size - 1) * q
        low = place.astype(np.int64)
        high = np.minimum(low + 1, size - 1)
        a, b = (keys[start[kept] + rank].astype(np.int64) - kept * width for rank in (low, high))
        result: Floats = a + (place - low) * (b - a)
        return result

    return {
        "from_tokens": edges[kept],
        "to_tokens": upper[kept],
        "n": n[kept],
        "request_mean": asked[kept] / size,
        "median": quantile(0.5),
        "mean": got[kept] / size,
        "q05": quantile(0.05),
        "q95": quantile(0.95),
    }


def latency(trace: Trace) -> Latency:
    """Return how long requests that did not fail took, where the trace tells."""
    fine = ~trace.failed
    elapsed, first = trace.elapsed_us[fine], trace.first_token_us[fine]
    tokens = trace.response_tokens[fine]
    both = (elapsed >= first) & (first != UNKNOWN) & (tokens > 1)
    per_token = (elapsed[both] - first[both]) / (tokens[both] - 1) / _SECOND_US
    return Latency(
        elapsed_s=seconds(elapsed).numbers(),
        first_token_s=seconds(first).numbers(),
        per_output_token_s=Tally.of(per_token).numbers(),
    )


def seconds(column_us: Int64s) -> Tally:
    """Return microseconds (UNKNOWN left out) as a tally of seconds."""
    known = column_us[column_us != UNKNOWN]
    if len(known) and not np.any(known % _SECOND_US):
        return Tally.of(known // _SECOND_US)
    return Tally.of(known, _SECOND_US)
