"""Reads a spool in order while it is being written, and deletes what is delivered."""

import os
from itertools import pairwise
from pathlib import Path

from collector.spool.folder import segment_path, segments
from collector.spool.framing import Record, next_record

_CHUNK_BYTES = 1 << 20


class SpoolReader:
    """The records above ``after``, in order. Damage is skipped.

    Attributes:
        after: the last sequence number given out.
        skipped_bytes: damaged bytes met so far.
    """

    def __init__(self, folder: Path, after: int) -> None:
        self._folder = folder
        self.after = after
        self.skipped_bytes = 0
        self._first = -1  # first sequence number of the open segment
        self._file = -1
        self._data = b""  # what was read of the open segment, from _base on
        self._base = 0
        self._offset = 0  # within _data: behind the last record taken
        self._scanned = after  # the last sequence number met in the open segment, given out or not
        self._left_behind = False

    def read(self, *, final: bool) -> Record | None:
        """Return the next record, or None if there is none yet; ``final``: the writer has ended."""
        while self._file >= 0 or self._open_next():
            record = self._next_in_segment(final=final)
            if record is None and not self._left_behind:
                return None
            if record is not None and record.seq > self.after:
                self.after = record.seq
                return record
        return None

    def _next_in_segment(self, *, final: bool) -> Record | None:
        """Return the next record of the open segment; None at its end, having closed it if another one follows."""
        self._left_behind = False
        while True:
            record = next_record(self._data, self._offset, self._scanned, final=False)
            if isinstance(record, Record):
                return self._take(record)
            replaced = self._replaced()
            # Asked before reading to the end: then nothing can follow any more.
            newer = replaced or self._newer_exists()
            if self._fill():
                continue
            record = next_record(self._data, self._offset, self._scanned, final=final or newer)
            if isinstance(record, Record):
                return self._take(record)
            if newer:
                self.skipped_bytes += len(self._data) - self._offset
                self._close()
                self._left_behind = True
                self._first -= replaced  # then the same name comes next once more
            else:
                self._forget_tail()
            return None

    def rewind(self, after: int) -> None:
        """Start again behind sequence number ``after``."""
        self._close()
        self._first = -1
        self.after = after

    def delete_delivered(self, acked: int) -> int:
        """Delete segments that hold nothing above ``acked``; the newest stays. Returns how many were deleted."""
        found = segments(self._folder)
        deleted = 0
        for (_, path), (following, _) in pairwise(found):
            if following - 1 <= acked:
                path.unlink(missing_ok=True)
                deleted += 1
        return deleted

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._close()

    def _take(self, record: Record) -> Record:
        self._offset = record.end
        self._scanned = record.seq
        self.skipped_bytes += record.skipped
        return record

    def _fill(self) -> bool:
        chunk = os.pread(self._file, _CHUNK_BYTES, self._base + len(self._data))
        if chunk:
            self._data = self._data[self._offset :] + chunk
            self._base += self._offset
            self._offset = 0
        return bool(chunk)

    def _forget_tail(self) -> None:
        """Read an unfinished record afresh next time: its writer may take it back and write another one."""
        self._base += self._offset
        self._data, self._offset = b"", 0

    def _replaced(self) -> bool:
        """True if the open segment's name belongs to another file now: its writer gave this one up."""
        try:
            named = segment_path(self._folder, self._first).stat()
        except OSError:
            return False
        return not os.path.samestat(named, os.fstat(self._file))

    def _open_next(self) -> bool:
        found = segments(self._folder)
        if self._first < 0:  # the segment that holds the next record: the last one that does not begin above it
            begun = [entry for entry in found if entry[0] <= self.after + 1]
            candidates = begun[-1:] or found[:1]
        else:
            candidates = [entry for entry in found if entry[0] > self._first][:1]
        for first, path in candidates:
            try:
                self._file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                return False
            self._first = first
            self._scanned = first - 1
            self._data, self._base, self._offset = b"", 0, 0
            return True
        return False

    def _newer_exists(self) -> bool:
        return any(first > self._first for first, _ in segments(self._folder))

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
