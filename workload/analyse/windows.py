"""Gaps between requests in windows on the grid of time: their sums, and the fits of those that have enough. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workload.analyse import cut_fits, fine_fits
from workload.analyse.arrival_facts import FAMILIES, PARAMETERS
from workload.analyse.arrivals import Arrivals
from workload.analyse.cut_fits import Fit
from workload.analyse.cut_gaps import Histogram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Whole = NDArray[Any]  # int32 or int64
T, R = TypeVar("T"), TypeVar("R")
Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]  # ``map``, or an executor's

_SMALL = 64  # whole gaps below are counted in a table; the few above are sorted
_WINDOWS_AT_ONCE = 1_000
_GAPS_AT_ONCE = 50_000
_COVERED_MIN = 0.05  # of a window, for a rate


@dataclass(frozen=True, slots=True)
class GapWindows:
    """Windows that hold requests; only gaps between two requests of one window count. All arrays have shape (w,).

    Attributes:
        index: windows' numbers (start = index x window); ``n`` requests; ``first`` the first of ``Arrivals.at`` in it.
        total, squares: sum of the gaps and of their squares, in units of the clock; ``zeros`` gaps of no length.
    """

    index: Ints
    n: Ints
    first: Ints
    total: Floats
    squares: Floats
    zeros: Ints

    @property
    def gaps(self) -> Ints:
        """Gaps in each window."""
        return self.n - 1

    def squared_cv(self) -> Floats:
        """Return each window's squared CV, corrected for finite size as ``streams.stats.cv``; NaN where unknown."""
        n = self.gaps.astype(np.float64)
        with np.errstate(all="ignore"):
            ratio = n * self.squares / self.total**2 - 1
            known = (n > 1) & (self.total > 0) & (ratio < n - 1) & (self.zeros < n - 1)
            result: Floats = np.where(known, n * np.maximum(ratio, 0) / (n - 1 - ratio), np.nan)
        return result


def gap_windows(arrivals: Arrivals, window: int) -> tuple[GapWindows, Whole]:
    """Return the windows (``window`` units long), and the gap before each distinct time (0 for each window's first)."""
    at = arrivals.at
    if not arrivals.n:
        none = np.zeros(0, np.int64)
        return GapWindows(none, none, none, none.astype(float), none.astype(float), none), at
    place = (at + at.dtype.type(arrivals.start % window)) // at.dtype.type(window)
    first = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    stamps = np.diff(first, append=len(at))
    gaps = np.diff(at, prepend=at[:1])
    gaps[first] = 0
    n = np.add.reduceat(arrivals.counts, first, dtype=np.int64)
    squares = np.add.reduceat(np.square(gaps, dtype=np.float64), first)
    total = (at[first + stamps - 1] - at[first]).astype(np.float64)
    index = place[first].astype(np.int64) + arrivals.start // window
    return GapWindows(index, n, first, total, squares, n - stamps), gaps


def window_rates(start_s: Floats, n: Ints, window_s: int, ends_s: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return the seconds of each window that lie within the trace (``ends_s``: first and last request), and its rate.

    Requests over the covered seconds; the first request of all begins the time and is not counted, so that the rate of
    a trace in one window is the rate of the trace. NaN below a twentieth of a window: one request would be its rate.
    """
    first, last = ends_s
    covered: Floats = np.clip(np.minimum(start_s + window_s, last) - np.maximum(start_s, first), 0, window_s)
    enough = (covered > 0) & ((covered >= window_s * _COVERED_MIN) | (covered >= last - first))
    with np.errstate(all="ignore"):
        rate: Floats = np.where(enough, (n - (start_s <= first)) / covered, np.nan)
    return covered, rate


def fit_cut(windows: GapWindows, gaps: Whole, fitted: NDArray[np.bool_], mapper: Mapper) -> dict[str, Fit]:
    """Return the fits (in seconds) of the ``fitted`` windows of whole-second gaps; NaN in all others."""
    cells = _cells(windows, gaps, fitted)
    count, total = windows.gaps[fitted].astype(np.float64), windows.total[fitted]

    def part(start: int) -> dict[str, Fit]:
        end = min(start + _WINDOWS_AT_ONCE, cells.windows)
        low, high = np.searchsorted(cells.window, [start, end])
        piece = Histogram(cells.window[low:high] - start, cells.gap[low:high], cells.count[low:high], end - start)
        return cut_fits.fit_all(piece, count[start:end], total[start:end])

    return _spread(list(mapper(part, range(0, cells.windows, _WINDOWS_AT_ONCE))), fitted)


def _cells(windows: GapWindows, gaps: Whole, fitted: NDArray[np.bool_]) -> Histogram:
    number = np.cumsum(fitted, dtype=np.int32) - 1
    kept = int(fitted.sum())
    stamps = np.diff(windows.first, append=len(gaps))
    window = np.repeat(np.where(fitted, number, np.int32(kept)), stamps)  # those not fitted go into one more
    small = np.minimum(gaps, _SMALL - 1) if kept * _SMALL < 2**31 else np.minimum(gaps, _SMALL - 1).astype(np.int64)
    table = np.bincount(window * _SMALL + small, minlength=(kept + 1) * _SMALL).reshape(kept + 1, _SMALL)[:kept]
    table[:, 0] = windows.zeros[fitted]
    large = np.flatnonzero((gaps >= _SMALL - 1) & (window < kept))
    table[:, _SMALL - 1] = 0
    width = int(gaps.max(initial=0)) + 1
    key, count = np.unique(window[large].astype(np.int64) * width + gaps[large], return_counts=True)
    seen = table > 0
    seen[:, :2] = True  # the fits want to know how many gaps show as 0 and 1, none included
    at, gap = np.nonzero(seen)
    at, gap, count = (
        np.concatenate([at, key // width]),
        np.concatenate([gap, key % width]),
        np.concatenate([table[seen], count]),
    )
    order = np.argsort(at, kind="stable")  # small gaps are before large ones already
    return Histogram(at[order], gap[order], count[order], kept)


def fit_fine(windows: GapWindows, gaps: Whole, fitted: NDArray[np.bool_], mapper: Mapper) -> dict[str, Fit]:
    """Return the fits (in seconds) of the ``fitted`` windows of microseconds; gaps of no length are left out."""
    chosen = np.flatnonzero(fitted)
    stamps = np.diff(windows.first, append=len(gaps))
    cuts = np.flatnonzero(np.diff(np.cumsum(stamps[chosen]) // _GAPS_AT_ONCE, prepend=-1))

    def part(piece: Ints) -> dict[str, Fit]:
        rows = [gaps[windows.first[i] + 1 : windows.first[i] + stamps[i]] for i in piece]
        first = np.cumsum([0, *map(len, rows[:-1])])
        return fine_fits.fit_all(np.concatenate(rows) / 1e6, first)

    return _spread(list(mapper(part, [p for p in np.split(chosen, cuts) if len(p)])), fitted)


def _spread(parts: list[dict[str, Fit]], fitted: NDArray[np.bool_]) -> dict[str, Fit]:
    """Put the parts' fits where their windows are."""
    found = {}
    for name in FAMILIES:
        k = len(PARAMETERS[name])
        rows = np.full((k + 3, len(fitted)), np.nan)
        if parts:
            fits = [part[name] for part in parts]
            none = [np.full(len(fit.ks), np.nan) if fit.curvature is None else fit.curvature for fit in fits]
            rows[:k, fitted] = np.concatenate([fit.parameters for fit in fits], axis=1)
            rows[k, fitted] = np.concatenate([fit.log_likelihood for fit in fits])
            rows[k + 1, fitted] = np.concatenate([fit.ks for fit in fits])
            rows[k + 2, fitted] = np.concatenate(none)
        found[name] = Fit(rows[:k], rows[k], rows[k + 1], rows[k + 2])
    return found
