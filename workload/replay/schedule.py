"""When to send what: a trace's rows as requests on a time axis. Pure; nothing here waits or sends."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from collector.schema.events import CONVERSATION_LOG
from collector.schema.trace_rows import TraceRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One request to send, ``at_s`` seconds after the replay began."""

    at_s: float
    prompt_tokens: int
    response_tokens: int
    model: str
    session: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a trace is played.

    Attributes:
        speed: trace seconds per real second.
        model: overrides every row's model; ``fallback_model`` stands in where a row names none.
        send_failed: rows recorded as failed (0 response tokens) are sent, asking for 1 token.
        limit: requests at most; ``duration_s``: nothing is sent later than this. None: no bound.
        loop: begin again at the end.
    """

    fallback_model: str
    speed: float = 1.0
    model: str | None = None
    send_failed: bool = False
    limit: int | None = None
    duration_s: float | None = None
    loop: bool = False


@dataclass(slots=True, kw_only=True)
class Skipped:
    """Rows that were not turned into requests, and why; and rows that went back in time.

    Attributes:
        failed: recorded failures, with ``send_failed`` off.
        incomplete: the number of request or response tokens is not known.
        backward: submitted before the row above; sent, at that row's time.
    """

    failed: int = 0
    incomplete: int = 0
    backward: int = 0


@dataclass(slots=True)
class _Axis:
    """Where the present pass lies on the replay's time axis (trace seconds)."""

    offset_s: float = 0.0
    first_us: int | None = None
    latest_s: float = 0.0
    rows: int = 0
    skipped: Skipped = field(default_factory=Skipped)

    def place(self, submitted_us: int) -> float:
        if self.first_us is None:
            self.first_us = submitted_us
        at_s = self.offset_s + (submitted_us - self.first_us) / 1e6
        if at_s < self.latest_s:
            self.skipped.backward += 1
        self.latest_s = max(self.latest_s, at_s)
        self.rows += 1
        return self.latest_s

    def next_pass(self) -> None:
        """Begin the next pass one mean gap after this one's last row."""
        span_s = self.latest_s - self.offset_s
        self.offset_s = self.latest_s + span_s / max(self.rows - 1, 1)
        self.first_us = None
        self.rows = 0


def shots(read: Callable[[], Iterable[TraceRow]], pace: Pace, skipped: Skipped) -> Iterator[Shot]:
    """Return the requests in the order and at the times to send them; ``skipped`` counts as they are drawn.

    The first row is sent at 0. A row earlier than the one above it is sent at that one's time (and counted).
    A conversation row without a session (6-column files name none) becomes a session of its own, so it is
    still a conversation to whoever watches. A pass without a single usable row ends the loop.
    """
    axis = _Axis(skipped=skipped)
    sent = 0
    while True:
        before = sent
        for row in read():
            at_s = axis.place(row.submitted_us) / pace.speed
            if pace.duration_s is not None and at_s > pace.duration_s:
                return
            shot = _shot(row, at_s, pace, skipped, sent)
            if shot is None:
                continue
            if pace.limit is not None and sent >= pace.limit:
                return
            sent += 1
            yield shot
        if not pace.loop or sent == before or axis.latest_s <= axis.offset_s:
            return
        axis.next_pass()


def _shot(row: TraceRow, at_s: float, pace: Pace, skipped: Skipped, number: int) -> Shot | None:
    if row.request_tokens is None or row.response_tokens is None:
        skipped.incomplete += 1
        return None
    if row.failed and not pace.send_failed:
        skipped.failed += 1
        return None
    session = row.session
    if session is None and row.log_type == CONVERSATION_LOG:
        session = f"replay-{number}"
    return Shot(
        at_s=at_s,
        prompt_tokens=max(row.request_tokens, 1),
        response_tokens=max(row.response_tokens, 1),
        model=pace.model or row.model or pace.fallback_model,
        session=session,
    )
