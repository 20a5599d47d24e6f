"""The counting path: arrivals and completions by event time, in any order, amendable until they are too late.

A pane is 10 s of event time. Open panes keep their detail (open_panes.py). When event time has passed a pane it is
closed into a row of a ring that covers the longest window; its detail stays for the allowed lateness, so that a
late event amends counts, squares, steps and peaks exactly.

A window of m bins has m - 1 steps between neighbouring bins, for the Allan factor. A row holds the steps inside its
pane; those across a border come from the last bin of one row and the first bin of the next when a window is summed,
so that a window has exactly its own, and a late event needs no mending anywhere else.

Time before the service's first event is not silence: nothing was known then. Windows begin with the pane of that
event (``known_from``), or with the oldest row there is (after a restart with longer windows), if that is later.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.processors.open_panes import ENDED, ENDINGS, FAILED, PANE_US, SECONDS, TENTHS, Ints, OpenPanes
from streams.stats.pane_ring import PaneRing

PER_REQUEST_MAX = 2**36  # tokens, or microseconds (19 h); sums over a message stay exact in floating point

# rows of a closed pane; the last three exist in sums only
ARRIVALS, COMPLETIONS, FAILURES, REQUEST_TOKENS, RESPONSE_TOKENS, TIMED, DURATION_US = range(7)
FIRST_1S, LAST_1S, SQUARES_1S, STEPS_1S, PEAK_1S = range(7, 12)
SQUARES_10S, STEPS_10S = range(12, 14)
_ROWS = 12
_ADDITIVE = slice(ARRIVALS, LAST_1S + 1)  # the total is the sum of the classes
_OTHER = slice(SQUARES_1S, PEAK_1S + 1)
# rows of the ring of 0.1-s counts, of the service as a whole
FIRST_100MS, LAST_100MS, SQUARES_100MS, STEPS_100MS = range(4)


class CountSums(NamedTuple):
    """One window's sums.

    ``panes`` that the window has since the service is known (at most its length); ``counts`` one value per row
    (as named above) and column; ``tenths`` one value per row of the 0.1-s counts of the total.
    """

    panes: int
    counts: Ints
    tenths: Ints


class CountPanes:
    """Counts per pane and column; column 0 is the total of the others and filled when a pane closes."""

    def __init__(self, *, columns: int, keep: int) -> None:
        self._columns = columns
        self._ring = PaneRing(fields=_ROWS, columns=columns, keep=keep, dtype=np.int64)
        self._tenths = PaneRing(fields=4, columns=1, keep=keep, dtype=np.int64)
        self._open = OpenPanes(columns)
        self._amendable: set[int] = set()  # closed panes whose detail is still in _open
        self._newest = -keep - 1  # newest closed pane with anything in it
        self.known_from: int | None = None  # the pane of the first event ever
        self.closed_to = 0  # panes below are closed
        self._all_busy_at: int | None = None  # ``closed_to`` when no column was idle

    def add_arrivals(self, times: Ints, columns: NDArray[np.intp]) -> None:
        """Count arrivals at ``times`` (us)."""
        self._amend(self._open.add_arrivals(times, columns))

    def add_completions(
        self, times: Ints, columns: NDArray[np.intp], failed: NDArray[np.bool_], values: Sequence[NDArray[Any]]
    ) -> None:
        """Count completions, see ``OpenPanes.add_completions``."""
        self._amend(self._open.add_completions(times, columns, failed, values))

    def _amend(self, changed: list[int]) -> None:
        if not changed:
            return
        first = min(changed)
        if self.known_from is None or first < self.known_from:
            self.known_from = first
        if first < self.closed_to:
            for pane in changed:
                if pane < self.closed_to:
                    self._amendable.add(pane)
                    self._fill(pane)

    def evict_future(self) -> tuple[int, int] | None:
        """Return (first pane, events) of what had to be dropped since the last call, if anything."""
        return self._open.evicted()

    def unclosed(self) -> int:
        """Return how many events lie in panes not yet closed."""
        return sum(pane.events for number, pane in self._open.panes.items() if number >= self.closed_to)

    def next_open(self) -> int | None:
        """Return the earliest pane not yet closed that has counts."""
        return min((pane for pane in self._open.panes if pane >= self.closed_to), default=None)

    @property
    def alive(self) -> bool:
        """True if the longest window ending with the newest closed pane has anything in it."""
        return self._newest >= self.closed_to - self._ring.keep

    def close(self, pane: int) -> None:
        """Close ``pane`` (those before it that were skipped count as closed and empty)."""
        self.closed_to = pane + 1
        self._ring.row(pane)
        self._tenths.row(pane)
        if pane in self._open.panes:
            self._amendable.add(pane)
            self._fill(pane)

    def _fill(self, number: int) -> None:
        """Work out the rings' rows of a closed pane from its detail."""
        if number < self._ring.first:
            return
        pane, row = self._open.panes[number], self._ring.row(number)
        detail = pane.by_class
        detail[:, 0] = 0
        detail[:, 0] = detail.sum(axis=1)
        seconds = detail[SECONDS]
        row[ARRIVALS] = seconds.sum(axis=0)
        row[COMPLETIONS : DURATION_US + 1] = detail[ENDED]
        _fill_bins(row[FIRST_1S : STEPS_1S + 1], seconds)
        row[PEAK_1S] = seconds.max(axis=0)
        _fill_bins(self._tenths.row(number), pane.total[TENTHS, np.newaxis])
        self._newest = max(self._newest, number)

    def forget_detail(self, before_us: int) -> None:
        """Drop the detail of closed panes that end at or before ``before_us``: they cannot change any more."""
        for pane in [p for p in self._amendable if (p + 1) * PANE_US <= before_us]:
            self._amendable.remove(pane)
            del self._open.panes[pane]

    def seconds(self, pane: int) -> list[int]:
        """Return the arrivals in each of the ten seconds of ``pane``, one of ``panes_between``."""
        counts: list[int] = self._open.panes[pane].by_class[SECONDS, 1:].sum(axis=1).tolist()
        return counts

    def endings(self, pane: int) -> tuple[list[int], list[int]]:
        """Return the completions, and how many failed, in each second of ``pane``, one of ``panes_between``."""
        total = self._open.panes[pane].total
        return total[ENDINGS].tolist(), total[FAILED].tolist()

    def panes_between(self, first: int, end: int) -> list[int]:
        """Return the panes in [first, end) with counts in detail, ascending."""
        panes = self._open.panes
        if end - first <= len(panes):
            return [pane for pane in range(first, end) if pane in panes]
        return sorted(pane for pane in panes if first <= pane < end)

    def sums(self, end: int, lengths: Sequence[int]) -> list[CountSums]:
        """Return, for each length in panes (ascending), the sums over panes [end - length, end).

        ``end`` is the pane after the newest closed one, which has been closed with events at hand.
        """
        first, rows = self._ring.last(end, lengths[-1])
        known = max(first, min(end - 1, first if self.known_from is None else self.known_from))
        starts = [max(end - length, known) for length in lengths]
        places = [start - first for start in starts]
        counts = np.zeros((len(rows), SQUARES_10S + 2, rows.shape[2]), np.int64)
        counts[:, :_ROWS] = rows
        _add_border(counts, FIRST_1S, LAST_1S, STEPS_1S)
        arrivals = rows[:, ARRIVALS]
        counts[:, SQUARES_10S] = arrivals * arrivals
        steps = arrivals[1:] - arrivals[:-1]
        counts[:-1, STEPS_10S] = steps * steps
        tenths = self._tenths.last(end, lengths[-1])[1].copy()
        _add_border(tenths, FIRST_100MS, LAST_100MS, STEPS_100MS)
        sums, fine = _from(places, counts, np.add), _from(places, tenths[:, :, 0], np.add)
        peaks = _from(places, rows[:, PEAK_1S], np.maximum)
        for total, peak in zip(sums, peaks, strict=True):
            total[PEAK_1S] = peak
        return [CountSums(end - start, *pair) for start, *pair in zip(starts, sums, fine, strict=True)]

    def idle(self, columns: Sequence[int]) -> int | None:
        """Return the first of ``columns`` without an event in the panes kept and those to come, or None.

        Between two closed panes events are only added: what was found busy at one stays so, and is not asked again.
        """
        if self._all_busy_at == self.closed_to:
            return None
        busy = self._ring.any_of([ARRIVALS, COMPLETIONS], self.closed_to - self._ring.keep)
        busy |= self._open.busy()
        for column in columns:
            if not busy[column]:
                return column
        self._all_busy_at = self.closed_to
        return None

    def vacate(self, column: int) -> None:
        """Empty a column for another class."""
        self._ring.clear(column)
        self._open.vacate(column)

    def widen(self, columns: int) -> None:
        """Make room for ``columns`` columns."""
        self._columns = columns
        self._ring.widen(columns)
        self._open.widen(columns)

    def dump(self, used: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the state of the first ``used`` columns; what ``load`` can work out again is left out."""
        first, rows = self._ring.dump()
        facts = {
            "first": first,
            "newest": self._newest,
            "closed_to": self.closed_to,
            "known_from": self.known_from,
        }
        arrays = {f"counts_{row}": rows[:, row, 1:used] for row in range(_ROWS)[_ADDITIVE]}
        arrays |= {f"counts_{row}": rows[:, row, :used] for row in range(_ROWS)[_OTHER]}
        arrays |= {f"tenths_{row}": self._tenths.dump()[1][:, row, 0] for row in range(4)}
        return facts, arrays | self._open.dump(used)

    def load(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError``, ``LookupError`` or ``TypeError``."""
        size, used = arrays[f"counts_{SQUARES_1S}"].shape
        rows = np.zeros((size, _ROWS, self._columns), np.int64)
        for row in range(_ROWS)[_ADDITIVE]:
            rows[:, row, 1:used] = arrays[f"counts_{row}"]
        rows[:, _ADDITIVE, 0] = rows[:, _ADDITIVE, 1:].sum(axis=2)
        for row in range(_ROWS)[_OTHER]:
            rows[:, row, :used] = arrays[f"counts_{row}"]
        tenths = np.stack([arrays[f"tenths_{row}"] for row in range(4)], axis=1)[:, :, np.newaxis]
        self._ring.load(facts["first"], rows)
        self._tenths.load(facts["first"], tenths)
        self._newest, self.closed_to, self.known_from = facts["newest"], facts["closed_to"], facts["known_from"]
        self._open.load(arrays)
        self._amendable = {pane for pane in self._open.panes if pane < self.closed_to}


def _fill_bins(row: Ints, counts: Ints) -> None:
    """Fill first bin, last bin, sum of squares, sum of squared steps of ``counts`` (bin, column)."""
    steps = counts[1:] - counts[:-1]
    row[0], row[1] = counts[0], counts[-1]
    row[2], row[3] = (counts * counts).sum(axis=0), (steps * steps).sum(axis=0)


def _add_border(rows: Ints, first: int, last: int, steps: int) -> None:
    """Add to each row's steps the one from its last bin to the first bin of the next row.

    The newest row has no next one, and a window takes no row before its first: it gets exactly the steps inside.
    """
    across = rows[1:, first] - rows[:-1, last]
    rows[:-1, steps] += across * across


def _from(places: Sequence[int], rows: Ints, operation: np.ufunc) -> list[Ints]:
    """Return ``operation`` over rows[place:] for each of ``places`` (descending, some perhaps equal)."""
    starts = sorted(set(places))
    parts = operation.reduceat(rows, starts, axis=0)
    over = dict(zip(reversed(starts), operation.accumulate(parts[::-1], axis=0), strict=True))
    return [over[place].copy() for place in places]
