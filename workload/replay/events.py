"""A replay's requests as arrival and completion messages, as an agent beside a service would send them. Pure.

Identity and watermark follow the agent's rules: one boot a run, messages numbered from 0 without holes, and a
watermark that is true: every event up to it is in this message or an earlier one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from collector.schema.codec import EVENTS_MAX, Batch, Encoding, columns_of, encode
from collector.schema.errors import BadMessage
from collector.schema.events import API_LOG, CONVERSATION_LOG, Arrival, Completion, Event, Kind, Reason
from collector.schema.topics import REQUESTS
from workload.replay.record import Record

SOURCE = "replay"


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message, and how many events it holds."""

    topic: str
    key: str
    body: bytes
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who sends: the agent's name, this run's own boot, the service it speaks of, the machine it runs on."""

    agent: str
    boot: str
    service: str
    node: str


@dataclass(slots=True)
class EventStream:
    """An observer that gathers events; ``flush`` makes messages of them.

    Args:
        who: whose messages they are.
        epoch_us: turns a time of the replay's clock (``time.perf_counter`` seconds) into microseconds since the epoch.
    """

    who: Identity
    epoch_us: Callable[[float], int]
    _arrivals: list[Event] = field(default_factory=list)
    _completions: list[Event] = field(default_factory=list)
    _submitted: dict[int, int] = field(default_factory=dict)  # number -> when it was said to be submitted
    _seq: int = 0
    _dropped: int = 0
    _watermark: int | None = None

    def on_start(self, record: Record) -> None:
        """Nothing has happened yet."""

    def on_sent(self, record: Record) -> None:
        """Tell the arrival, at the time the request left."""
        shot = record.shot
        submitted_at = self._true(record.start_s + record.sent_s)
        self._submitted[record.number] = submitted_at
        self._arrivals.append(
            Arrival(
                id=self._id(record),
                submitted_at=submitted_at,
                model=shot.model,
                log_type=_log_type(record),
                session=shot.session,
                request_tokens=shot.prompt_tokens,
                source=SOURCE,
                node=self.who.node,
            )
        )

    def on_end(self, record: Record) -> None:
        """Tell the completion, at the time the answer ended; a request that never left is not told at all."""
        submitted_at = self._submitted.pop(record.number, None)
        answer, shot = record.answer, record.shot
        if submitted_at is None or answer.ended_s is None:
            return
        ended_at = max(self._true(answer.ended_s), submitted_at)
        first = None if answer.first_s is None else min(max(self.epoch_us(answer.first_s), submitted_at), ended_at)
        reason = answer.reason
        if reason is None and answer.outcome == "cancelled":
            reason = Reason.CLIENT_DISCONNECT
        self._completions.append(
            Completion(
                id=self._id(record),
                submitted_at=submitted_at,
                first_token_at=first,
                ended_at=ended_at,
                model=shot.model,
                log_type=_log_type(record),
                session=shot.session,
                request_tokens=shot.prompt_tokens if answer.request_tokens is None else answer.request_tokens,
                response_tokens=answer.response_tokens,
                cached_tokens=answer.cached_tokens,
                stream=True,
                outcome=str(answer.outcome),
                reason=None if reason is None else str(reason),
                http_status=answer.http_status,
                source=SOURCE,
                node=self.who.node,
            )
        )

    def flush(self, now_s: float) -> list[Message]:
        """Return what was gathered as messages, at least one (a heartbeat); the last carries the new watermark."""
        arrivals, completions = self._arrivals, self._completions
        self._arrivals, self._completions = [], []
        chunks = [
            (kind, events[start : start + EVENTS_MAX])
            for kind, events in ((Kind.COMPLETION, completions), (Kind.ARRIVAL, arrivals))
            for start in range(0, len(events), EVENTS_MAX)
        ] or [(Kind.ARRIVAL, [])]
        messages = []
        for index, (kind, events) in enumerate(chunks):
            if index == len(chunks) - 1:
                self._watermark = max(self.epoch_us(now_s), self._watermark or 0)
            messages.append(self._message(kind, events))
        return messages

    def _message(self, kind: Kind, events: list[Event]) -> Message:
        who = self.who
        batch = Batch(
            agent=who.agent,
            boot=who.boot,
            key=who.service,
            seq=self._seq,
            kind=kind,
            n=len(events),
            watermark=self._watermark,
            dropped=self._dropped,
            columns=columns_of(kind, events) if events else {},
        )
        try:
            body = encode(batch, Encoding.BINARY)
        except BadMessage:  # such as a --model that is no token: the loss is told, as an agent tells it
            self._dropped += len(events)
            body = encode(replace(batch, n=0, columns={}, dropped=self._dropped), Encoding.BINARY)
        self._seq += 1
        return Message(REQUESTS, who.service, body, len(events))

    def _true(self, at_s: float) -> int:
        """Return the event's time, past the last watermark: what was promised to be complete stays so."""
        return max(self.epoch_us(at_s), (self._watermark or 0) + 1)

    def _id(self, record: Record) -> str:
        return f"{self.who.boot}-{record.number}"


def _log_type(record: Record) -> str:
    return record.shot.log_type or (CONVERSATION_LOG if record.shot.session else API_LOG)
