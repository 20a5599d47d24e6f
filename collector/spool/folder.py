"""The spool's folder: names, permissions, the lock, and files that are replaced whole or not at all."""

import fcntl
import os
import re
import time
from pathlib import Path

from collector.schema.errors import OperatorError

_SEGMENT = re.compile(r"[0-9]{20}\.seg")
_LOCK_POLL_S = 0.1


def segment_path(folder: Path, first_seq: int) -> Path:
    """Return the name of the segment whose first record is ``first_seq``; names sort as sequence numbers."""
    return folder / f"{first_seq:020d}.seg"


def segments(folder: Path) -> list[tuple[int, Path]]:
    """Return ``(first seq, path)`` of every segment, oldest first."""
    paths = sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))
    return [(int(path.name[:20]), path) for path in paths]


def size_bytes(folder: Path) -> int:
    """Return the bytes all segments take; one that vanishes meanwhile counts nothing."""
    total = 0
    for _, path in segments(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def prepare(folder: Path) -> None:
    """Make the spool folder, for this user only. Raises ``OperatorError`` if it cannot be used."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        # A full disk is an outage, not a mistake: the agent starts and holds events in memory.
        if not folder.is_dir() or error.errno not in (28, 122):
            raise OperatorError(f"cannot write in spool_dir {folder}: {error.strerror}") from None


def lock(folder: Path, *, wait_s: float) -> int:
    """Return a descriptor that holds the folder's lock; children that inherit it hold the lock as well.

    Waits ``wait_s`` for the last children of a killed agent. Raises ``OperatorError`` if another agent has it.
    """
    try:
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OperatorError(f"cannot write in spool_dir {folder}: {error.strerror}") from None
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise OperatorError(
                    f"spool_dir {folder} is used by another running agent; stop it, or give this one its own"
                ) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return descriptor


def replace(path: Path, content: bytes, *, durable: bool) -> None:
    """Write ``content`` under ``path`` so that a reader, or a restart, sees the old file or the new one."""
    aside = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content)
        while left:  # a disk that is nearly full takes a part, without an error
            left = left[os.write(descriptor, left) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside.replace(path)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names created or removed in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
