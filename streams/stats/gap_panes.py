"""Sums over inter-arrival gaps, kept per 10-s pane and column so that a window's sums are plain sums of panes.

A gap belongs to the pane of its *earlier* event. A pane's gap to the next event is added when that event comes,
so at a boundary E, before any event at or after E is added, the panes of [E-W, E) hold exactly the gaps with
both ends in [E-W, E): nothing is ever subtracted, and a 1000-s idle gap beside 1-ms gaps costs no digit.

Times are integer microseconds. Counts, sums and squares are exact integers (squares of gaps up to an hour fit
in 64 unsigned bits); logarithms are of seconds and are added in time order, one by one, so that their sums are
the same to the last bit however the events were cut into batches.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.stats.pane_ring import PaneRing

Ints = NDArray[np.int64]

EVENTS, WHOLE, ZEROS, TOTAL, SQUARES = range(5)
LOGS, TOTAL_LOGS = range(2)


class GapSums(NamedTuple):
    """One window's sums, one value per column.

    ``exact[EVENTS]`` events, of which ``exact[WHOLE]`` on a whole second; ``exact[ZEROS]`` zero gaps;
    ``exact[TOTAL]`` and ``exact[SQUARES]`` sums of gaps (us) and their squares; ``logs[LOGS]`` and
    ``logs[TOTAL_LOGS]`` sums of ln x and x ln x over the gaps above zero (x in seconds).
    """

    exact: NDArray[np.uint64]
    logs: NDArray[np.float64]


class GapPanes:
    """Gap sums of the last ``keep`` panes; column 0 takes every event, column c > 0 its own."""

    def __init__(self, *, columns: int, keep: int) -> None:
        self._exact = PaneRing(fields=5, columns=columns, keep=keep, dtype=np.uint64)
        self._logs = PaneRing(fields=2, columns=columns, keep=keep, dtype=np.float64)
        self._last_at = np.zeros(columns, np.int64)
        self._last_pane = np.full(columns, -1, np.int64)

    def add(self, pane: int, times: Ints, columns: NDArray[Any]) -> None:
        """Add events of one pane in time order, none before those added earlier; ``columns`` from 1 on."""
        by = np.argsort(columns, kind="stable")
        at = np.concatenate([times, times[by]])
        column = np.concatenate([np.zeros(len(times), np.intp), columns[by]])
        heads = np.flatnonzero(np.diff(column, prepend=-1))
        who = column[heads]
        lead = at[heads] - self._last_at[who]
        gaps = np.diff(at, prepend=at[0])
        # -1 marks what is no gap of this pane: the first event of a column here.
        gaps[heads] = np.where(self._last_pane[who] == pane, lead, -1)
        self._add_inner(pane, at, column, gaps)
        self._add_outer(pane, who, lead)
        self._last_at[who] = at[np.append(heads[1:], len(at)) - 1]
        self._last_pane[who] = pane

    def _add_inner(self, pane: int, at: Ints, column: NDArray[np.intp], gaps: Ints) -> None:
        exact, logs = self._exact.row(pane), self._logs.row(pane)
        size = exact.shape[1]
        exact[EVENTS] += _counts(column, size)
        exact[WHOLE] += _counts(column[at % 1_000_000 == 0], size)
        exact[ZEROS] += _counts(column[gaps == 0], size)
        positive = gaps > 0
        column, us = column[positive], gaps[positive].astype(np.float64)
        # Exact in floating point: gaps inside one pane sum to 1e7 us at most, their squares to 1e14.
        exact[TOTAL] += np.bincount(column, us, size).astype(np.uint64)
        exact[SQUARES] += np.bincount(column, us * us, size).astype(np.uint64)
        x = us / 1e6
        log = np.log(x)
        # bincount adds one by one in order; starting from the sums so far makes any split come out the same.
        column = np.concatenate([np.arange(size), column])
        logs[LOGS] = np.bincount(column, np.concatenate([logs[LOGS], log]), size)
        logs[TOTAL_LOGS] = np.bincount(column, np.concatenate([logs[TOTAL_LOGS], x * log]), size)

    def _add_outer(self, pane: int, who: NDArray[np.intp], lead: Ints) -> None:
        """Give the gap into this pane to the pane it began in, where that is still kept."""
        began = self._last_pane[who]
        kept = (began != pane) & (began >= max(self._exact.first, 0))
        if not kept.any():
            return
        who, began, us = who[kept], began[kept], lead[kept].astype(np.uint64)
        exact = np.zeros((len(us), 5), np.uint64)
        exact[:, TOTAL], exact[:, SQUARES] = us, us * us
        self._exact.cells(began, who, exact)
        x = us / 1e6
        log = np.log(x)
        self._logs.cells(began, who, np.stack([log, x * log], axis=1))

    def sums(self, end: int, lengths: Sequence[int]) -> list[GapSums]:
        """Return, for each length in panes (ascending), the sums over panes [end - length, end)."""
        exact, logs = self._exact.sums(end, lengths), self._logs.sums(end, lengths)
        return [GapSums(*pair) for pair in zip(exact, logs, strict=True)]

    def vacate(self, column: int) -> None:
        """Empty a column for another class: no gap reaches from what was there to what comes."""
        self._exact.clear(column)
        self._logs.clear(column)
        self._last_at[column], self._last_pane[column] = 0, -1

    def widen(self, columns: int) -> None:
        """Make room for ``columns`` columns."""
        extra = columns - len(self._last_at)
        self._exact.widen(columns)
        self._logs.widen(columns)
        self._last_at = np.pad(self._last_at, (0, extra))
        self._last_pane = np.pad(self._last_pane, (0, extra), constant_values=-1)

    def dump(self, used: int) -> tuple[int, dict[str, NDArray[Any]]]:
        """Return the oldest pane kept and the state of the first ``used`` columns as arrays."""
        first, exact = self._exact.dump()
        _, logs = self._logs.dump()  # both rings only ever move together
        arrays: dict[str, NDArray[Any]] = {f"gaps_{field}": exact[:, field, :used] for field in range(5)}
        arrays["logs"] = logs[:, :, :used]
        arrays["last_at"], arrays["last_pane"] = self._last_at[:used], self._last_pane[:used]
        return first, arrays

    def load(self, first: int, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError`` or ``LookupError`` if it does not fit."""
        size, used = len(self._last_at), len(arrays["last_at"])
        exact = np.zeros((len(arrays["logs"]), 5, size), np.uint64)
        for field in range(5):
            exact[:, field, :used] = arrays[f"gaps_{field}"]
        self._exact.load(first, exact)
        self._logs.load(first, np.pad(arrays["logs"], ((0, 0), (0, 0), (0, size - used))))
        self._last_at[:used] = arrays["last_at"]
        self._last_pane[:used] = arrays["last_pane"]


def _counts(column: NDArray[np.intp], size: int) -> NDArray[np.uint64]:
    return np.bincount(column, minlength=size).astype(np.uint64)
