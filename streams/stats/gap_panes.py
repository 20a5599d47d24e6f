"""Sums over inter-arrival gaps, kept per 10-s pane and column so that a window's sums are plain sums of panes.

A gap belongs to the pane of its *earlier* event, the product of two neighbouring gaps to that of the first of its
three events. Each is added when its last event comes, so at a boundary E, before any event at or after E is added,
the panes of [E-W, E) hold exactly the gaps, and products, all of whose events lie in [E-W, E): nothing is ever
subtracted, and a 1000-s idle gap beside 1-ms gaps costs no digit. A window's first gap is that of the first pane
with events in it, its last gap that before the last event there was.

Times are integer microseconds. Counts, sums, squares and products are exact integers: the gaps of an hour sum to
3.6e9 us, and neither their squares nor (Cauchy and Schwarz) their products sum to more than the square of that,
which fits in 64 unsigned bits. Gaps between events that both lie on a whole second are counted in a histogram of
seconds, which is all there is to know of such stamps; others cost it nothing. Logarithms are of seconds and are
added in time order, one by one, so that their sums are the same to the last bit however the events were cut into
batches.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.stats.pane_ring import PaneRing
from streams.stats.runs import run_starts
from streams.stats.sparse_panes import CellSums, SparsePanes

Ints = NDArray[np.int64]

EVENTS, WHOLE, ZEROS, TOTAL, SQUARES, PRODUCTS, FIRST_GAP = range(7)
LOGS, TOTAL_LOGS = range(2)
_FIELDS = 7
SECONDS_MAX = 3600  # a gap of an hour lies in no window

# What is remembered of each column's events: the time (us) and pane of the last one, the gap before it, and the
# pane of the one before; -1 for no pane.
_AT, _PANE, _GAP, _GAP_PANE = range(4)
_NONE = np.array([[0], [-1], [0], [-1]])


class GapSums(NamedTuple):
    """One window's sums, one value per column.

    ``exact[EVENTS]`` events, of which ``exact[WHOLE]`` on a whole second; ``exact[ZEROS]`` zero gaps;
    ``exact[TOTAL]`` and ``exact[SQUARES]`` sums of gaps (us) and their squares, ``exact[PRODUCTS]`` of the products
    of neighbouring gaps; ``exact[FIRST_GAP]`` the window's first gap and ``last_gap`` its last one (us, 0 where there
    is none); ``logs[LOGS]`` and ``logs[TOTAL_LOGS]`` sums of ln x and x ln x over the gaps above zero (x in seconds);
    ``seconds`` the gaps between whole seconds, by length (s) and column, None for windows that have no histogram.
    """

    exact: NDArray[np.uint64]
    logs: NDArray[np.float64]
    last_gap: NDArray[np.uint64]
    seconds: CellSums | None


class _Seam(NamedTuple):
    """The gaps and products of one call, by event, and each column's first and last event among them."""

    gaps: Ints
    products: Ints
    heads: NDArray[np.intp]
    tails: NDArray[np.intp]


class GapPanes:
    """Gap sums of the last ``keep`` panes; column 0 takes every event, column c > 0 its own.

    Windows of ``histograms`` panes (ascending) have the histogram of whole-second gaps, too.
    """

    def __init__(self, *, columns: int, keep: int, histograms: Sequence[int] = ()) -> None:
        self._histograms = frozenset(histograms)
        self._seconds = SparsePanes(keys=SECONDS_MAX, lengths=histograms)
        self._exact = PaneRing(fields=_FIELDS, columns=columns, keep=keep, dtype=np.uint64)
        self._logs = PaneRing(fields=2, columns=columns, keep=keep, dtype=np.float64)
        self._last = np.repeat(_NONE, columns, axis=1)

    def add(self, pane: int, times: Ints, columns: NDArray[Any]) -> None:
        """Add events of one pane in time order, none before those added earlier; ``columns`` from 1 on."""
        by, size = columns.argsort(kind="stable"), len(times)
        at = np.concatenate([times, times[by]])
        column = np.zeros(2 * size, np.intp)
        column[size:] = columns[by]
        heads = run_starts(column)
        tails = np.empty_like(heads)
        tails[:-1], tails[-1] = heads[1:] - 1, 2 * size - 1
        who = column[heads]
        last = self._last[:, who]
        gaps = np.empty_like(at)
        np.subtract(at[1:], at[:-1], out=gaps[1:])
        gaps[heads] = at[heads] - last[_AT]
        products = np.empty_like(gaps)
        np.multiply(gaps[1:], gaps[:-1], out=products[1:])
        products[heads] = gaps[heads] * last[_GAP]
        before = np.where(tails > heads, pane, last[_PANE])
        self._last[:, who] = at[tails], np.full(len(who), pane), gaps[tails], before
        if (last[_GAP_PANE] != pane).any():
            self._cross(pane, who, last, _Seam(gaps, products, heads, tails))
        self._add_inner(pane, column, _Seam(gaps, products, heads, tails))
        whole = times % 1_000_000 == 0
        if whole.any():
            self._add_whole(pane, columns[whole])
            self._add_seconds(pane, at, column, (heads, last))

    def _add_inner(self, pane: int, column: NDArray[np.intp], seam: "_Seam") -> None:
        """Add the events of ``column``, and what lies in this pane whole: gaps (-1 for none) and products."""
        gaps, products, heads, tails = seam
        exact, logs = self._exact.row(pane), self._logs.row(pane)
        size, who = exact.shape[1], column[heads]
        exact[EVENTS, who] += (tails - heads + 1).astype(np.uint64)
        zero = gaps == 0
        if zero.any():
            exact[ZEROS] += _counts(column[zero], size)
        us = np.maximum(gaps, 0)
        for field, values in ((TOTAL, us), (SQUARES, us * us), (PRODUCTS, products)):
            exact[field, who] += np.add.reduceat(values, heads).astype(np.uint64)
        x = us / 1e6
        log = np.log(np.where(gaps > 0, x, 1.0))  # 0 where there is no gap: adding that changes no bit
        # bincount adds one by one in order; starting from the sums so far makes any split come out the same.
        column = np.concatenate([np.arange(size), column])
        logs[LOGS] = np.bincount(column, np.concatenate([logs[LOGS], log]), size)
        logs[TOTAL_LOGS] = np.bincount(column, np.concatenate([logs[TOTAL_LOGS], x * log]), size)

    def _add_whole(self, pane: int, columns: NDArray[Any]) -> None:
        row = self._exact.row(pane)[WHOLE]
        row += _counts(columns, len(row))
        row[0] += np.uint64(len(columns))

    def _add_seconds(self, pane: int, at: Ints, column: NDArray[np.intp], known: tuple[NDArray[np.intp], Ints]) -> None:
        """Count the gaps between whole seconds; ``known``: each column's first event here and what came before it."""
        if not self._histograms:
            return
        heads, last = known
        before, panes = np.roll(at, 1), np.full(len(at), pane)
        before[heads], panes[heads] = last[_AT], last[_PANE]
        seconds, rest = np.divmod(at - before, 1_000_000)
        counted = (rest == 0) & (at % 1_000_000 == 0) & (panes >= 0) & (seconds < SECONDS_MAX)
        self._seconds.add(panes[counted], column[counted], seconds[counted])

    def _cross(self, pane: int, who: NDArray[np.intp], last: Ints, seam: "_Seam") -> None:
        """Give what began in earlier panes to them, where they are still kept, and take it out of ``seam``."""
        gaps, products, heads, tails = seam
        lead, more = gaps[heads], tails > heads
        seconds = np.minimum(heads + 1, tails)
        began, gap_began = last[_PANE], last[_GAP_PANE]
        outer, first = began != pane, gap_began != began
        row = self._exact.row(pane)  # a later pane may be the end of those long ago
        kept = max(self._exact.first, 0)
        if (some := (outer | first) & (began >= kept)).any():
            exact = np.zeros((len(who), _FIELDS), np.uint64)
            exact[outer, TOTAL], exact[outer, SQUARES] = lead[outer], lead[outer] * lead[outer]
            exact[outer & more, PRODUCTS] = products[seconds[outer & more]]
            exact[first, FIRST_GAP] = lead[first]
            self._exact.cells(began[some], who[some], exact[some])
        if (some := outer & (began >= kept)).any():
            x = lead[some] / 1e6
            log = np.log(x)
            self._logs.row(pane)
            self._logs.cells(began[some], who[some], np.stack([log, x * log], axis=1))
        if (some := (gap_began != pane) & (gap_began >= kept)).any():
            exact = np.zeros((np.count_nonzero(some), _FIELDS), np.uint64)
            exact[:, PRODUCTS] = products[heads[some]]
            self._exact.cells(gap_began[some], who[some], exact)
        row[FIRST_GAP, who[outer & more]] = gaps[seconds[outer & more]]
        gaps[heads[outer]] = -1
        products[seconds[outer]] = 0
        products[heads[gap_began != pane]] = 0

    def sums(self, end: int, lengths: Sequence[int]) -> list[GapSums]:
        """Return, for each length in panes (ascending), the sums over panes [end - length, end).

        ``end`` must not fall, and for the last gap no event at or after it may have been added.
        """
        exact, logs = self._exact.sums(end, lengths), self._logs.sums(end, lengths)
        first = self._exact.earliest([end - length for length in lengths], present=EVENTS, wanted=FIRST_GAP)
        last_gap = self._last[_GAP].astype(np.uint64)
        self._seconds.move(end)
        found = []
        for length, sums, gap, log in zip(lengths, exact, first, logs, strict=True):
            several = sums[EVENTS] > 1
            sums[FIRST_GAP] = gap * several
            seconds = self._seconds.window(length) if length in self._histograms else None
            found.append(GapSums(sums, log, last_gap * several, seconds))
        return found

    def vacate(self, column: int) -> None:
        """Empty a column for another class: no gap reaches from what was there to what comes."""
        self._exact.clear(column)
        self._logs.clear(column)
        self._last[:, column] = _NONE[:, 0]

    def widen(self, columns: int) -> None:
        """Make room for ``columns`` columns."""
        self._exact.widen(columns)
        self._logs.widen(columns)
        new = np.repeat(_NONE, columns - self._last.shape[1], axis=1)
        self._last = np.concatenate([self._last, new], axis=1)

    def dump(self, used: int) -> tuple[int, dict[str, NDArray[Any]]]:
        """Return the oldest pane kept and the state of the first ``used`` columns as arrays."""
        first, exact = self._exact.dump()
        _, logs = self._logs.dump()  # both rings only ever move together
        arrays: dict[str, NDArray[Any]] = {f"gaps_{field}": exact[:, field, :used] for field in range(_FIELDS)}
        arrays["logs"] = logs[:, :, :used]
        arrays["last"] = self._last[:, :used]
        return first, arrays | self._seconds.dump("seconds")

    def load(self, first: int, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError`` or ``LookupError`` if it does not fit."""
        size, used = self._last.shape[1], arrays["last"].shape[1]
        exact = np.zeros((len(arrays["logs"]), _FIELDS, size), np.uint64)
        for field in range(_FIELDS):
            exact[:, field, :used] = arrays[f"gaps_{field}"]
        self._exact.load(first, exact)
        self._logs.load(first, np.pad(arrays["logs"], ((0, 0), (0, 0), (0, size - used))))
        self._last[:, :used] = arrays["last"]
        self._seconds.load(arrays, "seconds")


def _counts(column: NDArray[np.intp], size: int) -> NDArray[np.uint64]:
    return np.bincount(column, minlength=size).astype(np.uint64)
