"""The JSON body: one object, columns as arrays, readable with any Kafka tool. Schema v1.

``{"v":1,"agent":..,"boot":..,"key":..,"seq":..,"kind":..,"n":..,"watermark":..,"dropped":..,"columns":{NAME: [..] or
{"values":[..],"codes":[..]}, ..}}``
"""

from collections.abc import Mapping
from typing import Any

import orjson

from collector.schema.batch import Batch, Coded, Columns
from collector.schema.checks import check_columns, check_envelope
from collector.schema.errors import BadMessage
from collector.schema.events import SCHEMA_VERSION, Kind

_KINDS = {kind.value: kind for kind in Kind}
_FIELDS = ("agent", "boot", "key", "seq", "n", "watermark", "dropped")
_KNOWN = {"v", "kind", "columns", *_FIELDS}


def dump(batch: Batch) -> bytes:
    """Return a valid batch as JSON (not checked again)."""
    columns = {
        name: {"values": c.values, "codes": list(c.codes)} if isinstance(c, Coded) else list(c)
        for name, c in batch.columns.items()
    }
    return orjson.dumps(envelope(batch) | {"columns": columns})


def load(body: bytes) -> Batch:
    """Return the batch in ``body``, of any length. Raises ``BadMessage`` (and nothing else) for any other bytes."""
    raw = parse(body)
    if not isinstance(raw["columns"], dict):
        raise BadMessage("columns", "must be an object")
    batch = batch_of(raw, {name: _column(name, c) for name, c in raw["columns"].items()})
    check_columns(batch)
    return batch


def envelope(batch: Batch) -> dict[str, Any]:
    """Return everything but the columns as a JSON object."""
    head = {name: getattr(batch, name) for name in ("agent", "boot", "key", "seq")}
    tail = {name: getattr(batch, name) for name in ("n", "watermark", "dropped")}
    return {"v": SCHEMA_VERSION, **head, "kind": batch.kind.value, **tail}


def parse(text: bytes) -> dict[str, Any]:
    """Return the JSON object of a message, its fields the known ones, their values unchecked but for the version.

    Raises ``BadMessage``.
    """
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadMessage("not_json", f"at byte {error.pos}") from None
    if not isinstance(raw, dict):
        raise BadMessage("not_an_object", type(raw).__name__)
    if type(raw.get("v")) is not int or raw["v"] != SCHEMA_VERSION:
        raise BadMessage("version", f"schema version must be {SCHEMA_VERSION}")
    if missing := _KNOWN - raw.keys():
        raise BadMessage("envelope", f"{min(missing)} is missing")
    if raw.keys() - _KNOWN:
        raise BadMessage("envelope", "unknown field")
    if not isinstance(raw["kind"], str) or raw["kind"] not in _KINDS:
        raise BadMessage("envelope", "kind must be arrival, completion or resource")
    return raw


def batch_of(raw: Mapping[str, Any], columns: Columns) -> Batch:
    """Return the batch with the envelope of ``raw``, checked, and ``columns``, unchecked. Raises ``BadMessage``."""
    fields = {name: raw[name] for name in _FIELDS}
    batch = Batch(**fields, kind=_KINDS[raw["kind"]], columns=columns)
    check_envelope(batch)
    return batch


def _column(name: str, column: object) -> Coded | list[Any]:
    if isinstance(column, list):
        return column
    if isinstance(column, dict) and column.keys() == {"values", "codes"}:
        values, codes = column["values"], column["codes"]
        if isinstance(values, list) and isinstance(codes, list):
            return Coded(values, codes)
    raise BadMessage("columns", f"{name[:64]!a} is neither a list nor values with codes")
