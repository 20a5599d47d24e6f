"""One segment: a file of consecutive batches and a sparse index of it. Records are never kept in memory."""

import mmap
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from burstwatch.broker.batches import HEAD_BYTES, Head, crc_matches, head_at, heads

_INDEX_STEP = 16_384  # bytes between index entries: 24 bytes of memory per 16 KiB on disk


class Segment:
    """Batches from offset `base` on. The file of the newest segment grows, older ones only shrink (compaction).

    An index is built as batches are appended, and for an older file when it is first read.
    """

    def __init__(self, folder: Path, base: int) -> None:
        self.base = base
        self.path = folder / f"{base:020d}.log"
        self.size = self.path.stat().st_size if self.path.exists() else 0
        self.end = base  # the offset after the last batch; right once indexed
        self._max_timestamp = -1
        self._offsets = array("q")
        self._positions = array("q")
        self._is_indexed = self.size == 0
        self._file: int | None = None
        self._is_torn = False  # the file ends in a part of a batch that could not be taken back yet

    @property
    def max_timestamp(self) -> int:
        """The newest record time in ms; -1 if there are no records."""
        self._index()
        return self._max_timestamp

    def append(self, batch: bytes, head: Head) -> None:
        """Write one batch. When this returns, kill -9 of the broker does not lose it. Raises OSError."""
        if self._file is None:
            self._file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if self._is_torn:
            os.ftruncate(self._file, self.size)
            self._is_torn = False
        try:
            left = memoryview(batch)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self._is_torn = True
            os.ftruncate(self._file, self.size)  # the disk is full: keep the file a row of whole batches
            self._is_torn = False
            raise
        self._add_to_index(self.size, head)
        self.size += head.size

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> bytes:
        """Return whole batches from the one holding `offset` (or the next one there is), up to `max_bytes`.

        A first batch larger than that is returned only if `at_least_one` asks for it.
        """
        self._index()
        if offset >= self.end:
            return b""
        start = self._positions[max(0, bisect_right(self._offsets, offset) - 1)]
        with self.path.open("rb", buffering=0) as file:
            window = os.pread(file.fileno(), min(max_bytes + _INDEX_STEP + HEAD_BYTES, self.size - start), start)
            first = next((at, head) for at, head in heads(window) if head.last_offset >= offset)
            begin, stop = first[0], first[0]
            while (head := head_at(window, stop)) and stop + head.size <= min(len(window), begin + max_bytes):
                stop += head.size
            if stop == begin and at_least_one:
                return os.pread(file.fileno(), first[1].size, start + begin)
            return window[begin:stop]

    def batches(self) -> Iterator[tuple[Head, bytes]]:
        """Yield every batch with its head, from the file as it is now."""
        with self._mapped() as view:
            at = 0
            while at < self.size and (head := head_at(view, at)) is not None:
                yield head, view[at : at + head.size]
                at += head.size

    def recover(self) -> Iterator[Head]:
        """Yield the heads of all intact batches and cut off the torn end a crash may have left."""
        intact = 0
        self.forget()
        for head, batch in self.batches():
            if not crc_matches(batch, head) or head.base_offset < self.end:
                break
            self._add_to_index(intact, head)
            intact += head.size
            yield head
        if intact < self.size:
            os.truncate(self.path, intact)
            self.size = intact
        self._is_indexed = True

    def replace(self, compacted: Path) -> None:
        """Take over a file with fewer batches, in one step that a crash cannot halve."""
        compacted.replace(self.path)
        self.size = self.path.stat().st_size
        self.forget()

    def forget(self) -> None:
        """Drop the index; the next read builds it again."""
        self._offsets, self._positions = array("q"), array("q")
        self.end, self._max_timestamp, self._is_indexed = self.base, -1, self.size == 0

    def close(self) -> None:
        """Close the file; the segment can still be read, and appended to again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _index(self) -> None:
        if not self._is_indexed:
            with self._mapped() as view:
                for at, head in heads(view):
                    self._add_to_index(at, head)
            self._is_indexed = True

    def _add_to_index(self, at: int, head: Head) -> None:
        if not self._positions or at - self._positions[-1] >= _INDEX_STEP:
            self._offsets.append(head.base_offset)
            self._positions.append(at)
        self.end = head.last_offset + 1
        self._max_timestamp = max(self._max_timestamp, head.max_timestamp)

    @contextmanager
    def _mapped(self) -> Iterator[mmap.mmap | bytes]:
        if self.size == 0:
            yield b""
            return
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ) as view,
        ):
            yield view
