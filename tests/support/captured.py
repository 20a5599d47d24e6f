"""Capture folders made in a moment, and what an export of them says."""

import json
from pathlib import Path

import orjson

from collector.schema.events import Completion
from collector.schema.trace_rows import BURSTGPT_8
from streams.capture.export import Wanted, export, list_segments
from streams.capture.files import DiskFolder, lock_folder
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.events import completion
from tests.support.fake_log import message

SECOND = 1_000_000


def capture(path: Path, partitions: dict[int, list[bytes]], rotation: Rotation | None = None) -> Path:
    """Write the bodies as a capture would, five events a segment; returns the folder."""
    path.mkdir(exist_ok=True)
    lock_folder(path).close()
    writer = SegmentWriter(DiskFolder(path), "llm.requests", rotation or Rotation(events=5))
    starts = writer.next_offsets()
    for partition, bodies in partitions.items():
        for offset, body in enumerate(bodies, starts.get(partition, 0)):
            writer.add(partition, offset, body)
    for partition in writer.open_partitions():
        writer.finish(partition)
    return path


def mixed(count: int = 24, *, service: str = "chat") -> list[Completion]:
    """Requests of all outcomes, three sessions and none, with and without what may be unknown."""
    kinds = [
        {"outcome": "ok", "session": "s-1", "log_type": "Conversation log", "first_token_at": 5},
        {"outcome": "failed", "reason": "overloaded", "http_status": 503, "response_tokens": 3},
        {"outcome": "cancelled", "reason": "client_disconnect", "ended_at": None, "session": "s-2"},
        {"outcome": "ok", "request_tokens": None, "response_tokens": None, "model": 'm,"1"', "session": "s-3"},
        {"outcome": "ok", "response_tokens": 0, "stream": True, "cached_tokens": 7, "session": "s-1"},
    ]
    return [
        completion(n * SECOND + n, id=f"{service}-{n:04d}", **{"model": "GPT-4", **kinds[n % len(kinds)]})
        for n in range(count)
    ]


def bodies_of(rows: list[Completion], *, per_message: int = 2, first_seq: int = 0, **fields) -> list[bytes]:
    """The rows as messages of one stream."""
    starts = range(0, len(rows), per_message)
    return [message(rows[i : i + per_message], seq=first_seq + n, **fields) for n, i in enumerate(starts)]


def exported(folder: Path, out: Path, **wanted) -> tuple[list[dict], dict]:
    """Export; return the sidecar's rows and the manifest, as read back from the disk."""
    export(list_segments(folder), folder, out, Wanted(**{"columns": BURSTGPT_8, "origin_us": 0, **wanted}))
    sidecar = out.with_name(f"{out.stem}.sidecar.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in sidecar], json.loads(out.with_name(f"{out.stem}.manifest.json").read_text())
