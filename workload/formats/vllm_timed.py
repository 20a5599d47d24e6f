"""vLLM's timed traces (`vllm bench serve --dataset-name timed_trace`): JSON lines, seconds, ids of 16-token blocks.

Source: vllm 0.32.0, vllm/benchmarks/datasets/datasets.py, class TimedTrace: keys ``timestamp``, ``input_length``,
``output_length``, ``hash_ids`` by default; timestamps are multiplied by --timed-trace-sec-multiplier (default 1: they
are seconds) and slept until; each id expands to --timed-trace-chunk-hash-size tokens (default 16) and nothing fills
up what ids are missing, so a row without ids is an empty prompt. A missing length or timestamp is an error.
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
from workload.formats.values import SECOND_US, ids, micros, units, whole

BLOCK_TOKENS = 16

_KEYS = frozenset({"timestamp", "input_length", "output_length", "hash_ids"})


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a timed trace in seconds."""
    return json_records(lines, reading, _KEYS, _record)


def _record(row: dict[str, Any]) -> Record:
    hash_ids = ids("hash_ids", row.get("hash_ids"))
    return Record(
        submitted_us=micros("timestamp", row.get("timestamp"), SECOND_US),
        request_tokens=whole("input_length", row.get("input_length")),
        response_tokens=whole("output_length", row.get("output_length")),
        hash_ids=hash_ids,
        block_tokens=None if hash_ids is None else BLOCK_TOKENS,
    )


def encode(records: Iterable[Record], told: Told) -> Iterator[bytes]:
    """Return a timed trace for vLLM's default options. Prompts without block ids get ids nobody else has."""
    blocks = Blocks(told, BLOCK_TOKENS)
    return chunked(json.dumps(_row(record, blocks)) + "\n" for record in records)


def _row(record: Record, blocks: Blocks) -> dict[str, Any]:
    return {
        "timestamp": units(record.submitted_us, SECOND_US),
        "input_length": record.request_tokens,
        "output_length": record.response_tokens,
        "hash_ids": blocks.of(record),
    }


FORMAT = Format(
    name="vllm-timed",
    about="vLLM's timed_trace: JSON lines, seconds, block ids of 16 tokens (its default options)",
    suffix=".jsonl",
    holds=holds("request_tokens", "response_tokens", "hash_ids", "block_tokens"),
    zero=Zero.FIRST,
    read=read,
    encode=encode,
    refuses=unusable,
)
