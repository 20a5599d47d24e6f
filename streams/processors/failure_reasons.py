"""Why requests failed, by window: sparse, for most services hardly ever fail."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.events import Reason
from streams.processors.columns import Codes
from streams.processors.open_panes import PANE_US
from streams.stats.sparse_panes import SparsePanes

REASONS = tuple(reason.value for reason in Reason)
_INDEX = {reason: i for i, reason in enumerate(REASONS)}
_UNKNOWN = _INDEX[Reason.UNKNOWN.value]

ByColumn = Mapping[int, Mapping[str, int]]  # column -> reason -> failures; nothing for a column without any


class FailureReasons:
    """Failures by reason in each of the windows (lengths in panes, ascending)."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = tuple(lengths)
        self._panes = SparsePanes(keys=len(REASONS), lengths=lengths)

    def add(self, times: NDArray[np.int64], columns: NDArray[np.intp], reasons: NDArray[np.intp]) -> None:
        """Count failures at ``times`` (us) for ``reasons`` (as from ``reasons_of``).

        More than a million cells ahead of event time are dropped, furthest first: 8,192 panes, in each of which
        every class fails for every reason. The failures themselves stay counted.
        """
        self._panes.add(times // PANE_US, columns, reasons)

    def drop_from(self, pane: int) -> None:
        """Drop what is ahead from ``pane`` on: the counting path has no room for it either."""
        self._panes.drop_from(pane)

    def sums(self, end: int) -> list[ByColumn]:
        """Return, for each length, the failures in the panes [end - length, end); ``end`` never goes back."""
        self._panes.move(end)
        return [self._window(length) for length in self._lengths]

    def _window(self, length: int) -> ByColumn:
        _, cells, counts = self._panes.window(length)
        found: dict[int, dict[str, int]] = {}
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            column, reason = divmod(cell, len(REASONS))
            for who in (0, column):
                by_reason = found.setdefault(who, {})
                by_reason[REASONS[reason]] = by_reason.get(REASONS[reason], 0) + count
        return found

    def dump(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays."""
        return self._panes.dump("reasons")

    def load(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``ValueError`` or ``LookupError``."""
        self._panes.load(arrays, "reasons")


def reasons_of(reason: Codes) -> NDArray[np.intp]:
    """Return each failure's reason as its place in ``REASONS``; where none is given it is "unknown"."""
    texts, code = reason
    lookup = np.array([*(_INDEX.get(text, _UNKNOWN) for text in texts), _UNKNOWN], np.intp)
    found: NDArray[np.intp] = lookup[code]
    return found
