"""Results on their way to Kafka: known to be safe, or sent again. Never sees a clock or a library."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

RETRY_PAUSE_S = 0.5

# Hands a message to the producer at once (no waiting) and returns what resolves when Kafka has it.
Send = Callable[["Parcel"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message: where to, under which key, and what."""

    topic: str
    key: bytes
    value: bytes


class Outbox:
    """Keeps every message until Kafka has it.

    ``put`` never waits, so a state change and its results are one step for everybody else in the loop.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._pending: list[tuple[Parcel, Awaitable[Any]]] = []
        self.refused = 0

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, parcel: Parcel) -> None:
        """Send ``parcel``."""
        self._pending.append((parcel, self._send(parcel)))

    async def delivered(self) -> None:
        """Return when Kafka has everything put so far; what failed for a passing reason is sent again.

        What Kafka refuses for good (its own error says it is not worth a retry) is dropped and counted in
        ``refused``: it must not hold up the state for ever.
        """
        pending, self._pending = self._pending, []
        while pending:
            outcomes = await asyncio.gather(*(future for _, future in pending), return_exceptions=True)
            failed = []
            for (parcel, _), outcome in zip(pending, outcomes, strict=True):
                if not isinstance(outcome, BaseException):
                    continue
                if getattr(outcome, "retriable", True):
                    failed.append(parcel)
                else:
                    self.refused += 1
            if failed:
                await asyncio.sleep(RETRY_PAUSE_S)
            pending = [(parcel, self._send(parcel)) for parcel in failed]
