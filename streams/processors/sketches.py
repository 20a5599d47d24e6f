"""What the completions of a service show of tokens and latencies: percentiles of windows, histograms for ever. Pure.

Sorting values into buckets costs the same few calls for ten requests as for thousands, so they are collected and
worked out when there are enough, or when somebody looks. The results do not depend on when that is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.processors.histograms import Distribution, Histograms
from streams.processors.measures import Completed, observe
from streams.processors.percentiles import PercentilePanes, Percentiles

_WORTH_A_CALL = 2048


class Sketches:
    """Tokens and latencies of one service; windows of ``lengths`` panes have percentiles."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = tuple(lengths)
        self._panes = PercentilePanes(self._lengths)
        self._histograms = Histograms()
        self._new: list[Completed] = []
        self._waiting = 0

    def add(self, completed: Completed) -> None:
        """Take completed requests."""
        self._new.append(completed)
        self._waiting += len(completed.ok)
        if self._waiting >= _WORTH_A_CALL:
            self._settle()

    def _settle(self) -> None:
        if self._new:
            fields = zip(*self._new, strict=True)
            completed = self._new[0] if len(self._new) == 1 else Completed(*(np.concatenate(f) for f in fields))
            self._new, self._waiting = [], 0
            observed = observe(completed)
            self._histograms.add(observed)
            self._panes.add(completed, observed)

    def drop_from(self, pane: int) -> None:
        """Drop what lies ahead from ``pane`` on from the windows to come."""
        self._settle()
        self._panes.drop_from(pane)

    def move(self, end: int) -> None:
        """Let the windows end at pane ``end``, as ``percentiles`` does, without working anything out."""
        self._settle()
        self._panes.move(end)

    def percentiles(self, end: int) -> list[dict[int, Percentiles]]:
        """Return the percentiles of each window that ends at pane ``end``, by column. ``end`` must not fall."""
        self._settle()
        return self._panes.at(end)

    def distribution(self, measure: str, octaves: range) -> Distribution:
        """Return how ``measure`` is distributed over all requests ever, late or not."""
        self._settle()
        return self._histograms.of(measure, octaves)

    @property
    def negative(self) -> int:
        """Completions whose times contradict each other."""
        self._settle()
        return self._histograms.negative

    def start_over(self) -> None:
        """Forget the panes; what was counted for ever stays."""
        self._settle()
        self._panes = PercentilePanes(self._lengths)

    def dump(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the state as plain values and arrays."""
        self._settle()
        facts, arrays = self._histograms.dump()
        return facts, arrays | self._panes.dump()

    def load(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        self._histograms.load(facts, arrays)
        self._panes.load(arrays)
