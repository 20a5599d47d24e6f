"""The ordered path: arrivals wait until event time has passed them, and become gap sums in time order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.stats.gap_panes import GapPanes

PENDING_MAX = 2**19  # half a minute at 17,000 arrivals a second; an agent that never promises fills it, no more
_WORTH_A_CALL = 4096


class OrderedArrivals:
    """Arrivals whose order is not fixed yet, and the gap sums of those whose order is."""

    def __init__(self, gaps: GapPanes) -> None:
        self.gaps = gaps
        self._times = np.zeros(0, np.int64)  # in order
        self._columns = np.zeros(0, np.uint16)  # 16 bits: numpy sorts those by radix
        self._new: list[tuple[NDArray[np.int64], NDArray[Any]]] = []  # in any order
        self._size = 0

    def add(self, times: NDArray[np.int64], columns: NDArray[np.intp]) -> int:
        """Take arrivals in any order, none at or before the time last settled to.

        Returns how many of those furthest ahead had to be dropped to stay bounded.
        """
        self._new.append((times, columns.astype(np.uint16)))
        self._size += len(times)
        return self._keep(PENDING_MAX) if self._size > PENDING_MAX else 0

    def drop_from(self, time: int) -> None:
        """Drop the arrivals at or after ``time``: the counting path has no room for them either."""
        self._sort()
        self._keep(int(np.searchsorted(self._times, time)))

    def settle(self, pane: int, until: int, *, lazily: bool = False) -> None:
        """Turn the arrivals up to and including ``until``, all of which lie in ``pane``, into gap sums.

        The sums do not depend on how often this is done: ``lazily`` waits until there are enough for a call.
        """
        if lazily and self._size < _WORTH_A_CALL:
            return
        self._sort()
        ready = int(np.searchsorted(self._times, until, side="right"))
        if ready:
            self.gaps.add(pane, self._times[:ready], self._columns[:ready])
            self._times, self._columns = self._times[ready:], self._columns[ready:]
            self._size -= ready

    def _sort(self) -> None:
        if self._new:
            times = np.concatenate([self._times, *(t for t, _ in self._new)])
            columns = np.concatenate([self._columns, *(c for _, c in self._new)])
            by = np.argsort(times, kind="stable")
            self._times, self._columns, self._new = times[by], columns[by], []

    def _keep(self, size: int) -> int:
        self._sort()
        dropped = self._size - size
        self._times, self._columns, self._size = self._times[:size], self._columns[:size], size
        return dropped

    def dump(self, used: int) -> tuple[int, dict[str, NDArray[Any]]]:
        """Return the oldest pane of the gap sums and everything, of ``used`` columns, as arrays."""
        self._sort()
        first, arrays = self.gaps.dump(used)
        steps = np.diff(self._times, prepend=np.int64(0))  # differences pack into fewer bytes than times
        return first, arrays | {"pending": steps, "pending_columns": self._columns}

    def load(self, first: int, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError`` or ``KeyError`` if it does not fit."""
        self.gaps.load(first, arrays)
        self._times = np.cumsum(arrays["pending"].astype(np.int64))
        self._columns = arrays["pending_columns"].astype(np.uint16)
        self._size = len(self._times)
        if len(self._columns) != self._size:
            raise ValueError("pending columns do not match")
