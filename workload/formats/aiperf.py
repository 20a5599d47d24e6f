"""aiperf's ``mooncake_trace`` with sessions: JSON lines, milliseconds; richer than its BurstGPT input.

Source: github.com/ai-dynamo/aiperf 0.13.0, src/aiperf/dataset/loader/models.py (MooncakeTrace) and mooncake_trace.py:
``input_length`` has to be there; ``output_length`` becomes max_tokens, which must be at least 1; rows of one
``session_id`` are turns of one conversation; without ``hash_ids`` it makes prompts of the given length itself. Rows
with ``text_input``, ``messages`` or ``payload`` carry prompts: they are not traces, and are bad rows here.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from workload.formats import mooncake
from workload.formats.blocks import Blocks
from workload.formats.format import Format, Zero, chunked, holds, unusable
from workload.formats.record import Record
from workload.formats.told import Told


def encode(records: Iterable[Record], told: Told) -> Iterator[bytes]:
    """Return a trace for ``--custom-dataset-type mooncake_trace --fixed-schedule``; what is unknown is left out."""
    blocks = Blocks(told, mooncake.BLOCK_TOKENS)
    return chunked(json.dumps(_row(record, blocks)) + "\n" for record in records)


def _row(record: Record, blocks: Blocks) -> dict[str, Any]:
    row = mooncake.row(record, blocks) if record.hash_ids is not None else mooncake.lengths(record)
    return row if record.session is None else {"session_id": record.session, **row}


FORMAT = Format(
    name="aiperf-mooncake",
    about="aiperf's mooncake_trace: JSON lines, milliseconds, with sessions (the BurstGPT form is `aiperf`)",
    suffix=".jsonl",
    holds=holds("request_tokens", "response_tokens", "session", "hash_ids", "block_tokens"),
    zero=Zero.FIRST,
    read=mooncake.read,
    encode=encode,
    refuses=unusable,
)
