"""The folder segments live in: the few file operations capture needs, and the lock that keeps others out."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO, Protocol

from collector.schema.errors import OperatorError

LOCK_NAME = ".capture.lock"
_TAIL_BYTES = 1 << 16


class Folder(Protocol):
    """Every operation that changes the disk, one by one, so that tests can stop between any two of them."""

    def names(self) -> list[str]:
        """Return the names of all files, in no particular order."""

    def create(self, name: str) -> BinaryIO:
        """Return a new, empty, writable file; an old one of that name is emptied."""

    def sync(self, file: BinaryIO) -> None:
        """Return when everything written to ``file`` is on the disk."""

    def rename(self, old: str, new: str) -> None:
        """Give a file its final name, in one step."""

    def sync_names(self) -> None:
        """Return when the folder's own entries are on the disk."""

    def remove(self, name: str) -> None:
        """Remove a file; no error if it is not there."""

    def last_line(self, name: str) -> bytes:
        """Return a file's last line, line break included; empty for an empty file."""

    def read(self, name: str) -> bytes:
        """Return all of a (small) file."""

    def facts(self, name: str) -> tuple[int, int]:
        """Return a file's size in bytes and when it was written last (us since the epoch)."""


class DiskFolder:
    """The real thing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """See ``Folder``."""
        return os.listdir(self.path)  # noqa: PTH208 - names, not paths, are wanted

    def create(self, name: str) -> BinaryIO:
        """See ``Folder``."""
        return (self.path / name).open("wb", buffering=1 << 18)

    def sync(self, file: BinaryIO) -> None:
        """See ``Folder``."""
        file.flush()
        os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> None:
        """See ``Folder``."""
        (self.path / old).rename(self.path / new)

    def sync_names(self) -> None:
        """See ``Folder``."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, name: str) -> None:
        """See ``Folder``."""
        (self.path / name).unlink(missing_ok=True)

    def last_line(self, name: str) -> bytes:
        """See ``Folder``."""
        return last_line(self.path / name)

    def read(self, name: str) -> bytes:
        """See ``Folder``."""
        return (self.path / name).read_bytes()

    def facts(self, name: str) -> tuple[int, int]:
        """See ``Folder``."""
        found = (self.path / name).stat()
        return found.st_size, found.st_mtime_ns // 1000


def last_line(path: Path) -> bytes:
    """Return a file's last line, line break included, reading only its tail."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        want = _TAIL_BYTES
        while True:
            file.seek(max(0, size - want))
            tail = file.read()
            start = tail.rfind(b"\n", 0, -1)
            if start >= 0 or want >= size:
                return tail[start + 1 :]
            want *= 8


def open_folder(path: Path) -> DiskFolder:
    """Return the folder, made if absent. Raises ``OperatorError`` if it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".capture.probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OperatorError(f"cannot write to the folder {path}: {error.strerror}; choose another --out") from None
    return DiskFolder(path)


def lock_folder(path: Path) -> BinaryIO:
    """Return the lock that makes this process the folder's only capture, held until the file is closed.

    The kernel frees it when the process dies, however it dies. Raises ``OperatorError`` if another has it, or if
    it cannot be had (its file may belong to somebody else).
    """
    try:
        file = (path / LOCK_NAME).open("ab")
    except OSError as error:
        raise OperatorError(f"cannot lock {path / LOCK_NAME}: {error.strerror}; choose another --out") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OperatorError(
            f"another capture is writing to {path}; stop it, or give this one its own --out and --group"
        ) from None
    return file
