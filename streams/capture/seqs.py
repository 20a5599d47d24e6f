"""Sets of sequence numbers, kept as ranges: what one agent's boot has sent, and where the holes are."""

from bisect import bisect_right
from collections.abc import Iterable


class SeqRanges:
    """A set of integers as sorted, disjoint, non-touching closed ranges. Cheap while numbers come in order.

    >>> seqs = SeqRanges()
    >>> [seqs.add(n) for n in (0, 1, 1, 4)]
    [True, True, False, True]
    >>> seqs.ranges(), seqs.holes()
    ([(0, 1), (4, 4)], [(2, 3)])
    """

    __slots__ = ("_highs", "_lows")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []
        for low, high in ranges:
            self.add_range(low, high)

    def add(self, number: int) -> bool:
        """Put ``number`` in; False if it was there already (a message that came twice)."""
        if self._highs and number == self._highs[-1] + 1:
            self._highs[-1] = number
            return True
        if number in self:
            return False
        self.add_range(number, number)
        return True

    def add_range(self, low: int, high: int) -> None:
        """Put every number from ``low`` to ``high`` in, both included."""
        # All ranges that overlap or touch [low, high] become one.
        start = bisect_right(self._highs, low - 2)
        end = bisect_right(self._lows, high + 1)
        if start < end:
            low, high = min(low, self._lows[start]), max(high, self._highs[end - 1])
        self._lows[start:end] = [low]
        self._highs[start:end] = [high]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._lows, number) - 1
        return place >= 0 and number <= self._highs[place]

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges())

    def ranges(self) -> list[tuple[int, int]]:
        """Return the ranges, ascending, both ends included."""
        return list(zip(self._lows, self._highs, strict=True))

    def holes(self) -> list[tuple[int, int]]:
        """Return the ranges that are missing between the smallest and the largest number."""
        return [(high + 1, low - 1) for high, low in zip(self._highs[:-1], self._lows[1:], strict=True)]
