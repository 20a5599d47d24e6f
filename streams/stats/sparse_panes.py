"""Counts by (column, key) per 10-s pane, and their exact sums over windows: for histograms, which are mostly empty.

A cell is ``column * keys + key``. Each pane keeps the cells that occur in it and how often. The windows that end
at the boundary last moved to are sums that roll: a boundary costs the cells of the panes that enter and leave,
not windows x keys x panes. All are integers, so nothing drifts, and a late count is added to its pane and to
every window that holds the pane. Counts in panes not yet inside a window may come in any order.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.stats.runs import run_starts

Ints = NDArray[np.int64]
Cells = NDArray[np.int32]  # 32 bits hold 300,000 columns of 6,400 keys

AHEAD_PANES_MAX = 8192  # as many as the counting path keeps open; a day without a hole, or far more with holes
AHEAD_CELLS_MAX = 2**20  # an agent that never promises fills 8 MB, no more
_WAITING_MAX = 2**15
_PRUNE_AT = 64


class CellSums(NamedTuple):
    """A window's cells, ascending, and how often each was counted (always above 0)."""

    keys: int
    cells: Cells
    counts: Ints

    def of(self, column: int) -> tuple[Cells, Ints]:
        """Return the keys of ``column``, ascending, and their counts."""
        low, high = np.searchsorted(self.cells, [column * self.keys, (column + 1) * self.keys])
        return self.cells[low:high] - np.int32(column * self.keys), self.counts[low:high]


class SparsePanes:
    """Counts per pane and cell, and the windows of ``lengths`` panes (ascending) over them."""

    def __init__(self, *, keys: int, lengths: Sequence[int]) -> None:
        self._keys = keys
        self._lengths = tuple(lengths)
        self._longest = max(lengths, default=0)
        self._panes: dict[int, _Pane] = {}
        self._end = 0  # the windows' end: panes below are in the sums
        self._ahead = 0  # no fewer than the cells in panes from there on
        # Cells any window may hold, and their sums; the last one is above every real cell, so a search never ends
        # outside.
        self._cells: Cells = np.array([np.iinfo(np.int32).max], np.int32)
        self._sums: Ints = np.zeros((len(self._lengths), 1), np.int64)

    def add(self, panes: Ints, columns: NDArray[Any], keys: NDArray[Any]) -> int:
        """Count one at each (pane, column, key); what is older than the longest window is left out.

        Returns how many counts, those furthest ahead, had to be dropped to stay bounded.
        """
        if not len(panes):
            return 0
        dropped = 0
        for pane, cells in _by_pane(panes, self._cells_of(columns, keys)):
            self._add(pane, cells)
            if len(self._panes) > 2 * AHEAD_PANES_MAX:
                dropped += self._shed()
        return dropped + self._shed_if_full()

    def add_to(self, pane: int, columns: NDArray[Any], keys: NDArray[Any]) -> int:
        """Do what ``add`` does where all counts are of one ``pane``."""
        if not len(keys):
            return 0
        self._add(pane, self._cells_of(columns, keys))
        return self._shed_if_full()

    def _cells_of(self, columns: NDArray[Any], keys: NDArray[Any]) -> Cells:
        cells: Cells = (columns * self._keys + keys).astype(np.int32)
        return cells

    def _shed_if_full(self) -> int:
        if len(self._panes) > AHEAD_PANES_MAX or self._ahead > AHEAD_CELLS_MAX:
            return self._shed()
        return 0

    def _add(self, pane: int, cells: Cells) -> None:
        if pane < self._end - self._longest:
            return
        if (known := self._panes.get(pane)) is None:
            known = self._panes[pane] = _Pane()
        if pane < self._end:
            unique, counts = _counted(cells)
            known.merge(unique, counts)
            self._roll(unique, counts, self._windows_with(pane))
        else:
            known.put(cells)
            self._ahead += len(cells)
            known.booked += len(cells)

    def _windows_with(self, pane: int) -> slice:
        """Return the windows that hold ``pane``, one below their end: the first long enough and all longer ones."""
        return slice(sum(length < self._end - pane for length in self._lengths), None)

    def _shed(self) -> int:
        """Keep what lies ahead bounded: drop the panes furthest ahead; return how many counts that were."""
        ahead = sorted(pane for pane in self._panes if pane >= self._end)
        kept = self._ahead = 0
        for pane in ahead[:AHEAD_PANES_MAX]:
            cells = self._panes[pane].settle()
            if self._ahead + cells > AHEAD_CELLS_MAX:
                break
            self._panes[pane].booked = cells
            self._ahead += cells
            kept += 1
        return sum(self._panes.pop(pane).total() for pane in ahead[kept:])

    def drop_from(self, pane: int) -> None:
        """Drop the panes from ``pane`` on that no window holds yet: the counting path has no room for them."""
        for ahead in [p for p in self._panes if p >= max(pane, self._end)]:
            self._ahead -= self._panes.pop(ahead).booked

    def move(self, end: int) -> None:
        """Let the windows end at pane ``end`` (exclusive), not before where they end now."""
        if end <= self._end:
            return
        before, self._end = self._end, end
        if not self._panes:
            return
        for pane in self._between(max(before, end - self._longest), end):
            entering = self._panes[pane]
            self._leave_ahead(entering)
            entering.settle()
            self._roll(entering.cells, entering.counts, self._windows_with(pane))
        for window, length in enumerate(self._lengths):
            for pane in self._between(before - length, min(before, end - length)):
                leaving = self._panes[pane]
                self._roll(leaving.cells, -leaving.counts, slice(window, window + 1))
        for pane in self._between(before - self._longest, end - self._longest):
            self._leave_ahead(self._panes.pop(pane))
        self._prune()

    def _leave_ahead(self, pane: "_Pane") -> None:
        self._ahead -= pane.booked
        pane.booked = 0

    def _between(self, low: int, high: int) -> list[int]:
        """Return the panes in [low, high) with counts, ascending."""
        if high - low <= len(self._panes):
            return [pane for pane in range(low, high) if pane in self._panes]
        return sorted(pane for pane in self._panes if low <= pane < high)

    def _roll(self, cells: Cells, counts: NDArray[Any], windows: slice) -> None:
        """Add ``counts`` of ``cells`` (no cell twice) to the sums of ``windows``."""
        slots = self._cells.searchsorted(cells)
        new = self._cells[slots] != cells
        if new.any():
            slots += np.cumsum(new) - new  # each moves up by the new cells below it
            self._insert(slots[new], cells[new])
        for sums in self._sums[windows]:
            sums[slots] += counts

    def _insert(self, slots: NDArray[np.intp], cells: Cells) -> None:
        """Make room for new ``cells``, which will be at ``slots``."""
        size = len(self._cells) + len(cells)
        old = np.ones(size, np.bool_)
        old[slots] = False
        kept, self._cells = self._cells, np.empty(size, np.int32)
        self._cells[slots], self._cells[old] = cells, kept
        sums, self._sums = self._sums, np.zeros((len(self._lengths), size), np.int64)
        self._sums[:, old] = sums

    def _prune(self) -> None:
        """Forget cells no window holds any more, once they are the greater part."""
        if len(self._cells) > _PRUNE_AT and 2 * np.count_nonzero(self._sums[-1]) < len(self._cells):
            live = self._sums[-1] > 0
            live[-1] = True
            self._cells, self._sums = self._cells[live], np.ascontiguousarray(self._sums[:, live])

    def window(self, length: int) -> CellSums:
        """Return what was counted in the ``length`` panes up to the windows' end.

        Raises ``ValueError`` for a length that was not asked for at the start.
        """
        sums = self._sums[self._lengths.index(length)]
        held = sums > 0
        return CellSums(self._keys, self._cells[held], sums[held])

    def dump(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the state as arrays called ``name_...``."""
        panes = sorted(self._panes)
        for pane in panes:
            self._panes[pane].settle()
        found = [self._panes[pane] for pane in panes]
        none = np.zeros(0, np.int32)
        # Differences of sorted numbers are small and alike: they pack into about a byte a cell.
        steps = [np.diff(pane.cells, prepend=np.int32(0)) for pane in found]
        return {
            f"{name}_end": np.array([self._end], np.int64),
            f"{name}_panes": np.diff(np.array(panes, np.int64), prepend=np.int64(0)),
            f"{name}_sizes": np.array([len(pane.cells) for pane in found], np.int64),
            f"{name}_steps": np.concatenate([none, *steps]),
            f"{name}_counts": np.concatenate([none, *(pane.counts for pane in found)]),
        }

    def load(self, arrays: dict[str, NDArray[Any]], name: str) -> None:
        """Take over what ``dump`` gave, perhaps for other lengths. Raises ``ValueError`` or ``LookupError``."""
        end = self._end = int(arrays[f"{name}_end"][0])
        panes = np.cumsum(arrays[f"{name}_panes"]).tolist()
        cuts = np.cumsum(arrays[f"{name}_sizes"])[:-1].astype(np.int64)
        steps, counts = arrays[f"{name}_steps"], arrays[f"{name}_counts"]
        if len(steps) != len(counts) or len(steps) != int(arrays[f"{name}_sizes"].sum()):
            raise ValueError("cells and counts do not match")
        parts = zip(panes, np.split(steps, cuts), np.split(counts, cuts), strict=True) if panes else ()
        for pane, step, count in parts:
            if pane < end - self._longest:
                continue
            known = self._panes[pane] = _Pane()
            known.merge(np.cumsum(step).astype(np.int32), count.astype(np.int32))
            if pane < end:
                self._roll(known.cells, known.counts, self._windows_with(pane))
            else:
                self._ahead += len(known.cells)
                known.booked = len(known.cells)


class _Pane:
    """The counts of one pane: ``cells``, ascending, each once, with ``counts``; and cells that wait for that.

    ``booked`` is what it weighs in the sum of all panes ahead: no fewer than its cells.
    """

    __slots__ = ("_new", "_waiting", "booked", "cells", "counts")

    def __init__(self) -> None:
        self.cells: Cells = np.zeros(0, np.int32)
        self.counts: Cells = np.zeros(0, np.int32)
        self._new: list[Cells] = []
        self._waiting = 0
        self.booked = 0

    def put(self, cells: Cells) -> None:
        """Count one at each cell, sometime before ``settle`` returns: sorting many at once is cheaper."""
        self._new.append(cells)
        self._waiting += len(cells)
        if self._waiting > _WAITING_MAX:
            self.settle()

    def merge(self, cells: Cells, counts: Cells) -> None:
        """Add ``counts`` of ``cells``, ascending and each once."""
        if len(self.cells):
            both = np.concatenate([self.cells, cells])
            by = np.argsort(both, kind="stable")
            both = both[by]
            heads = run_starts(both)
            counts = np.add.reduceat(np.concatenate([self.counts, counts])[by], heads)
            cells = both[heads]
        self.cells, self.counts = cells, counts

    def settle(self) -> int:
        """Count what waits; return how many cells there are."""
        if self._new:
            new, self._new, self._waiting = self._new, [], 0
            self.merge(*_counted(np.concatenate(new)))
        return len(self.cells)

    def total(self) -> int:
        """Return the sum of all counts."""
        return int(self.counts.sum()) + self._waiting


def _counted(cells: Cells) -> tuple[Cells, Cells]:
    """Return the distinct ``cells`` (at least one), ascending, and how often each occurs."""
    ordered = np.sort(cells)
    heads = run_starts(ordered)
    counts = np.empty(len(heads), np.int32)
    np.subtract(heads[1:], heads[:-1], out=counts[:-1], casting="unsafe")
    counts[-1] = len(ordered) - heads[-1]
    return ordered[heads], counts


def _by_pane(panes: Ints, cells: Cells) -> Iterator[tuple[int, Cells]]:
    """Yield each pane with its cells, earliest first."""
    low = panes.min()
    span = int(panes.max() - low)
    if not span:
        yield int(low), cells
        return
    # 16 bits are sorted by radix, four times as fast.
    by = np.argsort((panes - low).astype(np.uint16) if span < 2**16 else panes, kind="stable")
    panes, cells = panes[by], cells[by]
    cuts = [*run_starts(panes).tolist(), len(panes)]
    for start, stop in pairwise(cuts):
        yield int(panes[start]), cells[start:stop]
