"""What is done to rows before others may have them: sessions left out, or hashed again under a key of their own. Pure.

With a key for one publication, published tags can be joined neither with the live system nor with another publication.
Request ids would join a published row with the live one just as well, so they are hashed along.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streams.capture.rows import AT, Row

KEY_BYTES = 32

_ID = AT["id"]
_SESSION = AT["session"]
_SORT_ID = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What to do: leave sessions out, or hash them and the request ids with ``key``; neither leaves rows as captured.

    ``key_from`` says in the manifest where the key came from: a file, or chance (then nobody has it).
    """

    without_sessions: bool = False
    key: bytes | None = None
    key_from: str | None = None

    def apply(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows as they may be published, in the same order."""
        if not rows or (self.key is None and not self.without_sessions):
            return rows
        columns: list[Any] = list(zip(*rows, strict=True))
        if self.key is not None:
            columns[_ID] = columns[_SORT_ID] = [rehashed(self.key, "id", value) for value in columns[_ID]]
        if self.without_sessions:
            columns[_SESSION] = [None] * len(rows)
        elif self.key is not None:
            key = self.key
            columns[_SESSION] = [None if v is None else rehashed(key, "session", v) for v in columns[_SESSION]]
        return list(zip(*columns, strict=True))

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of it; the key's fingerprint tells whether two publications share one."""
        sessions = "left out" if self.without_sessions else "as captured" if self.key is None else "hashed again"
        return {
            "sessions": sessions,
            "request_ids": "as captured" if self.key is None else "hashed again",
            "key_from": self.key_from,
            "key_fingerprint": None if self.key is None else fingerprint(self.key),
        }


def rehashed(key: bytes, what: str, value: str) -> str:
    """Return ``value`` under a publication's key, 128 bits as hex; ``what`` keeps ids and sessions apart."""
    return hashlib.blake2b(value.encode(), key=key, person=what.encode(), digest_size=16).hexdigest()


def fingerprint(key: bytes) -> str:
    """Return what says which key it is, without being of use for finding it."""
    return hashlib.blake2b(key=key, person=b"fingerprint", digest_size=8).hexdigest()
