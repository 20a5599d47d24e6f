"""Events become messages: one buffer per lane, a kind at a time, a watermark only when it is true.

Pure: never reads a clock, never waits. A *lane* is a topic and a key; its messages are numbered without holes
from 0 in every boot, and a number is used up even if its message is later dropped: the hole shows the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from collector.schema.codec import Batch, Encoding, columns_of, encode
from collector.schema.errors import BadMessage
from collector.schema.events import Arrival, Completion, Event, Kind
from collector.schema.topics import RESOURCES
from collector.sources.base import Lane
from collector.spool.record import Message


@dataclass(slots=True, kw_only=True)
class _Buffer:
    """What one lane holds and has said so far."""

    completions: list[Event] = field(default_factory=list)
    arrivals: list[Event] = field(default_factory=list)
    resources: list[Event] = field(default_factory=list)
    seq: int = 0
    watermark: int | None = None  # the last one sent
    dropped: int = 0
    promises: dict[str, int | None] = field(default_factory=dict)  # source -> its own watermark
    finished: dict[str, int] = field(default_factory=dict)  # source -> its final watermark

    def promise(self) -> int | None:
        """Return the watermark all sources of the lane agree on; never behind the last one sent."""
        if self.promises:
            known = [promise for promise in self.promises.values() if promise is not None]
            agreed = min(known) if len(known) == len(self.promises) else None
        else:
            agreed = max(self.finished.values(), default=None)
        if agreed is None or (self.watermark is not None and agreed <= self.watermark):
            return self.watermark
        return agreed


class Batcher:
    """All lanes of one boot of one agent."""

    def __init__(self, *, agent: str, boot: str, batch_max: int, encoding: Encoding = Encoding.BINARY) -> None:
        self._agent = agent
        self._boot = boot
        self._batch_max = batch_max
        self._encoding = encoding
        self._lanes: dict[Lane, _Buffer] = {}
        self.rejected = 0  # events the schema refuses: a source's mistake, counted and left out

    def join(self, lane: Lane, source: str) -> None:
        """Tell that ``source`` feeds ``lane``: no watermark before it has promised one."""
        self._lanes.setdefault(lane, _Buffer()).promises.setdefault(source, None)

    def open(self, lane: Lane) -> None:
        """Make ``lane`` known without a source that feeds it: what comes in beside others' events promises nothing."""
        self._lanes.setdefault(lane, _Buffer())

    def promise(self, lane: Lane, source: str, watermark: int | None) -> None:
        """Tell that every event of ``source`` up to ``watermark`` has been added."""
        self._lanes[lane].promises[source] = watermark

    def finish(self, lane: Lane, source: str, watermark: int | None) -> None:
        """Tell that ``source`` has no more events; ``watermark`` counts once all sources of the lane are done."""
        buffer = self._lanes[lane]
        buffer.promises.pop(source, None)
        if watermark is not None:
            buffer.finished[source] = watermark

    def add(self, lane: Lane, event: Event) -> None:
        """Buffer one event."""
        buffer = self._lanes[lane]
        kind = type(event)
        if kind is Completion:
            buffer.completions.append(event)
        elif kind is Arrival:
            buffer.arrivals.append(event)
        else:
            buffer.resources.append(event)

    def room(self, lane: Lane) -> int:
        """Return how many events fit before any kind reaches ``batch_max``."""
        buffer = self._lanes[lane]
        return self._batch_max - max(len(buffer.completions), len(buffer.arrivals), len(buffer.resources))

    def size(self, lane: Lane) -> int:
        """Return the number of buffered events."""
        buffer = self._lanes[lane]
        return len(buffer.completions) + len(buffer.arrivals) + len(buffer.resources)

    def drop(self, lane: Lane, n: int) -> None:
        """Count ``n`` events of the lane as dropped; every later message says so."""
        self._lanes[lane].dropped += n

    def moved(self, lane: Lane) -> bool:
        """True if a heartbeat would move the watermark."""
        buffer = self._lanes[lane]
        return buffer.promise() != buffer.watermark

    def flush(self, lane: Lane) -> list[Message]:
        """Return all buffered events as messages, or one heartbeat; the last one carries the new watermark."""
        buffer = self._lanes[lane]
        chunks = [
            (kind, events[start : start + self._batch_max])
            for kind, events in (
                # Readings first: what the watermark makes final is then judged with them at hand.
                (Kind.RESOURCE, buffer.resources),
                (Kind.COMPLETION, buffer.completions),
                (Kind.ARRIVAL, buffer.arrivals),
            )
            for start in range(0, len(events), self._batch_max)
        ] or [(Kind.RESOURCE if lane[0] == RESOURCES else Kind.ARRIVAL, [])]
        buffer.completions, buffer.arrivals, buffer.resources = [], [], []
        promise = buffer.promise()
        messages = []
        for index, (kind, events) in enumerate(chunks):
            if index == len(chunks) - 1:
                buffer.watermark = promise
            messages.append(self._message(lane, buffer, kind, events))
        return messages

    def _message(self, lane: Lane, buffer: _Buffer, kind: Kind, events: Sequence[Event]) -> Message:
        try:
            body = self._encode(lane, buffer, kind, events)
        except BadMessage:
            good = [event for event in events if self._valid(kind, event)]
            self.rejected += len(events) - len(good)
            buffer.dropped += len(events) - len(good)
            events = good
            body = self._encode(lane, buffer, kind, events)
        buffer.seq += 1
        at_us = max(map(event_time, events), default=buffer.watermark or 0)
        return Message(topic=lane[0], key=lane[1], at_ms=at_us // 1000, n=len(events), body=body)

    def _encode(self, lane: Lane, buffer: _Buffer, kind: Kind, events: Sequence[Event]) -> bytes:
        return encode(
            Batch(
                agent=self._agent,
                boot=self._boot,
                key=lane[1],
                seq=buffer.seq,
                kind=kind,
                n=len(events),
                watermark=buffer.watermark,
                dropped=buffer.dropped,
                columns=columns_of(kind, events) if events else {},
            ),
            self._encoding,
        )

    def _valid(self, kind: Kind, event: Event) -> bool:
        batch = Batch(agent="a", boot="b", key="k", seq=0, kind=kind, n=1, columns=columns_of(kind, [event]))
        try:
            encode(batch)
        except BadMessage:
            return False
        return True


def event_time(event: Event) -> int:
    """Return the time (us) at which an event counts: submission, end (else submission), or observation."""
    if isinstance(event, Arrival):
        return event.submitted_at
    if isinstance(event, Completion):
        return event.submitted_at if event.ended_at is None else event.ended_at
    return event.at
