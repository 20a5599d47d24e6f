"""Segments on disk, exactly once: written aside, fsynced, renamed, folder fsynced; then Kafka may forget.

The rules, in the order in which a crash may test them:
- an offset counts as captured only when a finished file's name covers it;
- a file gets its final name only when all of its bytes are on the disk;
- an offset may be committed only when that name is on the disk too;
- at a restart the newest finished file says where to go on, and everything unfinished is removed.
Segments end by what is in them (events, bytes, event time), never by a clock: this file never reads one.
"""

import contextlib
import logging
from dataclasses import dataclass
from typing import BinaryIO

from streams.capture.files import Folder
from streams.capture.footer import Footer
from streams.capture.ledger import BadLedger, Removed, ledger_name, load
from streams.capture.retention import Retention
from streams.capture.segments import BadSegment, SegmentBuilder, SegmentName, parse_footer, parse_name
from streams.capture.segments import temporary_name as temporary
from streams.export.tally import CaptureTally

_log = logging.getLogger(__name__)

# A trace played at full speed passes a minute of event time with each message; without a floor it would
# leave one file per message. Live agents send at least one message a second, so the floor costs them nothing.
_MESSAGES_MIN = 30
_MESSAGES_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a segment is full: so many events, so much event time (us), or so many bytes."""

    events: int = 100_000
    span_us: int = 60_000_000
    bytes: int = 64 * 1024 * 1024

    def due(self, segment: SegmentBuilder) -> bool:
        """True if ``segment`` should be finished now. One without any news may grow longer: nobody waits for it."""
        if segment.rows >= self.events or segment.bytes >= self.bytes or segment.messages >= _MESSAGES_MAX:
            return True
        old = segment.messages >= _MESSAGES_MIN and segment.span_us() >= self.span_us
        return old and segment.has_news()


@dataclass(slots=True)
class _Open:
    segment: SegmentBuilder
    file: BinaryIO
    name: str


class SegmentWriter:
    """All open segments of one topic in one folder; ``retention`` removes old finished ones, None never does.

    Attributes:
        tally: what this run has seen and done, for whoever watches it.
    """

    def __init__(self, folder: Folder, topic: str, rotation: Rotation, retention: Retention | None = None) -> None:
        self._folder = folder
        self._retention = retention
        self._topic = topic
        self._rotation = rotation
        self._open: dict[int, _Open] = {}
        self._unsynced: dict[int, int] = {}
        self._new: list[tuple[SegmentName, Footer]] = []  # for retention to take over
        self._commit: dict[int, int] = {}
        self._counted: dict[int, int] = {}  # messages before these offsets are in the tally
        self.tally = CaptureTally()
        self._next = self._recover()

    def next_offsets(self) -> dict[int, int]:
        """Return, per partition begun so far, the next offset it needs (after a restart: by its files)."""
        return dict(self._next)

    def start(self, partition: int, offset: int) -> None:
        """Begin a partition at ``offset`` (or skip to it, where Kafka no longer has what lies before)."""
        self._next[partition] = offset

    def add(self, partition: int, offset: int, body: bytes) -> None:
        """Take the next message of a partition; one that was taken before is ignored.

        Raises ``OSError`` if the disk refuses: call ``abandon`` and read the partition again from there.
        """
        if offset < self._next.get(partition, 0):
            return
        current = self._open.get(partition) or self._begin(partition, offset)
        unreadable = current.segment.unreadable
        line = current.segment.add(offset, body)
        if offset >= self._counted.get(partition, 0):  # else read again: the disk refused it the first time
            self._counted[partition] = offset + 1
            self.tally.messages += 1
            self.tally.unreadable += current.segment.unreadable - unreadable
        if line:
            current.file.write(line)
        self._next[partition] = offset + 1
        if self._rotation.due(current.segment):
            self.finish(partition)

    def finish(self, partition: int) -> None:
        """Give a partition's open segment its final name; no-op without one. Raises ``OSError`` like ``add``."""
        current = self._open.get(partition)
        if current is None:
            return
        segment = current.segment
        current.file.write(segment.footer())
        self._folder.sync(current.file)
        name = SegmentName(topic=self._topic, partition=partition, first=segment.first, last=segment.last)
        self._folder.rename(current.name, str(name))
        # From here on the file is part of the trace: it must not be abandoned, whatever fails next.
        del self._open[partition]
        self._unsynced[partition] = segment.last + 1
        if self._retention is not None:
            self._new.append((name, segment.summary()))
        current.file.close()
        self.tally.segments += 1
        self.tally.events += segment.rows
        self.tally.newest = str(name)
        _log.info("event=segment name=%s rows=%d messages=%d", name, segment.rows, segment.messages)
        self.settle()

    def open_partitions(self) -> list[int]:
        """Return the partitions with an unfinished segment."""
        return list(self._open)

    def settle(self) -> None:
        """Put finished names on the disk; what they cover may then be committed. Raises ``OSError``."""
        if self._unsynced:
            self._folder.sync_names()
            self._commit.update(self._unsynced)
            self._unsynced.clear()

    def tidy(self) -> int:
        """Remove segments that are over the limits; return how many. Raises ``OSError``: nothing is lost by it."""
        if self._retention is None:
            return 0
        while self._new and not self._unsynced:
            self._retention.add(*self._new[-1])
            self._new.pop()
        return self._retention.enforce()

    def abandon(self, partition: int) -> int:
        """Throw a partition's open segment away; return the offset to read again from. Raises nothing."""
        current = self._open.pop(partition, None)
        if current is not None:
            with contextlib.suppress(OSError):  # its buffer may be what the disk refused
                current.file.close()
            with contextlib.suppress(OSError):
                self._folder.remove(current.name)
            self._next[partition] = current.segment.first
        return self._next.get(partition, 0)

    def committable(self) -> dict[int, int]:
        """Return, per partition, the offset Kafka may be told: all before it is safely on the disk."""
        return dict(self._commit)

    def committed(self, offsets: dict[int, int]) -> None:
        """Forget what was committed; newer offsets stay."""
        for partition, offset in offsets.items():
            if self._commit.get(partition) == offset:
                del self._commit[partition]

    def _begin(self, partition: int, offset: int) -> _Open:
        # Offsets that Kafka skips (transaction markers) belong to the segment; lost ones are told by `start`.
        first = self._next.get(partition, offset)
        segment = SegmentBuilder(self._topic, partition, first)
        name = temporary(self._topic, partition, first)
        current = _Open(segment, self._folder.create(name), name)
        self._open[partition] = current
        current.file.write(segment.header())
        return current

    def _recover(self) -> dict[int, int]:
        removed = self._read_ledger()
        newest = removed.next_offsets()
        leftovers = 0
        for text in sorted(self._folder.names()):
            name = parse_name(text)
            if text.startswith(f"{self._topic}-") and text.endswith(".seg.tmp"):
                self._folder.remove(text)
                leftovers += 1
            elif name is None or name.topic != self._topic:
                continue
            elif removed.covers(name):  # the last run died between the ledger and the file
                self._folder.remove(text)
                leftovers += 1
            elif (footer := self._whole(name)) is not None:
                newest[name.partition] = max(newest.get(name.partition, 0), name.last + 1)
                if self._retention is not None:
                    self._retention.add(name, footer)
        if newest or leftovers:
            # The last run may have died between a rename and the folder's fsync.
            self._folder.sync_names()
            self._commit.update(newest)
            _log.info("event=resume next_offsets=%s leftovers_removed=%d", newest, leftovers)
        return newest

    def _read_ledger(self) -> Removed:
        text = ledger_name(self._topic)
        removed = Removed()
        self._folder.remove(f"{text}.tmp")
        try:
            removed = load(self._topic, self._folder.read(text))
        except FileNotFoundError:
            pass
        except BadLedger as error:
            _log.error('event=damaged_ledger error="%s" action=renamed_to_.damaged', error)
            self._folder.rename(text, f"{text}.damaged")
        if self._retention is not None:
            self._retention.removed = removed
        return removed

    def _whole(self, name: SegmentName) -> Footer | None:
        """Return the footer of a whole file; one without is moved out of the way, to be read again."""
        try:
            footer = parse_footer(self._folder.last_line(str(name)))
            if footer.last_offset == name.last:
                return footer
        except BadSegment:
            pass
        _log.error("event=damaged_segment name=%s action=renamed_to_.damaged", name)
        self._folder.rename(str(name), f"{name}.damaged")
        return None
