"""The classes of a service and their cumulative counts, exact for ever: what the Prometheus counters show."""

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.codec import Batch
from streams.processors.columns import Codes, codes

ClassKey = tuple[str, str]  # (model, log_type)

# Given columns, returns one nothing was seen of in the longest window, emptied; None if there is none.
Vacant = Callable[[list[int]], int | None]

UNKNOWN = "unknown"
SUM_MAX = 2**63 - 1  # sums and counts stand still there: what is beyond fits in no snapshot
_KNOWN_MAX = 64  # dictionaries; an agent's are the same from message to message
OTHER: ClassKey = ("other", "other")


@dataclass(slots=True, kw_only=True)
class ClassTotals:
    """Everything ever applied for one class, late or not.

    Attributes:
        arrivals: requests submitted.
        completions: requests ended, by outcome.
        failures: completions with outcome ``failed``, by reason ("unknown" where none was given).
        request_tokens: sum over completions; ``response_tokens`` likewise.
    """

    arrivals: int = 0
    completions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    request_tokens: int = 0
    response_tokens: int = 0


class Classes:
    """Which column a class has (from 1 on; column 0 is the total of all), and its totals.

    ``limit`` classes have a column each. When there is no column left, a new class takes over that of a class that
    has been idle (the caller says whose is vacant); while none is, it shares the column of ``OTHER``. A class that
    lost its column loses its totals; if it comes back it begins anew.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._column: dict[ClassKey, int] = {}
        self._keys: list[ClassKey] = []
        self._known: dict[tuple[Any, Any], NDArray[np.intp]] = {}  # by dictionaries: columns of pairs, 0: look it up
        self.totals: dict[ClassKey, ClassTotals] = {}

    @property
    def keys(self) -> list[ClassKey]:
        """The class of each column from 1 on."""
        return self._keys

    def columns_of(self, batch: Batch, vacant: Vacant) -> NDArray[np.intp]:
        """Return each event's column; new classes get theirs, if need be one that is ``vacant``."""
        models, model = codes(batch, "model")
        log_types, log_type = codes(batch, "log_type")
        pair = model * len(log_types) + log_type
        dictionaries = (tuple(models), tuple(log_types))
        lookup = self._known.get(dictionaries)
        if lookup is None or not lookup[pair].all():
            lookup = self._look_up(dictionaries, pair, vacant)
        columns: NDArray[np.intp] = lookup[pair]
        return columns

    def _look_up(
        self, dictionaries: tuple[tuple[str, ...], tuple[str, ...]], pair: NDArray[np.intp], vacant: Vacant
    ) -> NDArray[np.intp]:
        """Return the column of each ``pair`` that occurs."""
        models, log_types = dictionaries
        width = len(log_types)
        lookup = np.zeros((len(models) + 1) * width, np.intp)
        here = {
            code: (models[code // width] if code // width < len(models) else UNKNOWN, log_types[code % width])
            for code in np.flatnonzero(np.bincount(pair)).tolist()
        }
        keys = set(here.values())
        for code in sorted(here, key=lambda code: here[code] in self._column, reverse=True):
            lookup[code] = self._column_of(here[code], vacant, keys)  # a column in use here is not vacant
        if keys <= self._column.keys():  # those that share the column of ``OTHER`` may get their own
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[dictionaries] = lookup
        return lookup

    def _column_of(self, key: ClassKey, vacant: Vacant, here: Container[ClassKey]) -> int:
        if (column := self._column.get(key)) is not None:
            return column
        if len(self._keys) >= self._limit and key != OTHER:
            others = [at for at, name in enumerate(self._keys, 1) if name != OTHER and name not in here]
            if (column := vacant(others)) is not None:
                return self._take_over(column, key)
            key = OTHER
            if key in self._column:
                return self._column[key]
        column = self._column[key] = len(self._keys) + 1
        self._keys.append(key)
        self.totals[key] = ClassTotals()
        return column

    def _take_over(self, column: int, key: ClassKey) -> int:
        self._known.clear()
        before, self._keys[column - 1] = self._keys[column - 1], key
        del self._column[before], self.totals[before]
        self._column[key] = column
        self.totals[key] = ClassTotals()
        self.totals = {name: self.totals[name] for name in self._keys}  # in column order, as after a restart
        return column

    def add_arrivals(self, columns: NDArray[np.intp]) -> None:
        """Count arrivals."""
        counts = np.bincount(columns)
        for column in counts.nonzero()[0].tolist():
            self.totals[self.keys[column - 1]].arrivals += int(counts[column])

    def add_completions(
        self, columns: NDArray[np.intp], outcome: Codes, tokens: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> None:
        """Count completions by outcome, and their tokens (request and response)."""
        sums = [np.bincount(columns, values).astype(np.int64).tolist() for values in tokens]
        keys = self.keys
        for column, key in enumerate(keys[: len(sums[0]) - 1], 1):
            totals = self.totals[key]
            totals.request_tokens = min(totals.request_tokens + sums[0][column], SUM_MAX)
            totals.response_tokens = min(totals.response_tokens + sums[1][column], SUM_MAX)
        for key, name, count in _pairs(keys, columns, outcome):
            self.totals[key].completions[name] += count

    def add_failures(self, columns: NDArray[np.intp], reason: Codes) -> None:
        """Count failures by reason."""
        for key, name, count in _pairs(self.keys, columns, reason):
            self.totals[key].failures[name] += count

    def dump(self) -> list[Any]:
        """Return the state as plain values, in column order."""
        return [
            [*key, t.arrivals, t.completions, t.failures, t.request_tokens, t.response_tokens]
            for key, t in self.totals.items()
        ]

    def load(self, rows: list[Any]) -> None:
        """Take over what ``dump`` gave. Raises ``TypeError`` or ``ValueError``."""
        for model, log_type, arrivals, completions, failures, request_tokens, response_tokens in rows:
            key = (model, log_type)
            self._column[key] = len(self._column) + 1
            self._keys.append(key)
            self.totals[key] = ClassTotals(
                arrivals=arrivals,
                completions=Counter(completions),
                failures=Counter(failures),
                request_tokens=request_tokens,
                response_tokens=response_tokens,
            )


def _pairs(keys: list[ClassKey], columns: NDArray[np.intp], coded: Codes) -> list[tuple[ClassKey, str, int]]:
    """Return (class, text, how many) for every pair that occurs; absent text is "unknown"."""
    texts, code = coded
    width = len(texts) + 1
    counts = np.bincount(columns * width + code)
    found = counts.nonzero()[0].tolist()
    names = [*texts, UNKNOWN]
    return [(keys[flat // width - 1], names[flat % width], int(counts[flat])) for flat in found]
