"""Between batcher and spool: writes each flush, and decides what happens while the spool refuses.

Refused flushes wait in memory, in order, bounded. What does not fit is dropped, newest first, and counted; but
a flush with recorded events is never dropped: its source waits instead (``blocked``).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from collector.spool.record import Flush, Message, State, encode_flush
from collector.spool.writer import SpoolRefused

RING_BYTES = 4 * 1024 * 1024


class Appender(Protocol):
    """Where records go."""

    state: State

    def append(self, payload: bytes, state: State) -> None:
        """Keep a record or raise ``SpoolRefused``."""


class Outbox:
    """Flushes on their way into the spool.

    Attributes:
        dropped: events dropped since the spool was made.
        refusal: why the spool refuses at present, or None.
    """

    def __init__(self, spool: Appender, *, ring_bytes: int) -> None:
        self._spool = spool
        self._ring_bytes = ring_bytes
        self._ring: deque[tuple[bytes, State, int, bool]] = deque()  # payload, state, events, recorded
        self._ring_size = 0
        self._last = spool.state
        self.dropped = spool.state.dropped
        self.refusal: str | None = None

    @property
    def blocked(self) -> bool:
        """True while flushes wait in memory: recorded sources should wait too."""
        return bool(self._ring)

    @property
    def spooled(self) -> int:
        """Events written to the spool since it was made."""
        return self._spool.state.spooled

    @property
    def waiting(self) -> int:
        """Events waiting in memory."""
        return sum(events for _, _, events, _ in self._ring)

    def checkpoint(self, source: str) -> Mapping[str, Any] | None:
        """Return where ``source`` goes on, as the spool knows it."""
        return self._spool.state.checkpoints.get(source)

    def count_dropped(self, n: int) -> None:
        """Count events that were dropped before they became messages."""
        self.dropped += n

    def put(self, messages: Sequence[Message], checkpoints: Mapping[str, Mapping[str, Any]]) -> bool:
        """Take one flush; False if it was dropped (and counted). ``checkpoints``: of recorded sources in it."""
        events = sum(message.n for message in messages)
        state = State(
            spooled=self._last.spooled + events,
            dropped=self.dropped,
            checkpoints={**self._last.checkpoints, **checkpoints},
        )
        payload = encode_flush(Flush(messages=messages, state=state))
        if not self._ring and self._append(payload, state):
            self._last = state
            return True
        if not checkpoints and self._ring_size + len(payload) > self._ring_bytes:
            self.dropped += events
            return False
        self._ring.append((payload, state, events, bool(checkpoints)))
        self._ring_size += len(payload)
        self._last = state
        return True

    def retry(self) -> None:
        """Write what waits, oldest first, as far as the spool takes it."""
        while self._ring and self._append(self._ring[0][0], self._ring[0][1]):
            self._ring_size -= len(self._ring.popleft()[0])

    def abandon(self) -> int:
        """Give up what still waits, at the end. Returns live events lost, now counted; recorded ones come again."""
        lost = sum(events for _, _, events, recorded in self._ring if not recorded)
        self._ring.clear()
        self._ring_size = 0
        self.dropped += lost
        return lost

    def _append(self, payload: bytes, state: State) -> bool:
        try:
            self._spool.append(payload, state)
        except SpoolRefused as refusal:
            self.refusal = str(refusal)
            return False
        self.refusal = None
        return True
