"""What a source is. Two shapes, by who sets the pace.

*Live* sources watch something that happens now: they run in the event loop and ``emit`` each event, whose time
is the clock's at that very moment (read and emitted without an ``await`` between: the watermark relies on it).
*Recorded* sources hold events that have happened: they are asked for the next ones, wait when the spool is full,
and can say where to go on after a restart.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from collector.schema.events import Event, Kind
from collector.schema.topics import TOPIC_OF_KIND

Emit = Callable[[Event], None]
Lane = tuple[str, str]  # topic and key: what shares a sequence of message numbers and a watermark


def request_lane(service: str) -> Lane:
    """Return the lane of a service's arrivals and completions."""
    return (TOPIC_OF_KIND[Kind.ARRIVAL], service)


def resource_lane(node: str) -> Lane:
    """Return the lane of a node's resource events."""
    return (TOPIC_OF_KIND[Kind.RESOURCE], node)


class LiveSource(Protocol):
    """A source that happens now."""

    name: str
    lane: Lane

    async def run(self, emit: Emit, ready: Callable[[], None]) -> None:
        """Watch until cancelled. Call ``ready`` when watching has begun. May raise: it is started again."""

    async def drain(self, seconds: float) -> None:
        """Take nothing new in, and give what is open up to ``seconds`` to end."""

    def counters(self) -> Mapping[str, int]:
        """Return what this source counted, for the status file."""


class RecordedSource(Protocol):
    """A source that can be read at any pace and from any checkpoint. All times: see ``take``."""

    name: str
    lane: Lane

    @property
    def exhausted(self) -> bool:
        """True when every event has been taken."""

    def take(self, most: int, now_s: float) -> list[Event]:
        """Return the next events, in time order, at most ``most``, as far as due at monotonic ``now_s``."""

    def watermark(self, now_s: float) -> int | None:
        """Return the event time (us) up to which everything has been taken; past the last event at the end."""

    def checkpoint(self) -> Mapping[str, Any]:
        """Return where to go on, as JSON: describes exactly what has been taken so far."""

    def idle_s(self, now_s: float) -> float:
        """Return how long nothing will be due; 0 if something is."""
