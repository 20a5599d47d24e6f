"""When each request is sent: a trace's rows as requests on a time axis. Pure; nothing here waits or sends."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from collector.schema.events import CONVERSATION_LOG, Outcome, Reason
from collector.schema.trace_rows import TraceRow
from workload.replay.recorded import Recorded

# A request that was given up would have gone on, nobody knows for how long: it is asked for twice what came, and for
# no less than this, so that it is still being answered when it is given up again.
GIVEN_UP_TOKENS_MIN = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One request to send, ``at_s`` seconds after the replay began.

    Attributes:
        row: its place among the rows of the file (of all passes of a loop).
        session: what ``x-session-id`` says; ``conversation``: the recorded session, whose turns wait for each other.
        elapsed_s: how long the recorded answer took, on the replay's axis; None if not told.
        patience_s: give up after so many seconds, with outcome ``gives_up`` (cancelled, or failed for a time-out).
    """

    at_s: float
    prompt_tokens: int
    response_tokens: int
    model: str
    session: str | None
    row: int = 0
    log_type: str | None = None
    conversation: str | None = None
    elapsed_s: float | None = None
    patience_s: float | None = None
    gives_up: Outcome = Outcome.CANCELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a trace is played.

    Attributes:
        speed: trace seconds per real second.
        model: overrides every row's model; ``fallback_model`` stands in where a row names none.
        send_failed: rows recorded as failed (0 response tokens) are sent, asking for 1 token.
        as_recorded: rows recorded as cancelled or timed out, with their time, are given up after that time.
        limit: requests at most; ``duration_s``: nothing is due later than this. None: no bound.
        loop: begin again at the end.
        ramp_s: seconds over which the rate rises from 0 to the trace's.
    """

    fallback_model: str
    speed: float = 1.0
    model: str | None = None
    send_failed: bool = False
    as_recorded: bool = True
    limit: int | None = None
    duration_s: float | None = None
    loop: bool = False
    ramp_s: float = 0.0


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


def ramped(at_s: float, ramp_s: float) -> float:
    """Return when what is due at ``at_s`` is due where the rate rises linearly from 0 over the first ``ramp_s``.

    Time is stretched, nothing is left out: at ``t`` of the ramp, time runs ``t/ramp_s`` times as fast as the trace's,
    so ``at_s = t²/(2 ramp_s)``. The ramp holds half as many requests, and the rest comes ``ramp_s/2`` later.

    >>> ramped(0.0, 10.0), ramped(5.0, 10.0), ramped(7.0, 10.0)
    (0.0, 10.0, 12.0)
    """
    return math.sqrt(2 * ramp_s * at_s) if at_s < ramp_s / 2 else at_s + ramp_s / 2


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
    sent = number = 0
    while True:
        before = sent
        for row in read():
            at_s = ramped(axis.place(row.submitted_us) / pace.speed, pace.ramp_s)
            if pace.duration_s is not None and at_s > pace.duration_s:
                return
            number += 1
            ends = _ending(row, pace)
            if not _usable(row, pace, skipped, given_up=ends is not None):
                continue
            if pace.limit is not None and sent >= pace.limit:
                return
            yield _shot(row, at_s, pace, ends, place=(number - 1, sent))
            sent += 1
        if not pace.loop or sent == before or axis.latest_s <= axis.offset_s:
            return
        axis.next_pass()


def _ending(row: TraceRow, pace: Pace) -> Outcome | None:
    """Return how the client gave the request up, None if it did not (or not at a known time)."""
    if not (pace.as_recorded and isinstance(row, Recorded) and row.elapsed_us):
        return None
    if row.outcome == Outcome.CANCELLED:
        return Outcome.CANCELLED
    timed_out = row.outcome == Outcome.FAILED and row.reason == Reason.TIMEOUT
    return Outcome.FAILED if timed_out else None


def _usable(row: TraceRow, pace: Pace, skipped: Skipped, *, given_up: bool) -> bool:
    if row.request_tokens is None or (row.response_tokens is None and not given_up):
        skipped.incomplete += 1
        return False
    failed = row.outcome == Outcome.FAILED if isinstance(row, Recorded) and row.outcome else row.failed
    if failed and not given_up and not pace.send_failed:
        skipped.failed += 1
        return False
    return True


def _shot(row: TraceRow, at_s: float, pace: Pace, ends: Outcome | None, place: tuple[int, int]) -> Shot:
    number, sent = place
    session = row.session
    if session is None and row.log_type == CONVERSATION_LOG:
        session = f"replay-{sent}"
    tokens = row.response_tokens or 0
    return Shot(
        at_s=at_s,
        prompt_tokens=max(row.request_tokens or 0, 1),
        response_tokens=max(tokens, 1) if ends is None else max(2 * tokens, GIVEN_UP_TOKENS_MIN),
        model=pace.model or row.model or pace.fallback_model,
        session=session,
        row=number,
        log_type=row.log_type,
        conversation=row.session,
        elapsed_s=None if row.elapsed_us is None else row.elapsed_us / 1e6 / pace.speed,
        patience_s=None if ends is None or row.elapsed_us is None else row.elapsed_us / 1e6,
        gives_up=ends or Outcome.CANCELLED,
    )
