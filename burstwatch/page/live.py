"""The feed as it grows: from a reader's thread into the server's loop, and to whoever waits for news."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

import orjson

from burstwatch.page.feed import Feed, note_all

log = logging.getLogger(__name__)

_SLICE = 200  # messages taken without letting the loop do anything else; a few ms


class LiveFeed:
    """A ``Feed`` with what is known of Kafka. Lives in one event loop; only ``take`` and ``kafka`` come from a thread.

    Attributes:
        boot: tells this process's versions from those of the one before it.
        changes: rises with every change of the feed or of what is known of Kafka.
    """

    def __init__(self, feed: Feed, kafka_address: str, clock: Callable[[], float]) -> None:
        self._feed = feed
        self._address = kafka_address
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._delta: tuple[tuple[int, int], bytes] | None = None
        self.boot = secrets.token_hex(4)
        self.changes = 0
        self._status: dict[str, Any] = {"kafka": "connecting", "since": self._now_ms(), "last_message": None}

    @property
    def version(self) -> int:
        """The feed's."""
        return self._feed.version

    def take(self, messages: list[Any]) -> None:
        """Take messages into account; returns when it has been done, so whoever reads Kafka cannot run ahead."""
        asyncio.run_coroutine_threadsafe(self._take(messages), self._loop).result()

    def kafka(self, answers: bool, caught_up: bool) -> None:  # noqa: FBT001 - a callback
        """Note whether Kafka answers, and whether all there was at the start has been read."""
        told = "away" if not answers else "live" if caught_up else "reading"
        self._loop.call_soon_threadsafe(self._tell, told)

    async def _take(self, messages: list[Any]) -> None:
        for start in range(0, len(messages), _SLICE):
            note_all(self._feed, messages[start : start + _SLICE])
            await asyncio.sleep(0)
        self._status["last_message"] = self._now_ms()
        self._wake()

    def _tell(self, told: str) -> None:
        if told != self._status["kafka"]:
            if told == "away":
                log.warning("Kafka at %s does not answer; trying again until it does", self._address)
            elif self._status["kafka"] == "away":
                log.info("Kafka at %s answers again", self._address)
            self._status |= {"kafka": told, "since": self._now_ms()}
            self._wake()

    def _wake(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def news(self, seen: int, timeout_s: float) -> None:
        """Return when there are more than ``seen`` changes, or after ``timeout_s``."""
        if self.changes != seen:
            return
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return

    def status(self) -> dict[str, Any]:
        """Return what is known of Kafka; times are ms of this machine's clock, ``now`` among them."""
        return {**self._status, "address": self._address, "now": self._now_ms()}

    def since(self, version: int) -> bytes:
        """Return what changed after ``version`` (-1: everything) as JSON. The last answer is kept for others."""
        key = (version, self._feed.version)
        if self._delta is None or self._delta[0] != key:
            message = self._feed.snapshot() if version < 0 else self._feed.since(version)
            self._delta = (key, orjson.dumps(message))
        return self._delta[1]

    def whole(self) -> dict[str, Any]:
        """Return everything, and what is known of Kafka."""
        return {**self._feed.snapshot(), "status": self.status()}

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
