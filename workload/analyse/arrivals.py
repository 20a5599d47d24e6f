"""When requests came, in the clock's own units: what every analysis of arrivals starts from. Pure."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from workload.trace.columns import Int64s

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Distinct times, ascending, and the requests at each.

    Whole-second clocks have many requests a stamp and few distinct gaps: all that follows works on the stamps.

    Attributes:
        at: units since the first request's, int32 seconds or int64 microseconds, shape (m,).
        counts: requests at each, int32; ``n`` requests in all.
        unit_us: microseconds in a unit; ``start`` the first request's time in units.
    """

    at: NDArray[Any]
    counts: NDArray[np.int32]
    unit_us: int
    start: int
    n: int

    @classmethod
    def of(cls, times_us: Int64s, resolution_us: int) -> Self:
        """Return the arrivals at sorted times; whole seconds if that is the clock's step."""
        unit_us = SECOND_US if resolution_us >= SECOND_US else 1
        start = int(times_us[0]) // unit_us if len(times_us) else 0
        if unit_us == 1:
            return cls._distinct(times_us - start, unit_us, start)
        return cls._distinct(seconds_since(times_us, start), unit_us, start)

    @classmethod
    def of_seconds(cls, seconds: NDArray[np.int32], start: int) -> Self:
        """Return the arrivals at sorted whole ``seconds`` since ``start``."""
        first = int(seconds[0]) if len(seconds) else 0
        return cls._distinct(seconds - np.int32(first), SECOND_US, start + first)

    @classmethod
    def _distinct(cls, at: NDArray[Any], unit_us: int, start: int) -> Self:
        if not len(at):
            return cls(at, np.zeros(0, np.int32), unit_us, start, 0)
        first = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
        return cls(at[first], np.diff(first, append=len(at)).astype(np.int32), unit_us, start, len(at))

    @property
    def whole(self) -> bool:
        """True if the clock shows whole seconds only."""
        return self.unit_us == SECOND_US

    @property
    def span(self) -> int:
        """Units from the first request to the last."""
        return int(self.at[-1]) if self.n else 0

    @property
    def gaps(self) -> NDArray[Any]:
        """Gaps above zero, shape (m - 1,)."""
        return np.diff(self.at)

    @property
    def zeros(self) -> int:
        """Gaps of no length."""
        return self.n - len(self.at)

    @property
    def first_s(self) -> float:
        """When the first request came."""
        return self.start * self.unit_us / SECOND_US

    @property
    def last_s(self) -> float:
        """When the last one came."""
        return (self.start + self.span) * self.unit_us / SECOND_US

    @property
    def span_s(self) -> float:
        """Seconds from the first request to the last."""
        return self.span * self.unit_us / SECOND_US

    def between(self, edges_s: Int64s) -> Int64s:
        """Return the requests from each of the whole seconds ``edges_s`` (ascending) to before the next."""
        inside = np.clip(edges_s * (SECOND_US // self.unit_us) - self.start, -1, self.span + 1)
        upto = np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])
        requests: Int64s = np.diff(upto[np.searchsorted(self.at, inside.astype(self.at.dtype))])
        return requests

    def by_second(self) -> Self:
        """Return the same requests on a clock of whole seconds."""
        if self.whole or not self.n:
            return self
        at = (self.at + self.start) // SECOND_US
        first = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
        seconds = (at[first] - at[0]).astype(np.int32)
        return type(self)(seconds, np.add.reduceat(self.counts, first), SECOND_US, int(at[0]), self.n)

    def per_second(self, start_s: int, end_s: int) -> NDArray[np.int32]:
        """Return the requests in each second from ``start_s`` to before ``end_s``, which are around all requests."""
        counts = np.zeros(end_s - start_s, np.int32)
        seconds = self.by_second()
        if self.n:
            counts[seconds.at + np.int32(seconds.start - start_s)] = seconds.counts
        return counts


def seconds_since(times_us: Int64s, start: int) -> NDArray[np.int32]:
    """Return whole seconds since second ``start`` of times in microseconds, piece by piece (a third of the time)."""
    result = np.empty(len(times_us), np.int32)
    for low in range(0, len(times_us), 1 << 15):
        result[low : low + (1 << 15)] = times_us[low : low + (1 << 15)] // SECOND_US - start
    return result
