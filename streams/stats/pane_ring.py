"""The last panes of a stream as one array, in time order: sums over windows are sums over its rows.

A pane is a whole number (pane p covers [p*10 s, p*10 s + 10 s)). Row order is time order, so that floating point
sums come out the same to the last bit whatever the history of the ring was.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class PaneRing:
    """Rows of ``fields`` x ``columns`` sums for the last ``keep`` panes up to the newest one touched."""

    def __init__(self, *, fields: int, columns: int, keep: int, dtype: DTypeLike) -> None:
        self.keep = keep
        self._rows: NDArray[Any] = np.zeros((keep + max(keep // 4, 16), fields, columns), dtype)
        self._base = 0  # the pane of row 0
        self._end = 0  # the pane after the newest row

    @property
    def first(self) -> int:
        """The oldest pane kept."""
        return max(self._base, self._end - self.keep)

    def row(self, pane: int) -> NDArray[Any]:
        """Return the sums of ``pane``, to be changed in place; it becomes the newest if it is later.

        Raises ``IndexError`` for a pane already dropped: ask ``first``.
        """
        if pane >= self._end:
            self._extend(pane + 1)
        if pane < self.first:
            raise IndexError(pane)
        row: NDArray[Any] = self._rows[pane - self._base]
        return row

    def cells(self, panes: NDArray[np.int64], columns: NDArray[np.intp], values: NDArray[Any]) -> None:
        """Add ``values[i]`` (one per field) at (panes[i], columns[i]): panes kept, no pair twice."""
        self._rows[panes - self._base, :, columns] += values

    def sums(self, end: int, lengths: Sequence[int]) -> list[NDArray[Any]]:
        """Return, for each length (ascending), the sums over panes [end - length, end)."""
        total = np.zeros(self._rows.shape[1:], self._rows.dtype)
        found: list[NDArray[Any]] = []
        top = min(max(end, self.first), self._end)
        for length in lengths:
            low = min(max(end - length, self.first), top)
            total = total + self._rows[low - self._base : top - self._base].sum(axis=0)
            found.append(total)
            top = low
        return found

    def any_of(self, fields: Sequence[int], since: int) -> NDArray[np.bool_]:
        """Return, per column, whether any of ``fields`` is not zero in any pane kept from ``since`` on."""
        low = min(max(since, self.first), self._end)
        kept = self._rows[low - self._base : self._end - self._base, fields]
        found: NDArray[np.bool_] = kept.sum(axis=(0, 1)) != 0
        return found

    def clear(self, column: int) -> None:
        """Set every sum of ``column`` to zero."""
        self._rows[:, :, column] = 0

    def last(self, end: int, length: int) -> tuple[int, NDArray[Any]]:
        """Return the rows of those of the panes [end - length, end) that are kept, and the first of them."""
        top = min(max(end, self.first), self._end)
        low = min(max(end - length, self.first), top)
        return low, self._rows[low - self._base : top - self._base]

    def earliest(self, starts: Sequence[int], *, present: int, wanted: int) -> NDArray[Any]:
        """Return, for each start and column, field ``wanted`` of the earliest pane from there on that has ``present``.

        To have it means that it is above 0. Where no pane has it, the value means nothing.
        """
        if self._end == self.first:
            return np.zeros((len(starts), self._rows.shape[2]), self._rows.dtype)
        last = self._end - 1
        low = min(max(min(starts), self.first), last)
        rows = self._rows[low - self._base : self._end - self._base]
        index = np.arange(len(rows))[:, None]
        following = np.where(rows[:, present] > 0, index, len(rows) - 1)[::-1]
        following = np.minimum.accumulate(following, axis=0)[::-1]
        at = following[[min(max(start, low), last) - low for start in starts]]
        found: NDArray[Any] = rows[at, wanted, np.arange(rows.shape[2])]
        return found

    def widen(self, columns: int) -> None:
        """Make room for ``columns`` columns."""
        extra = columns - self._rows.shape[2]
        self._rows = np.pad(self._rows, ((0, 0), (0, 0), (0, extra)))

    def _extend(self, end: int) -> None:
        """Make [end - keep, end) the panes kept; new ones are zero."""
        if end - self._end >= self.keep:  # nothing of what is there stays
            self._rows[:] = 0
            self._base = end - self.keep
        elif end - self._base > len(self._rows):
            low = max(self._base, end - self.keep)
            kept = self._rows[low - self._base : self._end - self._base].copy()
            self._base = low
            self._rows[:] = 0
            self._rows[: len(kept)] = kept
        self._end = end

    def dump(self) -> tuple[int, NDArray[Any]]:
        """Return the oldest pane kept and the rows from it on."""
        return self.first, self._rows[self.first - self._base : self._end - self._base]

    def load(self, first: int, rows: NDArray[Any]) -> None:
        """Take over what ``dump`` gave (perhaps of a ring with another ``keep``). Raises ``ValueError``."""
        if rows.shape[1:] != self._rows.shape[1:]:
            raise ValueError("rows have the wrong shape")
        self._end = first + len(rows)
        rows = rows[-self.keep :]
        self._base = self._end - len(rows)
        self._rows[: len(rows)] = rows
