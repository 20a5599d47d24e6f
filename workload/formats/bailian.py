"""Qwen-Bailian: JSON lines with chat ids that link turns, seconds, ids of 16-token blocks.

Source: github.com/alibaba-edu/qwen-bailian-usagetraces-anon, README at 03a51e3: ``chat_id``, ``parent_chat_id`` (-1 for
a conversation's first request), ``timestamp`` (seconds), ``input_length``, ``output_length``, ``type``
(text/search/image/file), ``turn``, ``hash_ids``. A record's session is the id of the chat its chain of parents begins
with. To follow chains, reading remembers each chat and writing the last chat of each session: memory grows with them.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from workload.formats.blocks import Blocks
from workload.formats.format import Format, Zero, chunked, holds
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.rows import json_records
from workload.formats.told import Told
from workload.formats.values import SECOND_US, ids, micros, needed_whole, token, units, whole

BLOCK_TOKENS = 16
_ROOT = -1
_KEYS = frozenset(
    {"chat_id", "parent_chat_id", "timestamp", "input_length", "output_length", "type", "turn", "hash_ids"}
)


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a Bailian trace. A parent that was not seen begins a session under its own id."""
    roots: dict[int, int] = {}
    return json_records(lines, reading, _KEYS, lambda row: _record(row, roots))


def _record(row: dict[str, Any], roots: dict[int, int]) -> Record:
    chat = needed_whole("chat_id", row.get("chat_id"))
    parent = row.get("parent_chat_id", _ROOT)
    if parent != _ROOT:
        parent = needed_whole("parent_chat_id", parent)
    kind = token("type", row.get("type"))
    turn = whole("turn", row.get("turn"))
    record = Record(
        submitted_us=micros("timestamp", row.get("timestamp"), SECOND_US),
        request_tokens=whole("input_length", row.get("input_length")),
        response_tokens=whole("output_length", row.get("output_length")),
        request_id=str(chat),
        session=str(chat if parent == _ROOT else roots.get(parent, parent)),
        hash_ids=ids("hash_ids", row.get("hash_ids")),
        block_tokens=BLOCK_TOKENS if "hash_ids" in row else None,
        other={name: value for name, value in (("type", kind), ("turn", turn)) if value is not None} or None,
    )
    roots[chat] = chat if parent == _ROOT else roots.get(parent, parent)
    return record


def encode(records: Iterable[Record], told: Told) -> Iterator[bytes]:
    """Return a Bailian trace. Requests without a number of their own are numbered; a session's are chained."""
    return chunked(json.dumps(row) + "\n" for row in _rows(records, told))


def _rows(records: Iterable[Record], told: Told) -> Iterator[dict[str, Any]]:
    blocks = Blocks(told, BLOCK_TOKENS)
    last: dict[str, tuple[int, int]] = {}  # session: its latest chat and turn
    fresh = count()
    numbered_before = False
    for record in records:
        name = record.request_id or ""
        if name.isdigit() and not numbered_before:
            chat = int(name)
        else:
            numbered_before = True  # from the first missing number on all are ours, else two could be the same
            chat = next(fresh)
            told.changed["chat_id numbered"] += 1
        parent, turn = _ROOT, 1
        if record.session is not None:
            parent, turn = last.get(record.session, (_ROOT, 0))
            turn += 1
            last[record.session] = (chat, turn)
        other = record.other or {}
        yield {
            "chat_id": chat,
            "parent_chat_id": parent,
            "timestamp": units(record.submitted_us, SECOND_US),
            "input_length": record.request_tokens,
            "output_length": record.response_tokens,
            "type": other.get("type", "text"),
            "turn": other.get("turn", turn),
            "hash_ids": blocks.of(record),
        }


FORMAT = Format(
    name="bailian",
    about="Qwen-Bailian traces: JSON lines, seconds, chats linked by their parents, block ids of 16 tokens",
    suffix=".jsonl",
    holds=holds("request_tokens", "response_tokens", "session", "request_id", "hash_ids", "block_tokens", "type",
                "turn"),
    zero=Zero.FIRST,
    read=read,
    encode=encode,
)  # fmt: skip
