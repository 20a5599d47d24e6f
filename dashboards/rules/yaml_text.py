"""Plain values as YAML that reads well. Every text is a JSON string, which is a YAML string too: nothing needs care."""

import json
from collections.abc import Mapping
from typing import Any


def yaml_text(value: Any) -> str:  # noqa: ANN401 - whatever YAML can hold
    """Return ``value`` (mappings, lists, tuples, texts, numbers, booleans) in block style, with a line end.

    >>> print(yaml_text({"groups": [{"name": "a", "for": "1m", "rules": []}]}), end="")
    groups:
      - name: "a"
        for: "1m"
        rules: []
    """
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> list[str]:  # noqa: ANN401 - same
    if isinstance(value, Mapping) and value:
        return [line for key, inner in value.items() for line in _entry(f"{key}:", inner)]
    if isinstance(value, list | tuple) and value:
        return [line for inner in value for line in _item(inner)]
    return [json.dumps(value)]


def _entry(key: str, inner: Any) -> list[str]:  # noqa: ANN401 - same
    lines = _lines(inner)
    if _is_block(inner):
        return [key, *(f"  {line}" for line in lines)]
    return [f"{key} {lines[0]}"]


def _item(inner: Any) -> list[str]:  # noqa: ANN401 - same
    first, *rest = _lines(inner)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _is_block(value: Any) -> bool:  # noqa: ANN401 - same
    return isinstance(value, Mapping | list | tuple) and bool(value)
