"""Session ids become keyed tags: the same session gives the same tag, and no tag gives back a session.

A key may be replaced every few days. The old one is overwritten, so tags from before can be made again by nobody, and
tags from before and after cannot be joined. There is no grace: a session that runs on at that moment goes on under a
second tag, once in so many days. Keeping both keys for a while would link the two for everybody, which is what the
replacement is to prevent.
"""

import hashlib
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

KEY_BYTES = 32
KEY_FILE = "session.key"
DAY_US = 86_400_000_000
RETRY_US = 60_000_000


def load_key(folder: Path) -> bytes:
    """Return the key in ``folder``; makes one, readable by this user only, where there is none."""
    path = folder / KEY_FILE
    try:
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    except FileNotFoundError:
        pass
    return make_key(folder)


def make_key(folder: Path) -> bytes:
    """Put a new key in the place of the one in ``folder``, in one step, and return it. Raises ``OSError``."""
    path = folder / KEY_FILE
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


class SessionTags:
    """The tags of one agent: under one key for all its sources, replaced when it is older than ``days`` (0: never).

    The age counts from when the key's file was written, so that it goes on over restarts. Where the disk refuses a new
    key the old one stays in use, and a minute later it is tried again.
    """

    def __init__(self, folder: Path, *, days: float, now_us: Callable[[], int]) -> None:
        self._folder = folder
        self._now_us = now_us
        self._life_us = int(days * DAY_US)
        self._key = load_key(folder)
        self._until_us = (folder / KEY_FILE).stat().st_mtime_ns // 1000 + self._life_us

    def tag(self, session: str) -> str:
        """Return the tag of ``session``, now."""
        if self._life_us and (now_us := self._now_us()) >= self._until_us:
            self._replace(now_us)
        return session_tag(self._key, session)

    def _replace(self, now_us: int) -> None:
        try:
            self._key = make_key(self._folder)
        except OSError as error:
            log.warning("event=session_key_kept error=%r retry_s=%d", error.strerror, RETRY_US // 1_000_000)
            self._until_us = now_us + RETRY_US
            return
        self._until_us = now_us + self._life_us
        log.info("event=session_key_replaced")


def session_tag(key: bytes, session: str) -> str:
    """Return the 128-bit keyed hash of ``session`` as hex."""
    raw = session.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(raw, key=key, digest_size=16).hexdigest()
