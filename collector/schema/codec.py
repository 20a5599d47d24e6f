"""Batch <-> bytes: one agent's events of one kind for one key, columnar JSON (orjson), schema v1.

Any bytes decode to a valid ``Batch`` or raise ``BadMessage`` naming what is wrong; nothing else is raised.
Encoding validates too, so what one side sends the other accepts, and round trips are exact.
The wire format sits behind the content type: a binary body can be added here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import orjson

from collector.schema.columns import COLUMNS, COUNT_MAX, TIME_US_MAX, TOKEN_LEN_MAX, Column, ColumnType, is_token
from collector.schema.errors import BadMessage
from collector.schema.events import EVENT_TYPES, SCHEMA_VERSION, Event, Kind

CONTENT_TYPE = "application/vnd.burstwatch.columns+json"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
EVENTS_MAX = 100_000

_KINDS = {kind.value: kind for kind in Kind}
_TOKEN_BYTES = bytes(range(ord("!"), ord("~") + 1))
_NUMBER_MAX = {ColumnType.TIME: TIME_US_MAX, ColumnType.COUNT: COUNT_MAX}
_DIGITS = b"0123456789,"


@dataclass(frozen=True, slots=True)
class Coded:
    """A dictionary-coded text column: event i has ``values[codes[i]]``, or nothing where the code is -1."""

    values: Sequence[str]
    codes: Sequence[int]

    def texts(self) -> list[str | None]:
        """Return one text or None per event."""
        lookup: list[str | None] = [*self.values, None]
        return [lookup[code] for code in self.codes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One message. ``(agent, boot, key, seq)`` identifies it for ever.

    Attributes:
        agent: the instance's id from its configuration.
        boot: one run of that agent; a new one at every start, so that ``seq`` is never reused.
        key: the Kafka key: the service for arrivals and completions, the node for resources.
        seq: counts this boot's messages for this key (in its topic) from 0, over all kinds, without holes.
        watermark: every event of this key up to this time (us) has been sent by this agent, this message
            included; None where the agent cannot promise it.
        dropped: events of this key this boot had to drop so far (bounded queues never hide loss).
        n: events in the columns; 0 makes the message a heartbeat that only moves the watermark.
        columns: ``Coded`` for coded text, a list per other column; absent where every value is None.
    """

    agent: str
    boot: str
    key: str
    seq: int
    kind: Kind
    n: int
    watermark: int | None = None
    dropped: int = 0
    columns: Mapping[str, Coded | Sequence[Any]] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """``(agent, boot, key, seq)``."""
        return (self.agent, self.boot, self.key, self.seq)


def columns_of(kind: Kind, events: Sequence[Event]) -> dict[str, Coded | list[Any]]:
    """Return ``events`` (all of ``kind``) as columns; columns in which every value is None are left out."""
    columns: dict[str, Coded | list[Any]] = {}
    for column in COLUMNS[kind]:
        values = list(map(attrgetter(column.name), events))
        if column.nullable and (not values or values[0] is None) and values.count(None) == len(values):
            continue
        columns[column.name] = _coded(values) if column.type is ColumnType.CODED else values
    return columns


def events_of(batch: Batch) -> list[Event]:
    """Return the batch's events as objects (for files and tests; the live path stays on columns)."""
    make = EVENT_TYPES[batch.kind]
    names = list(batch.columns)
    texts = [c.texts() if isinstance(c, Coded) else c for c in batch.columns.values()]
    if not batch.n:
        return []
    return [make(**dict(zip(names, row, strict=True))) for row in zip(*texts, strict=True)]


def _coded(values: list[str | None]) -> Coded:
    names = [value for value in dict.fromkeys(values) if value is not None]
    codes: dict[str | None, int] = {name: code for code, name in enumerate(names)}
    codes[None] = -1
    return Coded(names, list(map(codes.__getitem__, values)))


def encode(batch: Batch) -> bytes:
    """Return the message body. Raises ``BadMessage`` if the batch breaks the schema."""
    _check_envelope(batch)
    _check_columns(batch)
    return orjson.dumps(
        {
            "v": SCHEMA_VERSION,
            "agent": batch.agent,
            "boot": batch.boot,
            "key": batch.key,
            "seq": batch.seq,
            "kind": batch.kind.value,
            "n": batch.n,
            "watermark": batch.watermark,
            "dropped": batch.dropped,
            "columns": {
                name: {"values": c.values, "codes": c.codes} if isinstance(c, Coded) else c
                for name, c in batch.columns.items()
            },
        }
    )


def decode(body: bytes) -> Batch:
    """Return the batch in ``body``. Raises ``BadMessage`` (and nothing else) for any other bytes."""
    if len(body) > MESSAGE_BYTES_MAX:
        raise BadMessage("too_large", f"{len(body)} bytes, at most {MESSAGE_BYTES_MAX}")
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadMessage("not_json", f"at byte {error.pos}") from None
    if not isinstance(raw, dict):
        raise BadMessage("not_an_object", type(raw).__name__)
    if type(raw.get("v")) is not int or raw["v"] != SCHEMA_VERSION:
        raise BadMessage("version", f"schema version must be {SCHEMA_VERSION}")
    batch = _from_raw(raw)
    _check_envelope(batch)
    _check_columns(batch)
    return batch


def _from_raw(raw: dict[str, Any]) -> Batch:
    known = {"v", "agent", "boot", "key", "seq", "kind", "n", "watermark", "dropped", "columns"}
    if missing := known - raw.keys():
        raise BadMessage("envelope", f"{min(missing)} is missing")
    if raw.keys() - known:
        raise BadMessage("envelope", "unknown field")
    if not isinstance(raw["kind"], str) or raw["kind"] not in _KINDS:
        raise BadMessage("envelope", "kind must be arrival, completion or resource")
    if not isinstance(raw["columns"], dict):
        raise BadMessage("columns", "must be an object")
    columns = {name: _coded_from_raw(name, c) for name, c in raw["columns"].items()}
    fields = {name: raw[name] for name in known - {"v", "kind", "columns"}}
    return Batch(**fields, kind=_KINDS[raw["kind"]], columns=columns)


def _coded_from_raw(name: str, column: object) -> Coded | list[Any]:
    if isinstance(column, list):
        return column
    if isinstance(column, dict) and column.keys() == {"values", "codes"}:
        values, codes = column["values"], column["codes"]
        if isinstance(values, list) and isinstance(codes, list):
            return Coded(values, codes)
    raise BadMessage("columns", f"{name[:64]!a} is neither a list nor values with codes")


def _check_envelope(batch: Batch) -> None:
    for name in ("agent", "boot", "key"):
        value = getattr(batch, name)
        if not isinstance(value, str) or not is_token(value):
            raise BadMessage("envelope", f"{name} must be 1-128 printable ASCII characters without spaces")
    for name, most in (("seq", COUNT_MAX), ("dropped", COUNT_MAX), ("n", EVENTS_MAX)):
        if not _is_int(getattr(batch, name), most):
            raise BadMessage("envelope", f"{name} must be an integer from 0 to {most}")
    if batch.watermark is not None and not _is_int(batch.watermark, TIME_US_MAX):
        raise BadMessage("envelope", "watermark must be microseconds since the epoch, or null")


def _is_int(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _check_columns(batch: Batch) -> None:
    specs = COLUMNS[batch.kind]
    if unknown := batch.columns.keys() - {spec.name for spec in specs}:
        raise BadMessage("columns", f"{min(unknown)[:64]!a} is not a column of {batch.kind.value}")
    for spec in specs:
        values = batch.columns.get(spec.name)
        if values is None:
            if batch.n and not spec.nullable:
                raise BadMessage("columns", f"{spec.name} is missing")
            continue
        if isinstance(values, Coded) != (spec.type is ColumnType.CODED):
            raise BadMessage("columns", f"{spec.name} has the wrong shape")
        length = len(values.codes) if isinstance(values, Coded) else len(values)
        if length != batch.n:
            raise BadMessage("columns", f"{spec.name} has {length} values, n is {batch.n}")
        _check_values(spec, values)


def _check_values(spec: Column, values: Coded | Sequence[Any]) -> None:
    if isinstance(values, Coded):
        _check_coded(spec, values)
    elif spec.type is ColumnType.UNIQUE:
        _check_unique(spec, values)
    else:
        _check_numbers(spec, values)


def _check_coded(spec: Column, column: Coded) -> None:
    texts: Sequence[object] = column.values
    if spec.allowed is None:
        good = not texts or _are_tokens(column.values)
    else:
        good = all(isinstance(text, str) and text in spec.allowed for text in texts)
    if not good:
        raise BadMessage("value", f"{spec.name} holds a text that is not allowed there")
    if len(set(column.values)) != len(column.values):
        raise BadMessage("value", f"{spec.name} repeats a dictionary value")
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
    if values and not _are_tokens(values):
        raise BadMessage("value", f"{spec.name} must be 1-128 printable ASCII characters without spaces")


def _are_tokens(values: Sequence[Any]) -> bool:
    try:
        joined = "".join(values)
    except TypeError:
        return False
    if not joined.isascii() or joined.encode("ascii").translate(None, _TOKEN_BYTES):
        return False
    lengths = set(map(len, values))
    return min(lengths) >= 1 and max(lengths) <= TOKEN_LEN_MAX


def _check_numbers(spec: Column, values: Sequence[Any]) -> None:
    if spec.type is ColumnType.TIME or spec.type is ColumnType.COUNT:
        rest = _beside_digits(values)
        # The nulls are counted because orjson writes NaN as null, too.
        if not rest or (spec.nullable and rest == b"null" * values.count(None)):
            return
    allowed: dict[ColumnType, set[type]] = {
        ColumnType.FLAG: {bool},
        ColumnType.RATIO: {int, float},
    }
    wanted = allowed.get(spec.type, {int})
    types: set[type] = set(map(type, values))
    if spec.nullable:
        types.discard(type(None))
    if types - wanted:
        raise BadMessage("value", f"{spec.name} must hold {spec.type.value} values")
    numbers = [value for value in values if value is not None] if spec.nullable else values
    if spec.type is ColumnType.FLAG or not numbers:
        return
    # Some engines report a KV usage just above 1 for a moment; far above, it is no ratio.
    most = _NUMBER_MAX.get(spec.type, 100)
    if not (min(numbers) >= 0 and max(numbers) <= most) or any(v != v for v in numbers):  # noqa: PLR0124 - NaN
        raise BadMessage("value", f"{spec.name} is out of range")
