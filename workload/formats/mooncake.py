"""Mooncake: JSON lines with times in milliseconds and prompts as ids of 512-token blocks.

Source: github.com/kvcache-ai/Mooncake, FAST25-release/README.md and traces/*.jsonl at 40ea55f: ``timestamp`` (ms),
``input_length``, ``output_length``, ``hash_ids``, one id for each begun block. aiperf's ``mooncake_trace`` adds an
optional ``session_id`` (see aiperf.py). vLLM's timed_trace takes such a file with --timed-trace-sec-multiplier 0.001
--timed-trace-chunk-hash-size 512, guidellm (kind mooncake) with time_scale 0.001: both count in seconds.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from workload.formats.blocks import Blocks
from workload.formats.format import Format, Zero, chunked, holds, unusable
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.rows import json_records
from workload.formats.told import Told
from workload.formats.values import MILLISECOND_US, ids, micros, token, units, whole

BLOCK_TOKENS = 512

_KEYS = frozenset({"timestamp", "input_length", "output_length", "hash_ids", "session_id"})


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a Mooncake trace, with aiperf's ``session_id`` where there is one."""
    return json_records(lines, reading, _KEYS, _record)


def _record(row: dict[str, Any]) -> Record:
    hash_ids = ids("hash_ids", row.get("hash_ids"))
    return Record(
        submitted_us=micros("timestamp", row.get("timestamp"), MILLISECOND_US),
        request_tokens=whole("input_length", row.get("input_length")),
        response_tokens=whole("output_length", row.get("output_length")),
        session=token("session_id", row.get("session_id")),
        hash_ids=hash_ids,
        block_tokens=None if hash_ids is None else BLOCK_TOKENS,
    )


def encode(records: Iterable[Record], told: Told) -> Iterator[bytes]:
    """Return a Mooncake trace, formed as published. Prompts without block ids get ids nobody else has."""
    blocks = Blocks(told, BLOCK_TOKENS)
    return chunked(json.dumps(row(record, blocks)) + "\n" for record in records)


def row(record: Record, blocks: Blocks) -> dict[str, Any]:
    """Return a record as Mooncake's object."""
    return {**lengths(record), "hash_ids": blocks.of(record)}


def lengths(record: Record) -> dict[str, Any]:
    """Return Mooncake's object without the block ids."""
    return {
        "timestamp": units(record.submitted_us, MILLISECOND_US),
        "input_length": record.request_tokens,
        "output_length": record.response_tokens,
    }


FORMAT = Format(
    name="mooncake",
    about="Mooncake traces: JSON lines, milliseconds, block ids of 512 tokens",
    suffix=".jsonl",
    holds=holds("request_tokens", "response_tokens", "hash_ids", "block_tokens"),
    zero=Zero.FIRST,
    read=read,
    encode=encode,
    refuses=unusable,
)
