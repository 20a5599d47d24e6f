"""Percentiles of tokens and latencies over windows, per class and for the service. Pure.

Event time is the end of the request. Values are kept as buckets of a log sketch, so a percentile is within 1.1 %
of the exact one: the ceil(q n)-th smallest of n values. A level q is given once (1 - q) n >= 1: p99 from 100 values
on; with fewer it would be the greatest value under another name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.processors.measures import MEASURES, Completed, Observed
from streams.processors.open_panes import PANE_US
from streams.stats.log_sketch import GREATEST, ZERO, value_of
from streams.stats.runs import run_starts
from streams.stats.sparse_panes import CellSums, SparsePanes

Ints = NDArray[np.int64]
Percentiles = Mapping[str, Mapping[str, float | None]]  # {"request_duration_s": {"p50": 1.2, ..., "p99": None}}

LEVELS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}

_BUCKETS = GREATEST - ZERO + 1
_KEYS = len(MEASURES) * _BUCKETS
_VALUES = np.array([value_of(bucket) for bucket in range(ZERO, GREATEST + 1)])
_PERCENT = np.array(list(LEVELS.values()))
_ALL_FROM = 100 // (100 - max(LEVELS.values()))  # values, from where on every level is given
_WINDOW = 2**32  # cells are below; a whole number of buckets


class PercentilePanes:
    """The buckets of the last panes; windows of ``lengths`` panes (ascending, perhaps none) have percentiles."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = tuple(lengths)
        self._panes = SparsePanes(keys=_KEYS, lengths=lengths)

    def add(self, completed: Completed, observed: Observed) -> None:
        """Count what was observed of those of ``completed`` that are fresh."""
        if not self._lengths:
            return
        event, keys = observed.event, observed.measure * _BUCKETS + (observed.bucket - ZERO)
        if not completed.fresh.all():
            fresh = completed.fresh[event]
            event, keys = event[fresh], keys[fresh]
        panes, columns = completed.at // PANE_US, completed.column[event]
        if (pane := panes.min()) == panes.max():
            self._panes.add_to(int(pane), columns, keys)
        else:
            self._panes.add(panes[event], columns, keys)

    def drop_from(self, pane: int) -> None:
        """Drop what lies ahead from ``pane`` on: the counting path has no room for it."""
        self._panes.drop_from(pane)

    def move(self, end: int) -> None:
        """Let the windows end at pane ``end``, which must not fall."""
        self._panes.move(end)

    def at(self, end: int) -> list[dict[int, Percentiles]]:
        """Return, for each window that ends at pane ``end``, the percentiles by column; 0 is the total of all.

        A column without values is left out, and so is a measure. ``end`` must not fall.
        """
        self._panes.move(end)
        windows = [self._panes.window(length) for length in self._lengths]
        found: list[dict[int, dict[str, Mapping[str, float | None]]]] = [{} for _ in windows]
        for at, group, n, values in zip(*_levels(windows), strict=True):
            column, measure = divmod(group, len(MEASURES))
            levels: dict[str, float | None] = dict(zip(LEVELS, values, strict=True))
            if n < _ALL_FROM:
                for name, percent in LEVELS.items():
                    if n * (100 - percent) < 100:
                        levels[name] = None
            found[at].setdefault(column, {})[MEASURES[measure]] = levels
        return [dict(columns) for columns in found]

    def dump(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays."""
        return self._panes.dump("sketch")

    def load(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError`` or ``LookupError``."""
        self._panes.load(arrays, "sketch")


def _levels(windows: Sequence[CellSums]) -> tuple[list[int], list[int], list[int], list[list[float]]]:
    """Return window, group (column x measure), count and values at ``LEVELS`` of every group with values.

    All windows at once: a boundary comes every 10 s for each service, so the number of calls decides.
    """
    sizes = [len(window.cells) for window in windows]
    if not sum(sizes):
        return [], [], [], []
    window = np.repeat(np.arange(len(windows)) * _WINDOW, sizes)
    of_class = np.concatenate([window.cells for window in windows])
    counts = np.concatenate([window.counts for window in windows])
    of_all, sums = _summed(window + of_class % _KEYS, counts)
    # Groups must be in one piece and ascending inside; their order does not matter.
    cells = np.concatenate([of_all, window + of_class])
    counts = np.concatenate([sums, counts])
    group = cells // _BUCKETS
    bucket = cells - group * _BUCKETS
    heads = run_starts(group)
    upto = counts.cumsum()
    before = upto[heads] - counts[heads]
    sizes_of = np.append(before[1:], upto[-1]) - before
    ranks = -(-sizes_of[:, None] * _PERCENT // 100)  # ceil(q n), in whole numbers
    places = upto.searchsorted(before[:, None] + np.maximum(ranks, 1))
    values: list[list[float]] = _VALUES[bucket[places]].tolist()
    at, columns = np.divmod(group[heads], _WINDOW // _BUCKETS)
    return at.tolist(), columns.tolist(), sizes_of.tolist(), values


def _summed(cells: Ints, counts: Ints) -> tuple[Ints, Ints]:
    by = cells.argsort(kind="stable")
    cells = cells[by]
    heads = run_starts(cells)
    return cells[heads], np.add.reduceat(counts[by], heads)
