"""Reading a tree of tables with all its mistakes at once: each value is checked where it stands and named by its path.

A value that is wrong is noted and replaced by a harmless one, so that reading goes on to the next mistake.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

from collector.schema.errors import OperatorError

PROBLEMS_SHOWN = 20
_HUGE = 1e15  # nothing in a model is larger: 1e15 s are 30 million years
_NO_DEFAULT = object()


class BadModel(OperatorError):  # noqa: N818 - named for what it is, like BadTrace
    """A model file that cannot be used; ``problems`` are all of them, each "path: what is wrong"."""

    def __init__(self, problems: Sequence[str]) -> None:
        shown = [f"\n  {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        more = f"\n  and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the model file has {count}:{''.join(shown)}{more}")
        self.problems = tuple(problems)


class Table:
    """One table of the tree: its values are taken by name; ``done`` complains about what nobody took."""

    def __init__(self, data: object, path: str, problems: list[str]) -> None:
        self._problems = problems
        self._taken: set[str] = set()
        self.path = path
        if not isinstance(data, dict):
            self.complain("", "must be a table")
            data = {}
            self.broken = True
        else:
            self.broken = False
        self._data: dict[str, Any] = data

    def complain(self, key: str, what: str) -> None:
        """Note what is wrong with ``key`` ("" for the table itself); nothing more about a table that is none."""
        place = f"{self.path}.{key}".strip(".") if key else self.path or "the file"
        self._problems.append(f"{place}: {what}")

    def has(self, key: str) -> bool:
        """Return whether the table holds ``key``."""
        return key in self._data

    def names(self) -> list[str]:
        """Return all keys."""
        return list(self._data)

    def _take(self, key: str, default: object) -> Any:  # noqa: ANN401 - any value of the tree
        self._taken.add(key)
        if key in self._data:
            return self._data[key]
        if default is _NO_DEFAULT and not self.broken:
            self.complain(key, "is missing")
        return default

    def text(self, key: str, default: object = _NO_DEFAULT, *, among: Sequence[str] = ()) -> str:
        """Return a text, one of ``among`` if any are given."""
        value = self._take(key, default)
        if value is _NO_DEFAULT:
            return among[0] if among else ""
        if not isinstance(value, str):
            self.complain(key, "must be text")
        elif among and value not in among:
            self.complain(key, f"must be one of {', '.join(among)}, not {value[:40]!r}")
        else:
            return value
        return among[0] if among else ""

    def number(self, key: str, low: float, high: float = _HUGE, *, default: float | None = None) -> float:
        """Return a number from ``low`` to ``high``; without a default it must be there."""
        value = self._take(key, _NO_DEFAULT if default is None else default)
        if value is _NO_DEFAULT:
            return low
        return self._checked(key, value, low, high)

    def optional(self, key: str, low: float, high: float = _HUGE) -> float | None:
        """Return a number or, where there is none, None."""
        return self.number(key, low, high) if self.has(key) else None

    def whole(self, key: str, low: int) -> int:
        """Return a whole number of at least ``low``."""
        value = self.number(key, low)
        if value != int(value):
            self.complain(key, f"must be a whole number, not {value:g}")
        return int(value)

    def _checked(self, key: str, value: object, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -inf < value < inf:
            self.complain(key, f"must be a number, not {str(value)[:40]!r}")
        elif not low <= value <= high:
            bounds = f"at least {low:g}" if high == _HUGE and low > -_HUGE else f"{low:g} to {high:g}"
            self.complain(key, f"must be {bounds}, not {str(value)[:40]}")
        else:
            return value
        return low

    def numbers(
        self, key: str, low: float, high: float = _HUGE, *, default: Sequence[float] | None = None
    ) -> tuple[float, ...]:
        """Return a list of numbers from ``low`` to ``high``; an empty one only if that is the default."""
        values = self._take(key, _NO_DEFAULT if default is None else default)
        if values is _NO_DEFAULT:
            return ()
        if not isinstance(values, (list, tuple)) or (not values and default is None):
            self.complain(key, "must be a list of numbers")
            return ()
        before = len(self._problems)
        kept = []
        for i, value in enumerate(values):
            kept.append(self._checked(f"{key}[{i}]", value, low, high))
            if len(self._problems) > before:  # one mistake tells of all in a list of thousands
                return ()
        return tuple(kept)

    def growing(self, key: str, values: Sequence[float], *, strictly: bool = True) -> None:
        """Complain unless ``values`` grow (or, not ``strictly``, never fall)."""
        for i in range(1, len(values)):
            if values[i] < values[i - 1] or (strictly and values[i] == values[i - 1]):
                rule = "must grow" if strictly else "must not fall"
                self.complain(key, f"{rule}: {values[i]:g} comes after {values[i - 1]:g} (place {i})")
                return

    def as_long(self, key: str, values: Sequence[float], other: str, wanted: Sequence[float]) -> bool:
        """Complain if ``values`` are not as many as ``wanted``, those of ``other``; says nothing if either is empty."""
        if values and wanted and len(values) != len(wanted):
            self.complain(key, f"has {len(values)} numbers, {other} has {len(wanted)}")
            return False
        return bool(values and wanted)

    def table(self, key: str) -> "Table":
        """Return the table under ``key``, which must be there."""
        value = self._take(key, _NO_DEFAULT)
        if value is _NO_DEFAULT:
            nothing = Table({}, f"{self.path}.{key}".strip("."), self._problems)
            nothing.broken = True
            return nothing
        return Table(value, f"{self.path}.{key}".strip("."), self._problems)

    def optional_table(self, key: str) -> "Table | None":
        """Return the table under ``key``, None if there is none."""
        return self.table(key) if self.has(key) else None

    def tables(self, key: str, *, needed: bool = False) -> list["Table"]:
        """Return the list of tables under ``key``."""
        values = self._take(key, _NO_DEFAULT if needed else [])
        if values is _NO_DEFAULT:
            return []
        if not isinstance(values, list) or (needed and not values):
            self.complain(key, "must be a list of tables" + (", one at least" if needed else ""))
            return []
        path = f"{self.path}.{key}".strip(".")
        return [Table(value, f"{path}[{i}]", self._problems) for i, value in enumerate(values)]

    def pairs(self, key: str) -> dict[str, float]:
        """Return a table of numbers, by name."""
        inside = self.table(key)
        return {name: inside.number(name, -_HUGE) for name in inside.names()}

    def done(self) -> None:
        """Complain about every key that nobody asked for: a typing error would be silent otherwise."""
        for key in self._data:
            if key not in self._taken:
                self.complain(str(key), "is not known here")
