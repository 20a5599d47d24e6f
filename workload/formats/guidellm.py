"""guidellm's replay input under its default column names: JSON lines, seconds.

Source: github.com/vllm-project/guidellm 0.8.1, src/guidellm/schemas/data/deserializers/trace_common.py and
trace_minimal.py (kind trace_synthetic): ``timestamp`` (seconds, from the first row on), ``input_length``,
``output_length``, and ``duration`` (seconds, may be null) for schedule_turn=idle_gap. Rows are sorted by it; a null
length is refused and an output of 0 becomes a generation without an end. (BurstGPT's own columns can be named to it
too: profile `guidellm`.)
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from workload.formats.format import Format, Zero, chunked, holds, unusable
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.rows import json_records
from workload.formats.told import Told
from workload.formats.values import SECOND_US, micros, optional_micros, whole

_KEYS = frozenset({"timestamp", "input_length", "output_length", "duration"})


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a replay file."""
    return json_records(lines, reading, _KEYS, _record)


def _record(row: dict[str, Any]) -> Record:
    return Record(
        submitted_us=micros("timestamp", row.get("timestamp"), SECOND_US),
        request_tokens=whole("input_length", row.get("input_length")),
        response_tokens=whole("output_length", row.get("output_length")),
        elapsed_us=optional_micros("duration", row.get("duration"), SECOND_US),
    )


def encode(records: Iterable[Record], _: Told) -> Iterator[bytes]:
    """Return a replay file. Times are always written as fractions: a column of one type is what its reader infers."""
    return chunked(json.dumps(_row(record)) + "\n" for record in records)


def _row(record: Record) -> dict[str, Any]:
    return {
        "timestamp": record.submitted_us / SECOND_US,
        "input_length": record.request_tokens,
        "output_length": record.response_tokens,
        "duration": None if record.elapsed_us is None else record.elapsed_us / SECOND_US,
    }


FORMAT = Format(
    name="guidellm-jsonl",
    about="guidellm's replay input: JSON lines, seconds (the BurstGPT form is `guidellm`)",
    suffix=".jsonl",
    holds=holds("request_tokens", "response_tokens", "elapsed_us"),
    zero=Zero.FIRST,
    read=read,
    encode=encode,
    refuses=unusable,
)
