"""The log of one partition: a row of segments, the newest open for appending.

Offsets are given once and never change. This file never reads a clock.
"""

import json
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from burstwatch.broker.batches import checked, placed, records_of
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.producers import Producers
from burstwatch.broker.segment import Segment
from burstwatch.broker.topic_configs import TopicConfigs


class Appended(NamedTuple):
    """Where a batch is, and the log's own time for it (-1: the records keep the producer's times)."""

    base_offset: int
    append_time_ms: int = -1


class PartitionLog:
    """Opens the log in `folder`, cuts off a torn end, and knows again what its producers sent last.

    Attributes:
        start: the first offset a reader may ask for; kept by the caller, because deletion must survive a crash.
        cleaned_to: compaction has nothing to gain below this offset.
        watchers: called after every append, and when the topic is deleted.
    """

    def __init__(self, folder: Path, configs: TopicConfigs, *, start: int = 0) -> None:
        self._folder = folder
        self.configs = configs
        self.start = start
        self.cleaned_to = 0
        self.watchers: set[Callable[[], None]] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.compacted"):
            leftover.unlink()
        self.segments = [Segment(folder, base) for base in sorted(int(f.stem) for f in folder.glob("*.log"))]
        if not self.segments:
            self.segments = [Segment(folder, start)]
        self._producers = self._load_producers()
        for head in self.segments[-1].recover():
            self._producers.on_appended(head)
        self.drop_before(start)  # a crash may have come between noting the start and deleting

    @property
    def end(self) -> int:
        """The offset the next record gets."""
        return self.segments[-1].end

    def append(self, records: bytes | None, now_ms: int) -> Appended:
        """Store one batch and return its offset; a batch sent twice keeps the offset it has.

        Raises:
            Refused: the batch is not acceptable, or the disk is (STORAGE_ERROR: the producer tries again).
        """
        head = checked(records, max_bytes=self.configs.max_message_bytes)
        batch = records or b""
        duplicate_of = self._producers.offset_of_duplicate(head)
        if duplicate_of is not None:
            return Appended(duplicate_of)
        if self.configs.compacts:
            _check_keys(batch)
        now = now_ms if self.configs.uses_append_time else None
        if now is None and head.max_timestamp > now_ms + self.configs.most_ahead_ms:
            raise Refused(Code.INVALID_TIMESTAMP, "a record's time is too far ahead of this machine's")
        base = self.end
        head = head._replace(
            base_offset=base,
            last_offset=base + head.last_offset - head.base_offset,
            max_timestamp=head.max_timestamp if now is None else now,
        )
        try:
            if self._is_full(head.size):
                self.roll()
            self.segments[-1].append(placed(batch, base, append_time_ms=now), head)
        except OSError as error:
            raise Refused(Code.STORAGE_ERROR, f"cannot write: {error.strerror}") from error
        self._producers.on_appended(head)
        self.wake()
        return Appended(base, -1 if now is None else now)

    def wake(self) -> None:
        """Tell those who wait for records."""
        for call in tuple(self.watchers):
            call()

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool = True) -> bytes:
        """Return whole batches from `offset` on, up to `max_bytes`. The first may begin below `offset`.

        Raises:
            Refused: the offset is not in the log (OFFSET_OUT_OF_RANGE).
        """
        if not self.start <= offset <= self.end:
            raise Refused(Code.OFFSET_OUT_OF_RANGE, f"offset {offset} is not in {self.start}..{self.end}")
        first = max(0, bisect_right(self.segments, offset, key=lambda s: s.base) - 1)
        for segment in self.segments[first:]:  # a compacted segment may end before its successor begins
            if batches := segment.read(max(offset, segment.base), max_bytes, at_least_one=at_least_one):
                return batches
            if segment.end > offset:
                break  # there is a batch, but it is larger than the reader's room
        return b""

    def offset_at(self, timestamp_ms: int) -> tuple[int, int]:
        """Return (timestamp, offset) of the first record at or after a time; (-1, -1) if there is none."""
        for segment in self.segments:
            if segment.max_timestamp < timestamp_ms:
                continue
            for head, batch in segment.batches():
                if head.max_timestamp >= timestamp_ms and head.last_offset >= self.start:
                    for record in records_of(batch):
                        if record.timestamp >= timestamp_ms and record.offset >= self.start:
                            return record.timestamp, record.offset
        return -1, -1

    def roll(self) -> None:
        """Close the newest segment and open the next; what the producers sent is noted beside it."""
        note = self._folder / f"{self.end:020d}.producers"
        aside = note.with_suffix(".tmp")
        aside.write_text(json.dumps(self._producers.snapshot()))
        aside.replace(note)
        self.segments[-1].close()
        self.segments.append(Segment(self._folder, self.end))
        self.segments[-1].path.touch()  # the next start must find it, or offsets could be given again
        for older in self._folder.glob("*.producers"):
            if older != note:
                older.unlink()

    def expired(self, now_ms: int) -> int:
        """Return the start this log should have by its retention; roll first what is due.

        Only whole segments expire, oldest first, as in Kafka: the newest record in them decides.
        """
        configs, newest = self.configs, self.segments[-1]
        oldest_allowed = now_ms - configs.retention_ms if configs.deletes and configs.retention_ms >= 0 else -1
        if newest.size and newest.max_timestamp < oldest_allowed:
            self.roll()
        start, total = self.start, sum(segment.size for segment in self.segments)
        for segment, following in zip(self.segments, self.segments[1:], strict=False):
            total -= segment.size
            is_over = configs.deletes and 0 <= configs.retention_bytes <= total
            if not is_over and segment.max_timestamp >= oldest_allowed:
                break
            start = max(start, following.base)
        return start

    def drop_before(self, start: int) -> None:
        """Make `start` the first offset and delete the files that hold nothing else."""
        self.start = max(self.start, start)
        while len(self.segments) > 1 and self.segments[1].base <= self.start:
            self.segments.pop(0).path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file. Everything is on disk already."""
        self.segments[-1].close()

    def _is_full(self, more: int) -> bool:
        newest = self.segments[-1]
        return newest.size > 0 and newest.size + more > self.configs.segment_bytes

    def _load_producers(self) -> Producers:
        note = self._folder / f"{self.segments[-1].base:020d}.producers"
        try:
            return Producers.restore(json.loads(note.read_text()))
        except (OSError, ValueError, TypeError):
            return Producers()  # the first segment has none; a lost note costs de-duplication, not records


def _check_keys(batch: bytes) -> None:
    try:
        keyless = any(record.key is None for record in records_of(batch))
    except ValueError as error:
        raise Refused(Code.CORRUPT_MESSAGE, str(error)) from error
    if keyless:
        raise Refused(Code.INVALID_RECORD, "a compacted topic takes no record without a key")
