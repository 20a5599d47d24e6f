"""Session ids become keyed tags: the same session gives the same tag, and no tag gives back a session."""

import hashlib
import os
import secrets
from pathlib import Path

KEY_BYTES = 32
KEY_FILE = "session.key"


def load_key(folder: Path) -> bytes:
    """Return the key in ``folder``; makes one, readable by this user only, where there is none."""
    path = folder / KEY_FILE
    try:
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    except FileNotFoundError:
        pass
    key = secrets.token_bytes(KEY_BYTES)
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside.replace(path)
    return key


def session_tag(key: bytes, session: str) -> str:
    """Return the 128-bit keyed hash of ``session`` as hex."""
    raw = session.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(raw, key=key, digest_size=16).hexdigest()
