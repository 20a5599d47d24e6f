"""The sidecar of `burstwatch trace export`: everything known about each request, one JSON object a line.

Source: streams/capture/trace_format.py (``sidecar_lines``): the service, then the columns of a completion event as
collector/schema/columns.py lists them. Times are microseconds since the epoch; what is unknown is null.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from collector.schema.columns import COLUMNS, TIME_US_MAX, ColumnType
from collector.schema.events import Kind, Outcome
from collector.schema.trace_rows import LOG_TYPES
from workload.formats.format import Format, holds
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.rows import json_records
from workload.formats.told import Told
from workload.formats.values import token, whole

_FIELDS = tuple(column.name for column in COLUMNS[Kind.COMPLETION])
_COUNTS = ("request_tokens", "response_tokens", "cached_tokens")
_NAMES = ("model", "log_type", "session", "outcome", "reason")
_OTHER = tuple(
    column for column in COLUMNS[Kind.COMPLETION]
    if column.name not in {"id", "submitted_at", "first_token_at", "ended_at", *_COUNTS, *_NAMES}
)  # fmt: skip
_KEYS = frozenset({"service", *_FIELDS})
_LINES = 1_000


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a sidecar."""
    return json_records(lines, reading, _KEYS, _record)


def _record(row: dict[str, Any]) -> Record:
    submitted = whole("submitted_at", row.get("submitted_at"), most=TIME_US_MAX)
    if submitted is None:
        raise ValueError("no 'submitted_at'")
    known: dict[str, Any] = {name: token(name, row.get(name)) for name in _NAMES if name != "log_type"}
    if known["outcome"] not in {None, *Outcome}:
        raise ValueError(f"outcome must be one of {', '.join(Outcome)}")
    known |= {name: whole(name, row.get(name)) for name in _COUNTS}
    log_type = row.get("log_type")
    if log_type not in {None, *LOG_TYPES}:
        raise ValueError(f"log_type must be {' or '.join(map(repr, sorted(LOG_TYPES)))}")
    other = {column.name: _other(column.name, column.type, row.get(column.name)) for column in _OTHER}
    return Record(
        submitted_us=submitted,
        elapsed_us=_since(submitted, row, "ended_at"),
        first_token_us=_since(submitted, row, "first_token_at"),
        log_type=log_type,
        service=token("service", row.get("service")),
        request_id=token("id", row.get("id")),
        other={name: value for name, value in other.items() if value is not None} or None,
        **known,
    )


def _since(submitted: int, row: dict[str, Any], name: str) -> int | None:
    """Return the time from the submission on; an earlier one (two clocks, or one set back) is 0, as in the CSV."""
    at = whole(name, row.get(name), most=TIME_US_MAX)
    return None if at is None else max(0, at - submitted)


def _other(name: str, kind: ColumnType, value: object) -> object:
    if kind is ColumnType.FLAG:
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{name} must be true, false or null")
        return value
    return whole(name, value) if kind is ColumnType.COUNT else token(name, value)


def encode(records: Iterable[Record], _: Told) -> Iterator[bytes]:
    """Return a sidecar; what is unknown is null, also where an export of ours always knows it."""
    chunk: list[bytes] = []
    for record in records:
        chunk.append(orjson.dumps(_row(record), option=orjson.OPT_APPEND_NEWLINE))
        if len(chunk) == _LINES:
            yield b"".join(chunk)
            chunk.clear()
    yield b"".join(chunk)


def _row(record: Record) -> dict[str, Any]:
    known = {
        "id": record.request_id,
        "submitted_at": record.submitted_us,
        "first_token_at": _at(record.submitted_us, record.first_token_us),
        "ended_at": _at(record.submitted_us, record.elapsed_us),
        "model": record.model,
        "log_type": record.log_type,
        "session": record.session,
        "request_tokens": record.request_tokens,
        "response_tokens": record.response_tokens,
        "cached_tokens": record.cached_tokens,
        "outcome": record.outcome,
        "reason": record.reason,
    }
    other = record.other or {}
    return {"service": record.service, **{name: known.get(name, other.get(name)) for name in _FIELDS}}


def _at(submitted_us: int, later_us: int | None) -> int | None:
    return None if later_us is None else submitted_us + later_us


FORMAT = Format(
    name="sidecar",
    about="the lossless sidecar of `trace export`: all that is known of each request, as JSON lines",
    suffix=".jsonl",
    holds=holds(
        "session", "elapsed_us", "first_token_us", "model", *_COUNTS, "log_type", "service", "outcome", "reason",
        "request_id", *(column.name for column in _OTHER),
    ),
    absolute=True,
    read=read,
    encode=encode,
)  # fmt: skip
