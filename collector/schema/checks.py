"""What makes a batch valid, whichever way it travels: envelope and columns, judged a whole column at a time."""

from collections.abc import Sequence
from typing import Any

import orjson

from collector.schema.batch import Batch, Coded
from collector.schema.columns import COLUMNS, COUNT_MAX, TIME_US_MAX, TOKEN_LEN_MAX, Column, ColumnType, is_token
from collector.schema.errors import BadMessage

EVENTS_MAX = 100_000
RATIO_MAX = 100.0  # some engines report a KV usage just above 1 for a moment; far above, it is no ratio
NUMBER_MAX = {ColumnType.TIME: TIME_US_MAX, ColumnType.COUNT: COUNT_MAX}
_TYPES: dict[ColumnType, set[type]] = {
    ColumnType.TIME: {int},
    ColumnType.COUNT: {int},
    ColumnType.FLAG: {bool},
    ColumnType.RATIO: {int, float},
}
TOKEN_BYTES = bytes(range(ord("!"), ord("~") + 1))
_DIGITS = b"0123456789,"
_NAMES = {  # the columns of a kind, and those of them that a message with events must have
    kind: (frozenset(spec.name for spec in specs), frozenset(spec.name for spec in specs if not spec.nullable))
    for kind, specs in COLUMNS.items()
}


def check_envelope(batch: Batch) -> None:
    """Raise ``BadMessage`` unless everything but the columns is in order."""
    for name in ("agent", "boot", "key"):
        value = getattr(batch, name)
        if not isinstance(value, str) or not is_token(value):
            raise BadMessage("envelope", f"{name} must be 1-128 printable ASCII characters without spaces")
    for name, most in (("seq", COUNT_MAX), ("dropped", COUNT_MAX), ("n", EVENTS_MAX)):
        if not is_whole(getattr(batch, name), most):
            raise BadMessage("envelope", f"{name} must be an integer from 0 to {most}")
    if batch.watermark is not None and not is_whole(batch.watermark, TIME_US_MAX):
        raise BadMessage("envelope", "watermark must be microseconds since the epoch, or null")


def is_whole(value: object, most: int) -> bool:
    """True if ``value`` is an integer (no boolean) from 0 to ``most``."""
    return type(value) is int and 0 <= value <= most


def check_columns(batch: Batch) -> None:
    """Raise ``BadMessage`` unless the columns, as lists, are those of the kind and hold what they may."""
    check_names(batch)
    for spec in COLUMNS[batch.kind]:
        values = batch.columns.get(spec.name)
        if values is None:
            continue
        if isinstance(values, Coded) != (spec.type is ColumnType.CODED):
            raise BadMessage("columns", f"{spec.name} has the wrong shape")
        length = len(values.codes) if isinstance(values, Coded) else len(values)
        if length != batch.n:
            raise BadMessage("columns", f"{spec.name} has {length} values, n is {batch.n}")
        _check_values(spec, values)


def check_names(batch: Batch) -> None:
    """Raise ``BadMessage`` unless the batch has the columns its kind must have and no others."""
    known, needed = _NAMES[batch.kind]
    if unknown := batch.columns.keys() - known:
        raise BadMessage("columns", f"{min(unknown)[:64]!a} is not a column of {batch.kind.value}")
    if batch.n and not needed <= batch.columns.keys():
        raise BadMessage("columns", f"{min(needed - batch.columns.keys())} is missing")


def check_dictionary(spec: Column, texts: Sequence[Any]) -> None:
    """Raise ``BadMessage`` unless ``texts`` may be the dictionary of ``spec``: allowed texts, each once."""
    try:
        each = set(texts)
    except TypeError:  # a list among them
        each = {None}
    if not (each <= spec.allowed if spec.allowed is not None else not texts or are_tokens(texts)):
        raise BadMessage("value", f"{spec.name} holds a text that is not allowed there")
    if len(each) != len(texts):
        raise BadMessage("value", f"{spec.name} repeats a dictionary value")


def are_tokens(values: Sequence[Any]) -> bool:
    """True if each of ``values`` (at least one) is a token."""
    try:
        joined = "".join(values)
    except TypeError:
        return False
    if not joined.isascii() or joined.encode("ascii").translate(None, TOKEN_BYTES):
        return False
    lengths = set(map(len, values))
    return 0 not in lengths and max(lengths) <= TOKEN_LEN_MAX


def _check_values(spec: Column, values: Coded | Sequence[Any]) -> None:
    if isinstance(values, Coded):
        _check_coded(spec, values)
    elif spec.type is ColumnType.UNIQUE:
        _check_unique(spec, values)
    else:
        _check_numbers(spec, values)


def _check_coded(spec: Column, column: Coded) -> None:
    check_dictionary(spec, column.values)
    if _beside_digits(column.codes).strip(b"-") and set(map(type, column.codes)) - {int}:
        raise BadMessage("value", f"{spec.name} has a code that is not an integer")
    least = -1 if spec.nullable else 0
    used = set(column.codes)
    if used and not (min(used) >= least and max(used) < len(column.values)):
        raise BadMessage("value", f"{spec.name} has a code outside its dictionary")


def _beside_digits(values: Sequence[Any]) -> bytes:
    """Return what else than digits and commas is in the JSON text of ``values``: nothing if all are integers >= 0.

    A sign, letter, point, quote or bracket gives every other value away, and so does an integer past 2**53 - 1.
    Having orjson write the text takes a third of the time of a look at each value, so this comes first; a column
    that does not pass is then looked at closely.
    """
    try:
        text = orjson.dumps(values, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return b"?"
    return text[1:-1].translate(None, _DIGITS)


def _check_unique(spec: Column, values: Sequence[Any]) -> None:
    if values and not are_tokens(values):
        raise BadMessage("value", f"{spec.name} must be 1-128 printable ASCII characters without spaces")


def _check_numbers(spec: Column, values: Sequence[Any]) -> None:
    if spec.type is ColumnType.TIME or spec.type is ColumnType.COUNT:
        rest = _beside_digits(values)
        # The nulls are counted because orjson writes NaN as null, too.
        if not rest or (spec.nullable and rest == b"null" * values.count(None)):
            return
    types: set[type] = set(map(type, values))
    if spec.nullable:
        types.discard(type(None))
    if types - _TYPES[spec.type]:
        raise BadMessage("value", f"{spec.name} must hold {spec.type.value} values")
    if spec.type is not ColumnType.FLAG:
        check_range(spec, [value for value in values if value is not None])


def check_range(spec: Column, numbers: Sequence[float]) -> None:
    """Raise ``BadMessage`` unless ``numbers``, without absent ones, are what the column may hold."""
    if not numbers:
        return
    most = NUMBER_MAX.get(spec.type, RATIO_MAX)
    if not (min(numbers) >= 0 and max(numbers) <= most) or any(v != v for v in numbers):  # noqa: PLR0124 - NaN
        raise BadMessage("value", f"{spec.name} is out of range")
