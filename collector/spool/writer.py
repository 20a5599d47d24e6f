"""Appends records to segment files; what ``append`` returned from survives any kill of this process.

One ``write()`` per record, ``fdatasync`` in the background (a power cut costs at most that interval), a new file
at every start and every ``segment_bytes``, and never more than ``bytes_max`` on disk. Full or failing disks are
refusals, not errors: the caller keeps the record and tries again. Records whose sync failed are written again.
"""

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

from collector.spool.acked import load_acked
from collector.spool.folder import segment_path, segments, size_bytes, sync_folder
from collector.spool.framing import Record, frame, next_record
from collector.spool.record import State, decode_flush

log = logging.getLogger(__name__)

SYNC_INTERVAL_S = 0.5


class SpoolRefused(Exception):  # noqa: N818 - a refusal is an expected answer, not an error of ours
    """The record is not in the spool: the cap is reached, or the disk is full or failing."""


class SpoolWriter:
    """The one writer of a spool folder. Not thread-safe but for the background sync.

    Attributes:
        state: the state behind the last record, as found at start and as ``append`` was told since.
    """

    def __init__(self, folder: Path, *, segment_bytes: int, bytes_max: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._bytes_max = bytes_max
        self._seq, self.state = recover(folder)
        self._used = size_bytes(folder)
        self._file = -1
        self._offset = 0
        self._guard = threading.Lock()  # the file may not be closed under a running fdatasync
        self._unsynced: list[tuple[int, bytes]] = []  # seq and record, of at most one segment
        self._sync_failed = False
        self._stop = threading.Event()
        self._syncer = threading.Thread(target=self._sync_forever, name="spool-sync", daemon=True)
        self._syncer.start()

    def append(self, payload: bytes, state: State) -> None:
        """Put one record into the spool. Raises ``SpoolRefused``, and then nothing of it stays behind."""
        record = frame(self._seq + 1, payload)
        if self._used + len(record) > self._bytes_max:
            self._used = size_bytes(self._folder)  # the shipper may have deleted delivered segments
            if self._used + len(record) > self._bytes_max:
                raise SpoolRefused("spool_max_bytes reached")
        try:
            if self._sync_failed:
                self._rewrite()
            if self._file < 0 or self._offset + len(record) > self._segment_bytes:
                self._roll()
            self._write(record)
        except OSError as error:
            raise SpoolRefused(f"disk: {error.strerror}") from None
        self._seq += 1
        self._used += len(record)
        self._unsynced.append((self._seq, record))
        self.state = state

    def close(self) -> None:
        """Sync and close. Safe to call twice."""
        self._stop.set()
        self._syncer.join()
        try:
            self._leave_file()
        except OSError as error:
            log.warning("event=spool_not_synced error=%s", error.strerror)
        self._close_file()

    def _leave_file(self) -> None:
        self._sync()
        if self._sync_failed:
            self._rewrite()
            self._sync()
        if self._sync_failed:
            log.warning("event=spool_not_synced effect=durable_only_against_kills")
        self._unsynced.clear()
        self._sync_failed = False
        self._close_file()

    def _roll(self) -> None:
        self._leave_file()
        path = segment_path(self._folder, self._seq + 1)
        # Not O_EXCL: a segment whose first write was refused is empty, and is taken over here.
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._offset = 0
        sync_folder(self._folder)

    def _rewrite(self) -> None:
        """Write the records whose sync failed into a new file, which takes the place behind the synced ones.

        Never a second sync of the same file: the kernel reports a failed write-back once and forgets it. The new
        one is synced in its turn. A reader that has met some of these records skips them. Raises ``OSError``, and
        then nothing has changed.
        """
        path = segment_path(self._folder, self._unsynced[0][0])
        aside = path.with_name(f".{path.name}.tmp")
        flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(aside, flags, 0o600)
        try:
            content = memoryview(b"".join(record for _, record in self._unsynced))
            size = len(content)
            while content:
                content = content[os.write(descriptor, content) :]
            aside.replace(path)
        except OSError:
            os.close(descriptor)
            aside.unlink(missing_ok=True)
            raise
        self._close_file()
        self._file, self._offset = descriptor, size
        self._sync_failed = False
        self._used = size_bytes(self._folder)

    def _write(self, record: bytes) -> None:
        view = memoryview(record)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            self._undo_torn_write()
            raise
        self._offset += len(record)

    def _undo_torn_write(self) -> None:
        try:
            os.ftruncate(self._file, self._offset)
            os.lseek(self._file, self._offset, os.SEEK_SET)
        except OSError:
            self._close_file()  # the next append starts a new segment; the reader skips the torn record
            self._sync_failed = bool(self._unsynced)

    def _close_file(self) -> None:
        with self._guard:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def _sync_forever(self) -> None:
        while not self._stop.wait(SYNC_INTERVAL_S):
            self._sync()

    def _sync(self) -> None:
        with self._guard:
            count = len(self._unsynced)
            if not count or self._file < 0 or self._sync_failed:
                return
            try:
                os.fdatasync(self._file)
            except OSError as error:
                log.warning("event=spool_sync_failed error=%s records=%d", error.strerror, count)
                self._sync_failed = True
            else:
                del self._unsynced[:count]


def recover(folder: Path) -> tuple[int, State]:
    """Return the last sequence number and the state behind it; cuts a torn record off the newest segment.

    Reads one segment as a rule. Looks into the acked file last: whatever the shipper deleted meanwhile is in it.
    """
    last: tuple[int, State] = (0, State())
    for first, path in reversed(segments(folder)):
        found = _last_state(first, path)
        if found is not None:
            last = found
            break
    acked = load_acked(folder)
    return max(last, (acked.seq, acked.state), key=lambda known: known[0])


def _last_state(first: int, path: Path) -> tuple[int, State] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None  # delivered and deleted a moment ago, or unreadable
    last, after, offset = None, first - 1, 0
    while isinstance(record := next_record(data, offset, after, final=True), Record):
        after, offset = record.seq, record.end
        try:
            last = (record.seq, decode_flush(record.payload).state)
        except ValueError:
            log.warning("event=spool_record_unreadable seq=%d", record.seq)
    if offset < len(data):
        log.warning("event=spool_torn_tail file=%s bytes=%d", path.name, len(data) - offset)
        with suppress(OSError):  # only tidiness: the next record begins a file of its own, readers skip the rest
            os.truncate(path, offset)
    return last
