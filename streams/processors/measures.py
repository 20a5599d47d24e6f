"""What is observed of each completed request: tokens and latencies, as buckets of a log sketch. Pure.

The names follow OpenTelemetry's conventions for generative AI servers. Request tokens are those of every completed
request; response tokens and latencies only of those that ended ok: an error sent back at once, or a cancelled
stream, says nothing about how long an answer takes, and failures have numbers of their own. What is not known is
left out, never taken as 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.schema.batch import Batch
from collector.schema.events import Outcome
from streams.processors.columns import Codes, numbers
from streams.processors.count_panes import PER_REQUEST_MAX
from streams.stats.log_sketch import buckets, whole_buckets

Ints = NDArray[np.int64]

MEASURES = (
    "request_tokens",
    "response_tokens",
    "time_to_first_token_s",
    "request_duration_s",
    "time_per_output_token_s",
)
_TIMES = 2  # from here on measures are times
_PER_TOKEN = 4  # no whole number of microseconds


class Completed(NamedTuple):
    """Completed requests, an array per field.

    Attributes:
        column: the request's class; ``ok`` whether it ended ok; ``fresh`` whether windows still take it.
        submitted: when it was submitted (us), ``first_token`` gave its first token, ``ended`` ended; -1: not known.
        request_tokens: its tokens, ``response_tokens`` those of the answer; -1: not known.
    """

    column: NDArray[np.intp]
    ok: NDArray[np.bool_]
    fresh: NDArray[np.bool_]
    submitted: Ints
    first_token: Ints
    ended: Ints
    request_tokens: Ints
    response_tokens: Ints

    @property
    def at(self) -> Ints:
        """When each request counts (us): at its end, or its submission where that is all that is known."""
        at: Ints = np.where(self.ended < 0, self.submitted, self.ended)
        return at

    @property
    def took(self) -> Ints:
        """How long each took (us); -1 where its end is not known or lies before its submission."""
        took: Ints = np.maximum(self.ended - self.submitted, -1)
        return took


class Observed(NamedTuple):
    """The values of some requests, flat: value i is that of ``MEASURES[measure[i]]`` of request ``event[i]``.

    Attributes:
        bucket: each value's bucket; tokens, or seconds.
        sums: sum of the values per measure, in tokens or whole us; 0 for the time per output token.
        negative: requests with a time before one that must come first; their latencies are left out.
    """

    measure: NDArray[np.intp]
    event: NDArray[np.intp]
    bucket: Ints
    sums: tuple[int, ...]
    negative: int


def completed_of(batch: Batch, column: NDArray[np.intp], outcome: Codes) -> Completed:
    """Return the completions of ``batch``, all of them fresh; ``column`` is each one's class."""
    return Completed(
        column=column,
        ok=which_are(Outcome.OK, outcome),
        fresh=np.ones(batch.n, np.bool_),
        submitted=numbers(batch, "submitted_at"),
        first_token=numbers(batch, "first_token_at", absent=-1),
        ended=numbers(batch, "ended_at", absent=-1),
        # A cap no real request comes near; it keeps the sums of a message exact.
        request_tokens=np.minimum(numbers(batch, "request_tokens", absent=-1), PER_REQUEST_MAX),
        response_tokens=np.minimum(numbers(batch, "response_tokens", absent=-1), PER_REQUEST_MAX),
    )


def which_are(value: str, coded: Codes) -> NDArray[np.bool_]:
    """Return which events have ``value``."""
    values, code = coded
    here: NDArray[np.bool_] = code == (values.index(value) if value in values else -1)
    return here


def observe(completed: Completed) -> Observed:
    """Return what ``completed`` show."""
    _, ok, _, submitted, first, ended, request_tokens, response_tokens = completed
    started, over = first >= 0, ended >= 0
    both = started & over
    wait, took, told = first - submitted, ended - submitted, ended - first
    # The cap of the tokens: a time submitted near 0 would soon take the sums past 64 bits.
    capped = (np.minimum(time, PER_REQUEST_MAX) for time in (wait, took, told))
    backwards = (started & (wait < 0)) | (over & (took < 0)) | (both & (told < 0))
    negative = int(np.count_nonzero(backwards))
    good = ok & ~backwards if negative else ok
    known = (
        request_tokens >= 0,
        ok & (response_tokens >= 0),
        good & started,
        good & over,
        good & both & (response_tokens > 1),
    )
    events = [which.nonzero()[0] for which in known]
    fields = zip((request_tokens, response_tokens, *capped), events, strict=True)
    values = [field[event] for field, event in fields]
    times = np.concatenate(values[_TIMES:]) / 1e6
    if ratios := len(values[_PER_TOKEN]):
        times[-ratios:] /= response_tokens[events[_PER_TOKEN]] - 1
    return Observed(
        measure=np.repeat(np.arange(len(MEASURES)), [len(event) for event in events]),
        event=np.concatenate(events),
        bucket=np.concatenate([whole_buckets(np.concatenate(values[:_TIMES])), buckets(times)]),
        sums=(*(int(value.sum()) for value in values[:_PER_TOKEN]), 0),
        negative=negative,
    )
