"""Conversations: sessions that begin along a rate and go on after think times, millions of turns at a time. Pure.

A trace is a stretch cut out of something that has gone on for long: at its start there are sessions that began before
it, and at its end sessions that are not over. Turns beyond the end are therefore carried round to the beginning, as
turns of another session that began one trace's length earlier. So every second has the same expected number of
turns, which sessions that all began inside would not give, and no warm-up is drawn in vain. With a profile of the
day, a session that is carried round begins at the hour of its first turn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workload.generate.lengths import draw_tokens, draw_values, growing_by_length, growing_requests
from workload.model.model import ModelClass, Sessions
from workload.scale.renewal import RateCurve, arrivals
from workload.scale.units import carried_round

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Int32s = NDArray[np.int32]

_MARGIN = 1.05  # sessions drawn, over those that the mean number of turns asks for


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Requests of sessions, session by session, not in time order: when, how long, and whose (0, 1, ...)."""

    times_s: Floats
    request_tokens: Int32s
    session: Int32s

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return int(self.session[-1]) + 1 if len(self.session) else 0


def turn_chances(sessions: Sessions) -> Floats:
    """Return P(turns = 1..turns_max): the table, then what is left in a geometric tail.

    >>> from workload.model.model import Quantiles
    >>> one = Quantiles(probabilities=(0, 1), values=(1, 1))
    >>> law = Sessions(turns=(0.5, 0.2), turns_max=4, tail_ratio=0.5, think_time_s=one, growth_tokens=one,
    ...                first_request_tokens=one)
    >>> turn_chances(law).round(6).tolist()
    [0.5, 0.2, 0.2, 0.1]
    """
    table = np.asarray(sessions.turns)
    tail = sessions.tail_ratio ** np.arange(sessions.turns_max - len(table))
    left = max(1.0 - table.sum(), 0.0)
    rest = tail / tail.sum() * left if len(tail) and left else np.zeros(len(tail))
    chances: Floats = np.concatenate((table, rest))
    chances /= chances.sum()
    return chances


def draw_turns(rng: np.random.Generator, curve: RateCurve, n: int, *, one: ModelClass, sessions: Sessions) -> Turns:
    """Return ``n`` requests of the class's sessions, begun along ``curve``; the last one is cut to make it ``n``."""
    counts = _turn_counts(rng, n, sessions)
    heads = np.cumsum(counts) - counts
    starts = arrivals(rng, curve, len(counts), one.arrivals.law)
    think = draw_values(rng, n, sessions.think_time_s)
    times, session = place_turns(starts, think, counts, curve)
    first = draw_tokens(rng, len(counts), sessions.first_request_tokens)
    low = max(int(sessions.first_request_tokens.values[0]), 1)
    high = int(max(one.lengths.request_tokens[-1], sessions.first_request_tokens.values[-1]))
    if sessions.growth_given_request:
        request = growing_by_length(first, rng.random(n), counts, sessions.growth_given_request, (low, high))
    else:
        growth = np.rint(draw_values(rng, n, sessions.growth_tokens)).astype(np.int64)
        request = growing_requests(first, growth, heads, low=low, high=high)
    return Turns(times_s=times, request_tokens=request, session=session)


def _turn_counts(rng: np.random.Generator, n: int, sessions: Sessions) -> Ints:
    """Return turns per session, ``n`` in all."""
    if not n:
        return np.empty(0, np.int64)
    chances = turn_chances(sessions)
    upto, mean = np.cumsum(chances), float(chances @ np.arange(1, len(chances) + 1))
    counts = np.empty(0, np.int64)
    while counts.sum() < n:  # usually once
        more = rng.random(int((n - counts.sum()) / mean * _MARGIN) + 16)
        counts = np.append(counts, np.searchsorted(upto, more, side="right").clip(max=len(upto) - 1) + 1)
    total = np.cumsum(counts)
    last = int(np.searchsorted(total, n))
    counts = counts[: last + 1]
    counts[last] -= total[last] - n
    return counts


def place_turns(starts: Floats, waits: Floats, counts: Ints, curve: RateCurve) -> tuple[Floats, Int32s]:
    """Return each turn's time inside the curve and its session, those carried round the end being sessions of theirs.

    ``waits``, one a turn, hold the time since the session's turn before; what stands at first turns is not used.
    """
    if not len(waits):
        return np.empty(0), np.empty(0, np.int32)
    heads = np.cumsum(counts) - counts
    since = np.cumsum(waits)
    since -= np.repeat(since[heads], counts)
    return carried_round(np.repeat(starts, counts) + since, heads, curve)
