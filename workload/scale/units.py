"""What is moved, copied or left out as one: a session with all its turns, or a request that belongs to none. Pure."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workload.scale.renewal import RateCurve
from workload.trace.columns import UNKNOWN, Labels, Trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Int32s = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The rows of a trace, unit by unit in order of their first rows, each unit's rows in time order.

    ``rows`` (n,) are row numbers; unit u has ``sizes[u]`` of them from ``heads[u]`` on.
    """

    rows: Ints
    heads: Ints
    sizes: Ints

    def __len__(self) -> int:
        return len(self.heads)

    def rows_of(self, units: Ints) -> tuple[Ints, Ints]:
        """Return the row numbers of these units, one unit after the other, and how many each has."""
        sizes = self.sizes[units]
        first = np.repeat(self.heads[units] - (np.cumsum(sizes) - sizes), sizes)
        return self.rows[first + np.arange(len(first))], sizes


def units_of(trace: Trace) -> Units:
    """Return the units of a trace in time order."""
    n = len(trace)
    codes = trace.session.codes.astype(np.int64)
    if not np.any(codes >= 0):
        every = np.arange(n)
        return Units(rows=every, heads=every, sizes=np.ones(n, np.int64))
    # A row without a session is a unit of its own; a session is known by its first row.
    first_row = np.full(len(trace.session.names) + 1, n, np.int64)
    np.minimum.at(first_row, codes, np.arange(n))
    unit = np.where(codes >= 0, first_row[codes], np.arange(n))
    rows = np.argsort(unit, kind="stable")
    heads = np.flatnonzero(np.diff(unit[rows], prepend=-1))
    return Units(rows=rows, heads=heads, sizes=np.diff(heads, append=n))


def some_of(rng: np.random.Generator, trace: Trace, n: int) -> Trace:
    """Return ``n`` rows (at most all), whole sessions picked by chance; the last picked is cut to make it ``n``."""
    if n >= len(trace):
        return trace
    units = units_of(trace)
    rows, _ = units.rows_of(rng.permutation(len(units)))
    return trace.take(np.sort(rows[:n]))


def carried_round(times: Floats, heads: Ints, curve: RateCurve) -> tuple[Floats, Int32s]:
    """Return times with what lies beyond the curve's end carried round to its beginning, and each row's session.

    ``times`` come unit by unit (from ``heads`` on), ascending in each. A unit that goes on at the beginning does so
    as a session of its own, as one that had begun before the trace.
    """
    if not len(times):
        return times, np.empty(0, np.int32)
    first_s, length_s = float(curve.edges_s[0]), curve.duration_s
    since = times - first_s
    laps = np.floor(since / length_s)
    placed = np.clip(since - laps * length_s, 0.0, np.nextafter(length_s, 0.0)) + first_s
    begins = np.zeros(len(times), bool)
    begins[heads] = True
    begins[1:] |= laps[1:] != laps[:-1]
    return placed, (np.cumsum(begins) - 1).astype(np.int32)


def session_names(rng: np.random.Generator, n: int) -> tuple[str, ...]:
    """Return ``n`` session ids as the built-in workload has them: ``s-`` and 16 hex digits."""
    digits = rng.bytes(8 * n).hex()
    return tuple([f"s-{digits[i : i + 16]}" for i in range(0, 16 * n, 16)])


def renamed(rng: np.random.Generator, trace: Trace, session: Ints | Int32s) -> Trace:
    """Return the trace with new session ids, one for each value of ``session``; rows that had none have none."""
    had = trace.session.codes >= 0
    if not had.any():
        return replace(trace, session=Labels.absent(len(trace)))
    used, codes = np.unique(session[had], return_inverse=True)
    column = np.full(len(trace), UNKNOWN, np.int32)
    column[had] = codes
    return replace(trace, session=Labels(column, session_names(rng, len(used))))
