"""The counting path: arrivals and completions by event time, in any order, amendable until they are too late.

A pane is 10 s of event time. Open panes keep one array each (arrivals per second, completions, failures, tokens
per column). When event time has passed a pane it is closed into a row of a ring that covers the longest window;
its detail stays for the allowed lateness, so that a late event amends counts and their squares exactly.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.stats.pane_ring import PaneRing

Ints = NDArray[np.int64]

SECOND_US = 1_000_000
PANE_US = 10 * SECOND_US
OPEN_PANES_MAX = 8192  # what may lie ahead of event time: a day without a hole, or far more with holes
TOKENS_MAX = 2**36  # per request; sums over a message stay exact in floating point

# rows of a closed pane
ARRIVALS, SQUARES_1S, SQUARES_10S, COMPLETIONS, FAILURES, REQUEST_TOKENS, RESPONSE_TOKENS = range(7)
_ADDITIVE = (ARRIVALS, COMPLETIONS, FAILURES, REQUEST_TOKENS, RESPONSE_TOKENS)
_SECONDS = slice(0, 10)  # rows of an open pane: arrivals in each second, then the four of a completion
_ENDED = slice(10, 14)
_EVENTS = slice(0, 11)  # arrivals and completions
_DENSE = 64
_PANES_AT_ONCE = 512  # one message may hold 100,000 panes; a table of all of them would take a gigabyte


class CountPanes:
    """Counts per pane and column; column 0 is the total of the others and filled when a pane closes."""

    def __init__(self, *, columns: int, keep: int) -> None:
        self._columns = columns
        self._ring = PaneRing(fields=7, columns=columns, keep=keep, dtype=np.int64)
        self._open: dict[int, Ints] = {}
        self._amendable: set[int] = set()  # closed panes whose detail is still in _open
        self._evicted: tuple[int, int] | None = None
        self._newest = -keep - 1  # newest closed pane with anything in it
        self.closed_to = 0  # panes below are closed
        self._all_busy_at: int | None = None  # ``closed_to`` when no column was idle

    def add_arrivals(self, times: Ints, columns: NDArray[np.intp]) -> None:
        """Count arrivals at ``times`` (us)."""
        for part in _parts(times):
            panes, place = _places(times[part])
            second = times[part] // SECOND_US % 10
            flat = (place * 10 + second) * self._columns + columns[part]
            size = len(panes) * 10 * self._columns
            counts = np.bincount(flat, minlength=size).reshape(len(panes), 10, self._columns)
            self._merge(panes, _SECONDS, counts)

    def add_completions(self, times: Ints, columns: NDArray[np.intp], values: Sequence[NDArray[Any]]) -> None:
        """Count completions ended at ``times``; ``values``: failed or not, request and response tokens."""
        for part in _parts(times):
            panes, place = _places(times[part])
            flat = place * self._columns + columns[part]
            size = len(panes) * self._columns
            sums = [np.bincount(flat, minlength=size)]
            sums += [np.bincount(flat, value[part], size).astype(np.int64) for value in values]
            stacked = np.stack(sums).reshape(4, len(panes), self._columns)
            self._merge(panes, _ENDED, stacked.transpose(1, 0, 2))

    def _merge(self, panes: Ints, rows: slice, counts: NDArray[Any]) -> None:
        for i, pane in enumerate(panes.tolist()):
            block = counts[i]
            if not block.any():
                continue
            if (detail := self._open.get(pane)) is None:
                detail = self._open[pane] = np.zeros((14, self._columns), np.int64)
            detail[rows] += block
            if pane < self.closed_to:
                self._amendable.add(pane)
                self._fill(pane)

        self._shed()

    def _shed(self) -> None:
        """Keep the store bounded: drop the panes furthest ahead, and remember which."""
        if len(self._open) > OPEN_PANES_MAX:
            panes = sorted(self._open)[OPEN_PANES_MAX:]
            events = sum(int(self._open.pop(pane)[_EVENTS].sum()) for pane in panes)
            first, before = self._evicted or (panes[0], 0)
            self._evicted = (min(first, panes[0]), before + events)

    def evict_future(self) -> tuple[int, int] | None:
        """Return (first pane, events) of what had to be dropped since the last call, if anything."""
        evicted, self._evicted = self._evicted, None
        return evicted

    def unclosed(self) -> int:
        """Return how many events lie in panes not yet closed."""
        return sum(int(detail[_EVENTS].sum()) for pane, detail in self._open.items() if pane >= self.closed_to)

    def next_open(self) -> int | None:
        """Return the earliest pane not yet closed that has counts."""
        return min((pane for pane in self._open if pane >= self.closed_to), default=None)

    @property
    def alive(self) -> bool:
        """True if the longest window ending with the newest closed pane has anything in it."""
        return self._newest >= self.closed_to - self._ring.keep

    def close(self, pane: int) -> None:
        """Close ``pane`` (those before it that were skipped count as closed and empty)."""
        self.closed_to = pane + 1
        self._ring.row(pane)
        if pane in self._open:
            self._amendable.add(pane)
            self._fill(pane)

    def _fill(self, pane: int) -> None:
        """Work out the ring's row of a closed pane from its detail."""
        if pane < self._ring.first:
            return
        detail, row = self._open[pane], self._ring.row(pane)
        detail[:, 0] = 0
        detail[:, 0] = detail.sum(axis=1)
        seconds = detail[_SECONDS]
        row[ARRIVALS] = seconds.sum(axis=0)
        row[SQUARES_1S] = (seconds * seconds).sum(axis=0)
        row[SQUARES_10S] = row[ARRIVALS] * row[ARRIVALS]
        row[COMPLETIONS : RESPONSE_TOKENS + 1] = detail[_ENDED]
        self._newest = max(self._newest, pane)

    def forget_detail(self, before_us: int) -> None:
        """Drop the detail of closed panes that end at or before ``before_us``: they cannot change any more."""
        for pane in [p for p in self._amendable if (p + 1) * PANE_US <= before_us]:
            self._amendable.remove(pane)
            del self._open[pane]

    def seconds(self, pane: int) -> list[int]:
        """Return the arrivals in each of the ten seconds of ``pane``, one of ``panes_between``."""
        counts: list[int] = self._open[pane][_SECONDS, 1:].sum(axis=1).tolist()
        return counts

    def panes_between(self, first: int, end: int) -> list[int]:
        """Return the panes in [first, end) with counts in detail, ascending."""
        if end - first <= len(self._open):
            return [pane for pane in range(first, end) if pane in self._open]
        return sorted(pane for pane in self._open if first <= pane < end)

    def sums(self, end: int, lengths: Sequence[int]) -> list[Ints]:
        """Return, for each length in panes (ascending), the row sums over panes [end - length, end)."""
        return self._ring.sums(end, lengths)

    def idle(self, columns: Sequence[int]) -> int | None:
        """Return the first of ``columns`` without an event in the panes kept and those to come, or None.

        Between two closed panes events are only added: what was found busy at one stays so, and is not asked again.
        """
        if self._all_busy_at == self.closed_to:
            return None
        busy = self._ring.any_of([ARRIVALS, COMPLETIONS], self.closed_to - self._ring.keep)
        for detail in self._open.values():
            busy |= detail[_EVENTS].any(axis=0)
        for column in columns:
            if not busy[column]:
                return column
        self._all_busy_at = self.closed_to
        return None

    def vacate(self, column: int) -> None:
        """Empty a column for another class."""
        self._ring.clear(column)
        for detail in self._open.values():
            detail[:, column] = 0

    def widen(self, columns: int) -> None:
        """Make room for ``columns`` columns."""
        extra = columns - self._columns
        self._columns = columns
        self._ring.widen(columns)
        self._open = {p: np.pad(detail, ((0, 0), (0, extra))) for p, detail in self._open.items()}

    def dump(self, used: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the state of the first ``used`` columns; what ``load`` can work out again is left out."""
        first, rows = self._ring.dump()
        facts = {"first": first, "newest": self._newest, "closed_to": self.closed_to}
        panes = sorted(self._open)
        details = [self._open[p][:, 1:used] for p in panes]
        arrays = {f"counts_{field}": rows[:, field, 1:used] for field in _ADDITIVE}
        arrays["counts_squares"] = rows[:, SQUARES_1S, :used]
        arrays["open"] = np.array(panes, np.int64)
        arrays["detail"] = np.stack(details) if details else np.zeros((0, 14, used - 1), np.int64)
        return facts, arrays

    def load(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError``, ``LookupError`` or ``TypeError``."""
        squares = arrays["counts_squares"]
        rows = np.zeros((len(squares), 7, self._columns), np.int64)
        rows[:, SQUARES_1S, : squares.shape[1]] = squares
        for field in _ADDITIVE:
            rows[:, field, 1 : squares.shape[1]] = arrays[f"counts_{field}"]
            rows[:, field, 0] = rows[:, field, 1:].sum(axis=1)
        rows[:, SQUARES_10S] = rows[:, ARRIVALS] ** 2
        self._ring.load(facts["first"], rows)
        self._newest, self.closed_to = facts["newest"], facts["closed_to"]
        panes, details = arrays["open"].tolist(), arrays["detail"]
        padding = ((0, 0), (0, 0), (1, self._columns - details.shape[2] - 1))
        self._open = dict(zip(panes, np.pad(details, padding).astype(np.int64), strict=True))
        self._amendable = {pane for pane in panes if pane < self.closed_to}


def _parts(times: Ints) -> Iterator[Any]:
    """Yield indices that cut ``times``, earliest first, so that a part touches few panes; nothing if empty."""
    if not len(times):
        return
    pane = times // PANE_US
    if int(pane.max()) - int(pane.min()) < _PANES_AT_ONCE:
        yield slice(None)
        return
    by = np.argsort(pane, kind="stable")
    new = np.diff(pane[by], prepend=pane[by[0]]) > 0
    yield from np.split(by, np.flatnonzero(new)[_PANES_AT_ONCE - 1 :: _PANES_AT_ONCE])


def _places(times: Ints) -> tuple[Ints, Ints]:
    """Return the panes touched and each event's place among them."""
    pane = times // PANE_US
    low = int(pane.min())
    span = int(pane.max()) - low + 1
    if span <= _DENSE:
        return np.arange(low, low + span), pane - low
    panes, place = np.unique(pane, return_inverse=True)
    return panes, place
