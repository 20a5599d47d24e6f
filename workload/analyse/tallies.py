"""Lengths and latencies of a class of requests as tallies, which add up: a log type's are those of its models. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.analyse.tally import Tally, merged
from workload.trace.columns import UNKNOWN, Int64s, OutcomeCode, Trace

Floats = NDArray[np.float64]
SECOND_US = 1_000_000

_STEPS_PER_DOUBLING = 2
_DOUBLINGS = 31


def _edges() -> Int64s:
    steps = np.arange(_DOUBLINGS * _STEPS_PER_DOUBLING + 1) / _STEPS_PER_DOUBLING
    return np.unique(np.ceil(2**steps - 1e-9).astype(np.int64))


BIN_EDGES = _edges()  # of request tokens: 1, 2, 3, 4, 6, 8, 12, ...


@dataclass(frozen=True, slots=True)
class Tallies:
    """What is known of the lengths and latencies of some requests.

    Attributes:
        request, response: tokens of requests that did not fail, ``failed_request`` of those that did.
        elapsed_s, first_token_s, per_token_s: of requests that did not fail.
        joint: bin of request tokens x ``width`` + response tokens, of requests that went well, both above zero;
            ``asked`` the sum of request tokens in each bin.
    """

    request: Tally
    response: Tally
    failed_request: Tally
    elapsed_s: Tally
    first_token_s: Tally
    per_token_s: Tally
    joint: Tally
    asked: Floats
    width: int


def response_width(trace: Trace) -> int:
    """Return one more than the greatest number of response tokens."""
    return max(int(trace.response_tokens.max(initial=0)), 0) + 1


def tallies(trace: Trace, rows: NDArray[np.bool_] | None, width: int) -> Tallies:
    """Return the tallies of ``rows`` (None: all) of a trace; ``width`` is ``response_width`` of it."""
    failed = trace.failed
    fine = ~failed if rows is None else rows & ~failed
    failed = failed if rows is None else rows & failed
    request, response = trace.request_tokens[fine], trace.response_tokens[fine]
    elapsed, first = trace.elapsed_us, trace.first_token_us
    both = usable(trace)[fine]
    joint, asked = _joint(request[both], response[both], width)
    return Tallies(
        request=_known(request),
        response=_known(response),
        failed_request=_known(trace.request_tokens[failed]),
        elapsed_s=seconds(elapsed[fine]) if _told(elapsed) else NOTHING,
        first_token_s=seconds(first[fine]) if _told(first) else NOTHING,
        per_token_s=_per_token(elapsed[fine], first[fine], response) if _told(first) else NOTHING,
        joint=joint,
        asked=asked,
        width=width,
    )


def usable(trace: Trace) -> NDArray[np.bool_]:
    """Return which requests went well with both lengths above zero."""
    both: NDArray[np.bool_] = (trace.request_tokens > 0) & (trace.response_tokens > 0)
    both &= trace.outcome == OutcomeCode.OK
    return both


def together(parts: Sequence[Tallies]) -> Tallies:
    """Return the tallies of all parts' requests together; they have one width, and there is one at least."""
    if len(parts) == 1:
        return parts[0]
    names = ("request", "response", "failed_request", "elapsed_s", "first_token_s", "per_token_s", "joint")
    sums = {name: merged([getattr(part, name) for part in parts]) for name in names}
    return Tallies(**sums, asked=np.sum([part.asked for part in parts], axis=0), width=parts[0].width)


def seconds(column_us: Int64s) -> Tally:
    """Return microseconds (UNKNOWN left out) as a tally of seconds."""
    known = column_us[column_us != UNKNOWN]
    if len(known) and not np.any(known[:_GLANCE] % SECOND_US):
        whole = known // SECOND_US
        if np.array_equal(whole * SECOND_US, known):
            return Tally.of(whole)
    return Tally.of(known, SECOND_US)


_GLANCE = 1000
NOTHING = Tally(np.zeros(0), np.zeros(0, np.int64))


def _told(column: Int64s) -> bool:
    return bool(column.strides[0]) or bool(len(column) and column[0] != UNKNOWN)  # an absent column is one value


def _known(column: NDArray[np.int32]) -> Tally:
    return Tally.of(column[column != UNKNOWN])


def _per_token(elapsed: Int64s, first: Int64s, tokens: NDArray[np.int32]) -> Tally:
    both = (elapsed >= first) & (first != UNKNOWN) & (tokens > 1)
    return Tally.of((elapsed[both] - first[both]) / (tokens[both] - 1) / SECOND_US)


def _joint(request: NDArray[np.int32], response: NDArray[np.int32], width: int) -> tuple[Tally, Floats]:
    if not len(request):
        return NOTHING, np.zeros(len(BIN_EDGES))
    most = int(request.max())
    kind: Any = np.int32 if len(BIN_EDGES) * width < 2**31 else np.int64
    if most < 1 << 22:
        place: NDArray[Any] = (np.searchsorted(BIN_EDGES, np.arange(most + 1), "right") - 1).astype(kind)[request]
    else:
        place = (np.searchsorted(BIN_EDGES, request, "right") - 1).astype(kind)
    asked = np.bincount(place, request, len(BIN_EDGES)).astype(np.float64, copy=False)
    return Tally.of(place * kind(width) + response), asked
