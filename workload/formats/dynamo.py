"""NVIDIA Dynamo's request trace (``dynamo.request.trace.v1``): JSON lines of finished requests, for DynoSim.

Source: github.com/ai-dynamo/dynamo, lib/data-gen/src/request_trace/load.rs at 04daeb0, and its page on request replay
tracing. Times are milliseconds, ``request_received_ms`` and ``event_time_unix_ms`` whole ones since the epoch. The
loader wants ``replay`` with exactly ceil(input_length / trace_block_size) hashes, output_tokens, an id nobody else has,
and ``agent_context`` (the session) on all requests or on none; rows may be wrapped as ``{"event": {...}}``.
``request_payload`` and ``tool_*`` rows are no requests and are passed over. Shards may be .gz.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from workload.formats.blocks import Blocks
from workload.formats.format import Format, chunked, holds, unusable
from workload.formats.reading import Reading, numbered
from workload.formats.record import Record
from workload.formats.told import Told
from workload.formats.values import (
    MILLISECOND_US,
    ids,
    json_object,
    micros,
    optional_micros,
    part,
    token,
    units,
    whole,
)

SCHEMA = "dynamo.request.trace.v1"
BLOCK_TOKENS = 64
_KEYS = frozenset({
    "request_id", "request_received_ms", "model", "input_tokens", "output_tokens", "cached_tokens", "ttft_ms",
    "total_time_ms", "replay",
})  # fmt: skip
_NOT_REQUESTS = frozenset({"request_payload", "tool_start", "tool_end", "tool_error"})


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the finished requests of a Dynamo request trace."""
    for line in numbered(lines, reading):
        try:
            row = json_object(line)
            row = part("event", row) or row
            if row.get("event_type") in _NOT_REQUESTS:
                reading.not_requests += 1
                continue
            record = _record(row)
        except ValueError as error:
            reading.bad(str(error))
        else:
            reading.know(part("request", row).keys(), _KEYS)
            yield record


def _record(row: dict[str, Any]) -> Record:
    if row.get("schema") != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}")
    if row.get("event_type") != "request_end":
        raise ValueError("event_type must be request_end, request_payload or tool_*")
    request, context = part("request", row), part("agent_context", row)
    replay = part("replay", request)
    ended = micros("event_time_unix_ms", row.get("event_time_unix_ms"), MILLISECOND_US)
    elapsed = optional_micros("total_time_ms", request.get("total_time_ms"), MILLISECOND_US)
    submitted = optional_micros("request_received_ms", request.get("request_received_ms"), MILLISECOND_US)
    if submitted is None:
        submitted = max(0, ended - (elapsed or 0))
    elif elapsed is None:  # the same two rules as Dynamo's own request_times
        elapsed = max(0, ended - submitted)
    prompt = replay.get("input_length") if request.get("input_tokens") is None else request["input_tokens"]
    hashes = ids("input_sequence_hashes", replay.get("input_sequence_hashes"))
    parent = token("parent_session_id", context.get("parent_session_id"))
    return Record(
        submitted_us=submitted,
        elapsed_us=elapsed,
        first_token_us=optional_micros("ttft_ms", request.get("ttft_ms"), MILLISECOND_US),
        model=token("model", request.get("model")),
        request_tokens=whole("input_length", prompt),
        response_tokens=whole("output_tokens", request.get("output_tokens")),
        cached_tokens=whole("cached_tokens", request.get("cached_tokens")),
        session=token("session_id", context.get("session_id")),
        request_id=token("request_id", request.get("request_id")),
        hash_ids=hashes,
        block_tokens=None if hashes is None else whole("trace_block_size", replay.get("trace_block_size")),
        other=None if parent is None else {"parent_session": parent},
    )


def encode(records: Iterable[Record], told: Told) -> Iterator[bytes]:
    """Return a Dynamo request trace. The first record decides whether all have sessions or none."""
    return chunked(json.dumps(row) + "\n" for row in _rows(records, told))


def _rows(records: Iterable[Record], told: Told) -> Iterator[dict[str, Any]]:
    blocks = Blocks(told, BLOCK_TOKENS, any_size=True)
    with_sessions = False
    for number, record in enumerate(records):
        if number == 0:
            with_sessions = record.session is not None
        row = {"schema": SCHEMA, "event_type": "request_end", "event_time_unix_ms": _ended_ms(record)}
        if with_sessions:
            if record.session is None:
                told.changed["a session of its own for a request without one"] += 1
            context = {"session_id": record.session or f"alone-{number}"}
            if record.other and "parent_session" in record.other:
                context["parent_session_id"] = record.other["parent_session"]
            row["agent_context"] = context
        elif record.session is not None:
            told.dropped["session (the first request has none, and Dynamo refuses a mixture)"] += 1
        if record.submitted_us % MILLISECOND_US:
            told.changed["Timestamp cut to whole milliseconds"] += 1
        row["request"] = _request(record, number, blocks, told)
        yield row


def _ended_ms(record: Record) -> int:
    return (record.submitted_us + (record.elapsed_us or 0)) // MILLISECOND_US


def _request(record: Record, number: int, blocks: Blocks, told: Told) -> dict[str, Any]:
    name = record.request_id
    if name is None:
        told.changed["request_id numbered"] += 1
        name = f"request-{number}"
    hashes = blocks.of(record)
    known = {
        "model": record.model,
        "cached_tokens": record.cached_tokens,
        "ttft_ms": _ms(record.first_token_us),
        "total_time_ms": _ms(record.elapsed_us),
    }
    return {
        "request_id": name,
        "request_received_ms": record.submitted_us // MILLISECOND_US,
        "input_tokens": record.request_tokens,
        "output_tokens": record.response_tokens,
        **{key: value for key, value in known.items() if value is not None},
        "replay": {
            "trace_block_size": record.block_tokens if record.hash_ids and record.block_tokens else BLOCK_TOKENS,
            "input_length": record.request_tokens,
            "input_sequence_hashes": hashes,
        },
    }


def _ms(us: int | None) -> int | float | None:
    return None if us is None else units(us, MILLISECOND_US)


FORMAT = Format(
    name="dynamo",
    about="NVIDIA Dynamo's request trace: JSON lines of finished requests, milliseconds since the epoch",
    suffix=".jsonl",
    holds=holds(
        "session", "elapsed_us", "first_token_us", "model", "request_tokens", "response_tokens", "cached_tokens",
        "request_id", "hash_ids", "block_tokens", "parent_session",
    ),
    absolute=True,
    read=read,
    encode=encode,
    refuses=unusable,
)  # fmt: skip
