"""Panes that can still change: what happened in each 10 s of event time, in detail.

Per class: arrivals in each second, and the sums over completions. For the service as a whole: arrivals in each
0.1 s, completions and failures in each second. Everything is a whole number, so any order of adding is the same.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

TENTH_US = 100_000
SECOND_US = 1_000_000
PANE_US = 10 * SECOND_US
OPEN_PANES_MAX = 8192  # what may lie ahead of event time: a day without a hole, or far more with holes

# rows of a pane by class: arrivals in each second, then six sums over the completions
SECONDS = slice(0, 10)
ENDED = slice(10, 16)
_EVENTS = slice(0, 11)  # arrivals and completions
_ROWS = 16
# values of a pane for the service: arrivals in each 0.1 s, completions and failures in each second
TENTHS = slice(0, 100)
ENDINGS = slice(100, 110)
FAILED = slice(110, 120)
_TOTALS = 120
_DENSE = 64
_PANES_AT_ONCE = 512  # one message may hold 100,000 panes; a table of all of them would take a gigabyte


class OpenPane:
    """One pane's detail: ``by_class`` (row, column; column 0 is not used here) and ``total``."""

    __slots__ = ("by_class", "total")

    def __init__(self, by_class: Ints, total: Ints) -> None:
        self.by_class = by_class
        self.total = total

    @property
    def events(self) -> int:
        """Arrivals and completions in it."""
        return int(self.by_class[_EVENTS, 1:].sum())


class OpenPanes:
    """Panes by number, none of them empty."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._evicted: tuple[int, int] | None = None
        self.panes: dict[int, OpenPane] = {}

    def add_arrivals(self, times: Ints, columns: NDArray[np.intp]) -> list[int]:
        """Count arrivals at ``times`` (us); return the panes that changed."""
        changed: list[int] = []
        for part, panes, tenth in _placed(times // TENTH_US, 100):
            size = len(panes)
            totals = np.bincount(tenth, minlength=size * 100).reshape(size, 100)
            flat = tenth // 10 * self._columns + columns[part]
            counts = np.bincount(flat, minlength=size * 10 * self._columns).reshape(size, 10, self._columns)
            for i in np.flatnonzero(totals.any(axis=1)).tolist():
                pane = self._at(panes[i])
                pane.by_class[SECONDS] += counts[i]
                pane.total[TENTHS] += totals[i]
                changed.append(panes[i])
            self._shed()
        return changed

    def add_completions(
        self, times: Ints, columns: NDArray[np.intp], failed: NDArray[np.bool_], values: Sequence[NDArray[Any]]
    ) -> list[int]:
        """Count completions ended at ``times`` (us); return the panes that changed.

        ``values``: request and response tokens, whether the duration is known, and the duration (us).
        """
        changed: list[int] = []
        for part, panes, second in _placed(times // SECOND_US, 10):
            size, cells = len(panes), len(panes) * self._columns
            flat = second // 10 * self._columns + columns[part]
            fail = failed[part].nonzero()[0]
            sums = np.empty((2 + len(values), cells), np.int64)
            sums[0] = np.bincount(flat, minlength=cells)
            sums[1] = np.bincount(flat[fail], minlength=cells)
            for row, value in zip(sums[2:], values, strict=True):
                row[:] = np.bincount(flat, value[part], cells)
            stacked = sums.reshape(len(sums), size, self._columns)
            ended = np.bincount(second, minlength=size * 10).reshape(size, 10)
            gone = np.bincount(second[fail], minlength=size * 10).reshape(size, 10)
            for i in np.flatnonzero(ended.any(axis=1)).tolist():
                pane = self._at(panes[i])
                pane.by_class[ENDED] += stacked[:, i]
                pane.total[ENDINGS] += ended[i]
                pane.total[FAILED] += gone[i]
                changed.append(panes[i])
            self._shed()
        return changed

    def _at(self, number: int) -> OpenPane:
        if (pane := self.panes.get(number)) is None:
            by_class = np.zeros((_ROWS, self._columns), np.int64)
            pane = self.panes[number] = OpenPane(by_class, np.zeros(_TOTALS, np.int64))
        return pane

    def _shed(self) -> None:
        """Keep the store bounded: drop the panes furthest ahead, and remember which."""
        if len(self.panes) > OPEN_PANES_MAX:
            numbers = sorted(self.panes)[OPEN_PANES_MAX:]
            events = sum(self.panes.pop(number).events for number in numbers)
            first, before = self._evicted or (numbers[0], 0)
            self._evicted = (min(first, numbers[0]), before + events)

    def evicted(self) -> tuple[int, int] | None:
        """Return (first pane, events) of what had to be dropped since the last call, if anything."""
        evicted, self._evicted = self._evicted, None
        return evicted

    def busy(self) -> NDArray[np.bool_]:
        """Return which columns have an event in any pane (never column 0)."""
        found = np.zeros(self._columns, np.bool_)
        for pane in self.panes.values():
            found[1:] |= pane.by_class[_EVENTS, 1:].any(axis=0)
        return found

    def vacate(self, column: int) -> None:
        """Empty a column for another class."""
        for pane in self.panes.values():
            pane.by_class[:, column] = 0

    def widen(self, columns: int) -> None:
        """Make room for ``columns`` columns."""
        extra = columns - self._columns
        self._columns = columns
        for pane in self.panes.values():
            pane.by_class = np.pad(pane.by_class, ((0, 0), (0, extra)))

    def dump(self, used: int) -> dict[str, NDArray[Any]]:
        """Return the state of the first ``used`` columns."""
        numbers = sorted(self.panes)
        classes = [self.panes[n].by_class[:, 1:used] for n in numbers]
        totals = [self.panes[n].total for n in numbers]
        return {
            "open": np.array(numbers, np.int64),
            "open_classes": np.stack(classes) if classes else np.zeros((0, _ROWS, used - 1), np.int64),
            "open_totals": np.stack(totals) if totals else np.zeros((0, _TOTALS), np.int64),
        }

    def load(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError`` or ``LookupError``."""
        numbers, classes = arrays["open"].tolist(), arrays["open_classes"].astype(np.int64)
        totals = arrays["open_totals"].astype(np.int64)
        if classes.shape[1] != _ROWS or totals.shape != (len(numbers), _TOTALS):
            raise ValueError("open panes have the wrong shape")
        padded = np.pad(classes, ((0, 0), (0, 0), (1, self._columns - classes.shape[2] - 1)))
        pairs = zip(padded, totals, strict=True)
        self.panes = {n: OpenPane(c.copy(), t.copy()) for n, (c, t) in zip(numbers, pairs, strict=True)}


def _placed(bins: Ints, per_pane: int) -> Iterator[tuple[Any, Sequence[int], Ints]]:
    """Cut ``bins`` (``per_pane`` of them make a pane), earliest first, so that a part touches few panes.

    Yields the part's indices, the panes from which it has something (and perhaps some between), and each event's
    bin counted from the first of these panes, as if they were neighbours. Nothing if ``bins`` is empty.
    """
    if not len(bins):
        return
    low, high = int(bins.min()) // per_pane, int(bins.max()) // per_pane
    if high - low < _DENSE:
        yield slice(None), range(low, high + 1), bins - low * per_pane
        return
    pane = bins // per_pane
    by = np.argsort(pane, kind="stable")
    new = np.diff(pane[by], prepend=pane[by[0]]) > 0
    for part in np.split(by, np.flatnonzero(new)[_PANES_AT_ONCE - 1 :: _PANES_AT_ONCE]):
        panes, place = np.unique(pane[part], return_inverse=True)
        yield part, panes.tolist(), bins[part] + (place - pane[part]) * per_pane
