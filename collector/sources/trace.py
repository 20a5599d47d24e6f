"""Plays a recorded trace: every request as an arrival at its submission and a completion at its end.

Pure: takes the time, reads no clock. The order is that of event time; at equal times the earlier row goes first
and an arrival before its own completion. A position in that order is a whole checkpoint.
"""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Any

from collector.config import TraceConfig
from collector.schema.columns import TIME_US_MAX
from collector.schema.errors import OperatorError
from collector.schema.events import Arrival, Completion, Event, Outcome, Reason
from collector.sources.base import request_lane
from collector.sources.recording import ABSENT, Recording

# Relative traces begin here unless told otherwise: a fixed day, so that a replay gives the same windows always.
DEFAULT_ORIGIN = "2023-11-01T00:00:00+00:00"
# Past the last event by more than any hold or lateness of the short windows, so that they close.
FINAL_WATERMARK_US = 15_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ARRIVAL, _COMPLETION = 0, 1
_START = (-1, -1, _COMPLETION)


def resolve_base_us(recording: Recording, origin: str | None, now_us: int) -> int:
    """Return what is added to the file's times (us) to make event times.

    A relative trace counts from ``origin`` (default ``DEFAULT_ORIGIN``); a calendar trace keeps its own times
    unless an origin is given for its first request; with "now" the first request of either happens now.
    Raises ``OperatorError`` if the result is no possible time.
    """
    first = recording.submitted[0] if len(recording) else 0
    if origin == "now":
        base = now_us - first
    elif recording.absolute:
        base = 0 if origin is None else _parse_us(origin) - first
    else:
        base = _parse_us(origin or DEFAULT_ORIGIN)
    last = max(map(recording.ends_at, range(len(recording))), default=0)
    if base + first < 0 or base + last + FINAL_WATERMARK_US > TIME_US_MAX:
        raise OperatorError("origin: with it, times of the trace lie outside the years 1970 to 9999")
    return base


def _parse_us(iso: str) -> int:
    return (datetime.fromisoformat(iso) - _EPOCH) // timedelta(microseconds=1)


class TraceSource:
    """A ``RecordedSource`` over one recording.

    ``checkpoint`` is the one found in the spool, or None; one of another file is not used.
    """

    def __init__(
        self,
        config: TraceConfig,
        recording: Recording,
        *,
        node: str,
        now_us: int,
        checkpoint: Mapping[str, Any] | None,
    ) -> None:
        if checkpoint is not None and checkpoint.get("file") != recording.digest:
            checkpoint = None
        self.name = config.name
        self.lane = request_lane(config.service)
        self.resumed = checkpoint is not None
        self._recording = recording
        self._speed = config.speed
        self._node = node
        self._position: tuple[int, int, int] = _START
        if checkpoint is not None:
            self._base = int(checkpoint["base"])
            self._position = (checkpoint["time"], checkpoint["row"], checkpoint["kind"])
        else:
            self._base = resolve_base_us(recording, config.origin, now_us)
        self._next, self._open = _resume(recording, self._position)
        last = max(map(recording.ends_at, range(len(recording))), default=0)
        self._final = self._base + last + FINAL_WATERMARK_US
        self._started: tuple[float, int] | None = None  # monotonic second, file time

    @property
    def exhausted(self) -> bool:
        """True when every event has been taken."""
        return self._next >= len(self._recording) and not self._open

    def take(self, most: int, now_s: float) -> list[Event]:
        """Return the next due events, at most ``most``."""
        due = self._due(now_s)
        events: list[Event] = []
        recording, heap = self._recording, self._open
        submitted, count, row = recording.submitted, len(recording), self._next
        while len(events) < most:
            arrives = submitted[row] if row < count else None
            if heap and (arrives is None or heap[0][0] <= arrives):
                if due is not None and heap[0][0] > due:
                    break
                time, ended = heappop(heap)
                events.append(self._completion(ended))
                self._position = (time, ended, _COMPLETION)
            elif arrives is not None and (due is None or arrives <= due):
                events.append(self._arrival(row))
                heappush(heap, (recording.ends_at(row), row))
                self._position = (arrives, row, _ARRIVAL)
                row += 1
            else:
                break
        self._next = row
        return events

    def watermark(self, now_s: float) -> int | None:
        """Return the event time up to which everything has been taken; past the last event at the end."""
        following = self._following()
        if following is None:
            return self._final if len(self._recording) else None
        due = self._due(now_s)
        return max(0, self._base + (following - 1 if due is None else min(following - 1, due)))

    def checkpoint(self) -> Mapping[str, Any]:
        """Return the position of the last event taken, and the origin it was given."""
        time, row, kind = self._position
        return {"file": self._recording.digest, "base": self._base, "time": time, "row": row, "kind": kind}

    def idle_s(self, now_s: float) -> float:
        """Return how long nothing will be due."""
        following, due = self._following(), self._due(now_s)
        if following is None:
            return float("inf")
        return 0.0 if due is None else max(0.0, (following - due) / self._speed / 1e6)

    def _following(self) -> int | None:
        """Return the file time of the next event."""
        times = [self._open[0][0]] if self._open else []
        if self._next < len(self._recording):
            times.append(self._recording.submitted[self._next])
        return min(times, default=None)

    def _due(self, now_s: float) -> int | None:
        """Return the file time that playing has come to; None if there is no pace to keep."""
        if not self._speed:
            return None
        if self._started is None:
            self._started = (now_s, self._following() or 0)
        started_s, from_us = self._started
        return from_us + int((now_s - started_s) * 1e6 * self._speed)

    def _arrival(self, row: int) -> Arrival:
        recording = self._recording
        tokens = recording.request_tokens[row]
        return Arrival(
            id=f"r{recording.row[row]:09d}",
            submitted_at=self._base + recording.submitted[row],
            model=recording.text(recording.model[row]),
            log_type=recording.log_type_of(row),
            session=recording.text(recording.session[row]),
            request_tokens=None if tokens == ABSENT else tokens,
            source=self.name,
            node=self._node,
        )

    def _completion(self, row: int) -> Completion:
        recording = self._recording
        request, response = recording.request_tokens[row], recording.response_tokens[row]
        return Completion(
            id=f"r{recording.row[row]:09d}",
            submitted_at=self._base + recording.submitted[row],
            ended_at=None if recording.elapsed[row] == ABSENT else self._base + recording.ends_at(row),
            model=recording.text(recording.model[row]),
            log_type=recording.log_type_of(row),
            session=recording.text(recording.session[row]),
            request_tokens=None if request == ABSENT else request,
            response_tokens=None if response == ABSENT else response,
            outcome=Outcome.OK if response else Outcome.FAILED,
            reason=None if response else Reason.UNKNOWN,
            source=self.name,
            node=self._node,
        )


def _resume(recording: Recording, position: tuple[int, int, int]) -> tuple[int, list[tuple[int, int]]]:
    """Return the first arrival not taken and the completions still open behind ``position``."""
    time, row, _ = position
    if time < 0:
        return 0, []
    following = bisect_right(recording.submitted, time)
    # At the position's own time, arrivals of later rows may not have been taken yet.
    while following and recording.submitted[following - 1] == time and following - 1 > row:
        following -= 1
    still = [(end, j) for j in range(following) if ((end := recording.ends_at(j)), j, _COMPLETION) > position]
    heapify(still)
    return following, still
