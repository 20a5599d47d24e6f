"""Values as files write them into integers that are exact, or a ``ValueError`` that says what is wrong. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from collector.schema.columns import COUNT_MAX, TIME_US_MAX, is_token

SECOND_US = 1_000_000
MILLISECOND_US = 1_000

# Below this many microseconds (the year 2041) a double tells neighbours apart after one multiplication.
_FRACTION_US_MAX = 2**51
_ID_MAX = 2**64 - 1


def json_object(line: str) -> dict[str, Any]:
    """Return a line of JSON as the object it must be."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad input, told like any other
    return value


def whole(name: str, value: object, *, most: int = COUNT_MAX) -> int | None:
    """Return a whole number from 0 to ``most``; None stays None; 3.0 is 3, as exporters that know no integers write."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and value <= COUNT_MAX:
        value = int(value)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number, zero or more, not {str(value)[:40]!r}")
    return value


def needed_whole(name: str, value: object) -> int:
    """Return a whole number that has to be there."""
    number = whole(name, value)
    if number is None:
        raise ValueError(f"no {name!r}")
    return number


def micros(name: str, value: object, unit_us: int) -> int:
    """Return a time that counts in units of ``unit_us`` as microseconds; digits past the microsecond are rounded.

    >>> micros("timestamp", 27482, MILLISECOND_US), micros("timestamp", 61.114, SECOND_US)
    (27482000, 61114000)
    """
    if type(value) is int:
        us = value * unit_us
    elif isinstance(value, float) and abs(value * unit_us) < _FRACTION_US_MAX:
        us = round(value * unit_us)
    elif value is None:
        raise ValueError(f"no {name!r}")
    else:
        raise ValueError(f"{name} must be a number of time units that can be told exactly, not {str(value)[:40]!r}")
    if not 0 <= us <= TIME_US_MAX:
        raise ValueError(f"{name} must be from 0 to the year 10000, not {str(value)[:40]!r}")
    return us


def optional_micros(name: str, value: object, unit_us: int) -> int | None:
    """Return ``micros``, None for None."""
    return None if value is None else micros(name, value, unit_us)


def units(us: int, unit_us: int) -> int | float:
    """Return microseconds as the JSON number ``micros`` reads back: an integer where it is whole.

    Exact to the microsecond up to the year 2041; whole units always.
    """
    number, rest = divmod(us, unit_us)
    return us / unit_us if rest else number


def token(name: str, value: object) -> str | None:
    """Return a name: printable ASCII without spaces. Whole numbers, as some use for sessions, become text."""
    if value is None or value == "":
        return None
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not is_token(text):
        raise ValueError(f"{name} must be 1-128 printable ASCII characters without spaces, not {str(value)[:40]!a}")
    return text


def ids(name: str, value: object) -> tuple[int, ...] | None:
    """Return a list of block ids (64-bit, not negative)."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(i) is int and 0 <= i <= _ID_MAX for i in value):
        raise ValueError(f"{name} must be a list of whole numbers")
    return tuple(value)


def part(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object under ``name``, empty if there is none."""
    value = row.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object")  # noqa: TRY004 - bad input, told like any other
    return value
