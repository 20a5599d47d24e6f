"""Results on their way to Kafka: known to be safe, or sent again. Never sees a clock or a library."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

RETRY_PAUSE_S = 0.5
ON_THE_WAY_MAX = 5_000  # about 10 MB; whoever makes more waits until Kafka has them

# Hands a message to the producer at once (no waiting) and returns what resolves when Kafka has it.
Send = Callable[["Parcel"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message: where to, under which key, and what."""

    topic: str
    key: bytes
    value: bytes


Sent = tuple[Parcel, "asyncio.Future[Any]"]


class Outbox:
    """Keeps every message until Kafka has it.

    ``put`` never waits. Who makes many results waits for ``room`` now and then.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._pending: list[Sent] = []
        self._delivering = asyncio.Lock()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, parcel: Parcel) -> None:
        """Send ``parcel``."""
        self._pending.append(self._sent(parcel))

    async def room(self) -> None:
        """Return when no more than ``ON_THE_WAY_MAX`` messages are waiting to be seen delivered."""
        if len(self._pending) > ON_THE_WAY_MAX:
            await self.delivered()

    async def delivered(self) -> None:
        """Return when Kafka has everything put so far; what failed for a passing reason is sent again.

        What Kafka refuses for good (its own error says it is not worth a retry) is dropped and counted in
        ``refused``: it must not hold up the state for ever.
        """
        async with self._delivering:  # two may wait: each for all that was put before
            batch, self._pending = self._pending, []
            try:
                while batch:
                    await asyncio.wait([future for _, future in batch])
                    batch = [self._sent(parcel) for parcel, future in batch if self._failed(future)]
                    if batch:
                        await asyncio.sleep(RETRY_PAUSE_S)
            finally:
                self._pending = batch + self._pending  # given up in between: still ours to deliver

    def _sent(self, parcel: Parcel) -> Sent:
        return parcel, asyncio.ensure_future(self._send(parcel))

    def _failed(self, future: asyncio.Future[Any]) -> bool:
        if future.cancelled():
            return True
        error = future.exception()
        if error is None:
            return False
        if getattr(error, "retriable", True):
            return True
        self.refused += 1
        return False
