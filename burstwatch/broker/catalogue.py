"""What the broker knows besides records: topics, log starts, group offsets, producer ids. One journal file.

Each change is one JSON line, written before it is answered. The journal is rewritten when most of it is
history, so it does not grow for ever.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

_PRODUCER_IDS_AT_ONCE = 1_000  # reserved by one journal line; the rest of a block is skipped by a restart
_HISTORY = 5_000  # lines of history that are always allowed
_OFFSETS_LIVE_MS = 7 * 86_400_000  # like Kafka's offsets.retention.minutes


class Committed(NamedTuple):
    """A group's position in one partition."""

    offset: int
    metadata: str
    at_ms: int


@dataclass(slots=True)
class TopicEntry:
    """One topic: how many partitions, and the configs that were set for it."""

    partitions: int
    configs: dict[str, str] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)  # partition -> first offset, where it is not 0


class Catalogue:
    """Opens the journal, forgets a torn last line, and keeps the present state in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.topics: dict[str, TopicEntry] = {}
        self.offsets: dict[str, dict[tuple[str, int], Committed]] = {}
        self._reserved_ids = 0
        self._lines = 0
        if path.exists():
            whole = path.read_bytes()
            intact = whole[: whole.rfind(b"\n") + 1]
            for line in intact.splitlines():
                self._apply(json.loads(line))
            self._lines = intact.count(b"\n")
            os.truncate(path, len(intact))
        self._next_id = self._reserved_ids
        self._file = path.open("ab", buffering=0)

    def set_topic(self, name: str, partitions: int, configs: dict[str, str]) -> None:
        """Create a topic, or change its partitions or configs."""
        self._write({"topic": name, "partitions": partitions, "configs": configs})

    def delete_topic(self, name: str) -> None:
        """Forget a topic and every group's offsets in it."""
        self._write({"deleted": name})

    def set_start(self, topic: str, partition: int, offset: int) -> None:
        """Note that a log now starts at this offset; before the files go."""
        self._write({"start": [topic, partition, offset]})

    def commit(self, group: str, offsets: list[tuple[str, int, int, str]], now_ms: int) -> None:
        """Set a group's positions: (topic, partition, offset, metadata)."""
        self._write({"group": group, "at": now_ms, "offsets": offsets})

    def delete_group(self, group: str) -> None:
        """Forget a group's positions."""
        self._write({"group_deleted": group})

    def next_producer_id(self) -> int:
        """Return an id that no producer of this data folder ever had."""
        if self._next_id >= self._reserved_ids:
            self._write({"producer_ids": self._next_id + _PRODUCER_IDS_AT_ONCE})
        self._next_id += 1
        return self._next_id - 1

    def tidy(self, now_ms: int, live_groups: set[str]) -> None:
        """Forget groups without members that committed nothing for a week; shorten a long journal."""
        for group, offsets in list(self.offsets.items()):
            newest = max((c.at_ms for c in offsets.values()), default=0)
            if group not in live_groups and newest < now_ms - _OFFSETS_LIVE_MS:
                self.delete_group(group)
        live = sum(map(len, self.offsets.values())) + sum(1 + len(t.starts) for t in self.topics.values())
        if self._lines > _HISTORY + 2 * live:
            self._rewrite()

    def close(self) -> None:
        """Close the journal. Everything is on disk already."""
        self._file.close()

    def _write(self, change: dict[str, Any]) -> None:
        line = json.dumps(change, separators=(",", ":")).encode() + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        if self._file.write(line) != len(line):
            self._file.truncate(size)
            raise OSError("the journal could not be written: is the disk full?")
        self._lines += 1
        self._apply(change)

    def _apply(self, change: dict[str, Any]) -> None:
        match change:
            case {"topic": name, "partitions": partitions, "configs": configs}:
                starts = self.topics[name].starts if name in self.topics else {}
                self.topics[name] = TopicEntry(partitions, configs, starts)
            case {"deleted": name}:
                self.topics.pop(name, None)
                left = {g: {k: c for k, c in o.items() if k[0] != name} for g, o in self.offsets.items()}
                self.offsets = {group: offsets for group, offsets in left.items() if offsets}
            case {"start": [topic, partition, offset]}:
                self.topics[topic].starts[partition] = offset
            case {"group": group, "at": at, "offsets": offsets}:
                positions = self.offsets.setdefault(group, {})
                positions.update({(t, p): Committed(offset, meta, at) for t, p, offset, meta in offsets})
            case {"group_deleted": group}:
                self.offsets.pop(group, None)
            case {"producer_ids": reserved}:
                self._reserved_ids = reserved

    def _changes(self) -> Iterator[dict[str, Any]]:
        """Yield the changes that lead from nothing to the present state."""
        yield {"producer_ids": self._reserved_ids}
        for name, topic in self.topics.items():
            yield {"topic": name, "partitions": topic.partitions, "configs": topic.configs}
            for partition, offset in topic.starts.items():
                yield {"start": [name, partition, offset]}
        for group, positions in self.offsets.items():
            for (topic_name, partition), c in positions.items():
                offsets = [(topic_name, partition, c.offset, c.metadata)]
                yield {"group": group, "at": c.at_ms, "offsets": offsets}

    def _rewrite(self) -> None:
        aside = self._path.with_suffix(".tmp")
        lines = [json.dumps(change, separators=(",", ":")) for change in self._changes()]
        with aside.open("wb") as file:
            file.write("".join(line + "\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        self._file.close()
        aside.replace(self._path)
        self._file = self._path.open("ab", buffering=0)
        self._lines = len(lines)
