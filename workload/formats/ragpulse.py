"""RAGPulse: JSON lines of a retrieval service; what each prompt is made of, by ids.

Source: github.com/flashserve/RAGPulse, README and data/0_trace.jsonl at 99a6276: ``timestamp`` is seconds as TEXT,
``hash_ids`` an object of id lists (sys_prompt, passages_ids, history, web_search, user_input), ``session_id`` on each
row. The published file has one row that lies before the row above it.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from collector.schema.trace_rows import format_seconds, parse_seconds
from workload.formats.format import Format, chunked, holds
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.rows import json_records
from workload.formats.told import Told
from workload.formats.values import SECOND_US, ids, micros, part, token, whole

COMPONENTS = "ragpulse_ids"

_KEYS = frozenset({"timestamp", "input_length", "output_length", "hash_ids", "session_id"})


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a RAGPulse trace."""
    return json_records(lines, reading, _KEYS, _record)


def _record(row: dict[str, Any]) -> Record:
    at = row.get("timestamp")
    components = {name: ids(f"hash_ids.{name}", value) for name, value in part("hash_ids", row).items()}
    return Record(
        submitted_us=parse_seconds("timestamp", at) if isinstance(at, str) else micros("timestamp", at, SECOND_US),
        request_tokens=whole("input_length", row.get("input_length")),
        response_tokens=whole("output_length", row.get("output_length")),
        session=token("session_id", row.get("session_id")),
        other={COMPONENTS: components} if components else None,
    )


def encode(records: Iterable[Record], _: Told) -> Iterator[bytes]:
    """Return a RAGPulse trace, formed as published."""
    return chunked(json.dumps(_row(record)) + "\n" for record in records)


def _row(record: Record) -> dict[str, Any]:
    return {
        "timestamp": format_seconds(record.submitted_us),
        "input_length": record.request_tokens,
        "output_length": record.response_tokens,
        "hash_ids": (record.other or {}).get(COMPONENTS, {}),
        "session_id": record.session,
    }


FORMAT = Format(
    name="ragpulse",
    about="RAGPulse traces: JSON lines, seconds as text, a session on each row",
    suffix=".jsonl",
    holds=holds("request_tokens", "response_tokens", "session", COMPONENTS),
    read=read,
    encode=encode,
)
