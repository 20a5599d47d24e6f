"""What differs between what Grafana has and what is wanted, as paths into the JSON. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Elements of a list are the same thing if one of these says so: a panel that moved is not two changed panels.
_NAMES = ("uid", "id", "refId", "name")
# Maps of a person's own keys: a key Grafana has and we do not is a difference even where its extras are its own.
_OPEN = ("labels", "annotations")
ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs. ``path`` as in ``panels[id=3].targets[refId=A].expr``; a side may be ``ABSENT``."""

    path: str
    found: Any
    wanted: Any

    def line(self, width: int = 60) -> str:
        """Return the difference for people: path, what there is, what it becomes."""
        return f"{self.path}: {_shown(self.found, width)} -> {_shown(self.wanted, width)}"


def differences(found: Any, wanted: Any, *, extras: bool = False, path: str = "") -> Iterator[Difference]:  # noqa: ANN401
    """Yield where ``found`` is not as ``wanted``. ``extras``: keys only Grafana has are its own affair.

    >>> [d.line() for d in differences({"a": [{"id": 1, "t": "x"}]}, {"a": [{"id": 1, "t": "y"}]})]
    ['a[id=1].t: "x" -> "y"']
    """
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*found, *wanted}):
            if extras and key not in wanted:
                continue
            below = f"{path}.{key}" if path else str(key)
            sides = found.get(key, ABSENT), wanted.get(key, ABSENT)
            yield from differences(*sides, extras=extras and key not in _OPEN, path=below)
    elif isinstance(found, list) and isinstance(wanted, list):
        yield from _lists(found, wanted, extras=extras, path=path)
    elif found is ABSENT or wanted is ABSENT or found != wanted:
        yield Difference(path, found, wanted)


def _lists(found: list[Any], wanted: list[Any], *, extras: bool, path: str) -> Iterator[Difference]:
    name = next((name for name in _NAMES if _named(found, name) and _named(wanted, name)), None)
    if name is None:
        for i in range(max(len(found), len(wanted))):
            sides = (side[i] if i < len(side) else ABSENT for side in (found, wanted))
            yield from differences(*sides, extras=extras, path=f"{path}[{i}]")
        return
    before, after = ({element[name]: element for element in side} for side in (found, wanted))
    for key in [*after, *(key for key in before if key not in after)]:
        sides = (side.get(key, ABSENT) for side in (before, after))
        yield from differences(*sides, extras=extras, path=f"{path}[{name}={key}]")
    if list(before) != list(after) and set(before) == set(after):
        yield Difference(f"{path} (order)", list(before), list(after))


def _named(elements: Sequence[Any], name: str) -> bool:
    """Return True if every element has ``name`` and no two the same."""
    if not all(isinstance(element, Mapping) and isinstance(element.get(name), str | int) for element in elements):
        return False
    return len({element[name] for element in elements}) == len(elements)


def _shown(value: Any, width: int) -> str:  # noqa: ANN401 - JSON
    if value is ABSENT:
        return "(nothing)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else text[: width - 3] + "..."
