"""The latest state of every node: what the resource batches said last. Pure; receipt times are arguments."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from collector.schema.codec import Batch, events_of
from collector.schema.events import Resource
from streams.stats.exhaustion import Exhaustion, exhaustion
from streams.stats.slope import drift

STALE_S = 60.0
NODES_MAX = 10_000
HISTORY = 60  # readings of a device's memory: a minute or more
SPAN_S = 30.0  # devices fill more slowly than KV caches: most engines take their memory once, at the start

Place = tuple[str, str | None, str | None, str | None]  # node, engine, gpu, mig instance


@dataclass(frozen=True, slots=True)
class Seen:
    """One node's latest reading at one place."""

    partition: int
    received_s: float
    reading: Resource
    memory: deque[tuple[float, float]]  # device: (s, used part)

    def fresh(self, now_s: float) -> bool:
        """True unless the node has not been heard of for ``STALE_S``."""
        return now_s - self.received_s <= STALE_S

    def remember(self) -> None:
        """Keep the used part of the device's memory, if the reading tells it."""
        total, used = self.reading.gpu_total_bytes, self.reading.gpu_used_bytes
        at_s = self.reading.at / 1e6
        news = not self.memory or at_s > self.memory[-1][0]  # not the same message again
        if news and self.reading.gpu is not None and total and used is not None:
            self.memory.append((at_s, used / total))


class ResourceBoard:
    """Latest reading per (node, engine, gpu, mig); readings age out instead of being shown for ever."""

    def __init__(self) -> None:
        self._seen: dict[Place, Seen] = {}

    def apply(self, partition: int, batch: Batch, now_s: float) -> None:
        """Take over the batch's readings; a heartbeat has none.

        Older readings do not replace newer ones, unless those are stale: a clock may have been ahead.
        """
        for event in events_of(batch):
            if not isinstance(event, Resource):
                continue
            place = (event.node, event.engine, event.gpu, event.mig)
            known = self._seen.get(place)
            if known is not None and known.reading.at > event.at and known.fresh(now_s):
                continue
            if known is None and len(self._seen) >= NODES_MAX:
                self.forget_stale(now_s)
                if len(self._seen) >= NODES_MAX:
                    continue
            history = known.memory if known is not None and known.reading.at <= event.at else deque(maxlen=HISTORY)
            seen = self._seen[place] = Seen(partition, now_s, event, history)
            seen.remember()

    def drop(self, partition: int) -> None:
        """Forget the nodes of a partition another worker now has."""
        self._seen = {place: seen for place, seen in self._seen.items() if seen.partition != partition}

    def forget_stale(self, now_s: float) -> None:
        """Forget nodes not heard of for a minute: a node that is gone must not look healthy."""
        self._seen = {p: seen for p, seen in self._seen.items() if seen.fresh(now_s)}

    def readings(self, now_s: float) -> Iterator[Resource]:
        """Return the readings that are fresh at ``now_s``."""
        return (seen.reading for seen in list(self._seen.values()) if seen.fresh(now_s))

    def device_exhaustions(self, now_s: float) -> Iterator[tuple[Resource, Exhaustion]]:
        """Return when devices are out of memory, those that clearly fill up; with their last reading."""
        for seen in list(self._seen.values()):
            if seen.memory and seen.fresh(now_s):
                times, levels = zip(*seen.memory, strict=True)
                found = exhaustion(1 - levels[-1], drift(times, levels, span_s=SPAN_S))
                if found is not None:
                    yield seen.reading, found
