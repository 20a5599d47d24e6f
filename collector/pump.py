"""Turns sources into spool records, one step at a time: the sidecar's second thread, and nothing on a request's path.

Takes the time as an argument. Each step takes what live sources emitted, reads recorded sources as far as due
and the spool allows, and flushes every lane that is full, whose linger is over, or that owes a heartbeat.

An engine's readings that name their service go two ways: to the node's lane, and to the service's own, so that
whoever analyses the service finds load and memory in one log, in one order. Both copies count as events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.batcher import Batcher
from collector.intake import Intake
from collector.outbox import Outbox
from collector.schema.events import Event, Resource
from collector.sources.base import Lane, LiveSource, RecordedSource, request_lane

HEARTBEAT_S = 1.0
# Flushes of one recorded source per step: live events never wait longer than these take.
_FLUSHES_PER_STEP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events since the spool was made; ``accepted = spooled + queued + dropped``."""

    accepted: int
    spooled: int
    queued: int
    dropped: int


class Pump:
    """Drives one sidecar's events into its spool."""

    def __init__(  # noqa: PLR0913 - keyword-only: the parts it drives
        self,
        *,
        batcher: Batcher,
        outbox: Outbox,
        intake: Intake,
        live: Sequence[LiveSource],
        recorded: Sequence[RecordedSource],
        linger_s: float,
    ) -> None:
        self._batcher = batcher
        self._outbox = outbox
        self._intake = intake
        self._live = live
        self._recorded = recorded
        self._linger_s = linger_s
        self._unfinished = {source.name for source in recorded}
        self._since: dict[Lane, float] = {}  # lane -> when its oldest buffered event came
        self._flushed: dict[Lane, float] = {}  # lane -> its last flush
        self._known_dropped: dict[Lane, int] = {}
        self._recorded_in: set[Lane] = set()  # lanes whose buffer holds what a checkpoint must cover
        every: list[LiveSource | RecordedSource] = [*live, *recorded]
        for source in every:
            batcher.join(source.lane, source.name)
            self._flushed[source.lane] = float("-inf")
        for told in recorded:
            if told.exhausted and outbox.checkpoint(told.name) is not None:
                self._finish(told, 0.0)  # an earlier run told everything, the final watermark included

    @property
    def done(self) -> bool:
        """True when every event of the recorded sources is in the spool and there is no live source."""
        return not (self._live or self._unfinished or self._since or self._outbox.blocked)

    def step(self, now_s: float) -> float:
        """Do what is due at monotonic ``now_s``. Returns the seconds until something may be due again."""
        self._outbox.retry()
        self._take_live(now_s)
        wait_s = self._linger_s
        for source in self._recorded:
            if source.name in self._unfinished and not self._outbox.blocked:
                wait_s = min(wait_s, self._read(source, now_s))
        for lane in self._flushed:
            if self._owes(lane, now_s):
                self._flush(lane, now_s)
        return wait_s

    def drain(self, now_s: float) -> None:
        """Put everything taken so far into the spool; what it refuses is given up and counted."""
        self._take_live(now_s)
        for lane in self._flushed:
            if lane in self._since or self._batcher.moved(lane):
                self._flush(lane, now_s)
        self._outbox.retry()
        self._outbox.abandon()

    def counts(self) -> Counts:
        """Return the accounts."""
        queued = sum(map(self._batcher.size, self._flushed)) + self._outbox.waiting + self._intake.waiting
        spooled, dropped = self._outbox.spooled, self._outbox.dropped
        return Counts(accepted=spooled + queued + dropped, spooled=spooled, queued=queued, dropped=dropped)

    def _take_live(self, now_s: float) -> None:
        for lane, total in list(self._intake.dropped.items()):
            fresh = total - self._known_dropped.get(lane, 0)
            self._known_dropped[lane] = total
            if fresh:
                self._batcher.drop(lane, fresh)
                self._outbox.count_dropped(fresh)
        for item in self._intake.take():
            if isinstance(item, int):
                for source in self._live:
                    self._batcher.promise(source.lane, source.name, item)
                continue
            lane, event = item
            self._put(lane, event, now_s)
            if isinstance(event, Resource) and event.service is not None:
                self._put(self._beside(event.service), event, now_s)

    def _put(self, lane: Lane, event: Event, now_s: float) -> None:
        self._batcher.add(lane, event)
        self._since.setdefault(lane, now_s)
        if self._batcher.room(lane) <= 0:
            self._flush(lane, now_s)

    def _beside(self, service: str) -> Lane:
        """Return the lane of a service whose requests may be watched by another agent, or by none."""
        lane = request_lane(service)
        if lane not in self._flushed:
            self._batcher.open(lane)
            self._flushed[lane] = float("-inf")
        return lane

    def _read(self, source: RecordedSource, now_s: float) -> float:
        lane = source.lane
        for _ in range(_FLUSHES_PER_STEP):
            while (room := self._batcher.room(lane)) > 0:
                events = source.take(room, now_s)
                if not events:
                    break
                self._since.setdefault(lane, now_s)
                self._recorded_in.add(lane)
                for event in events:
                    self._batcher.add(lane, event)
            self._batcher.promise(lane, source.name, source.watermark(now_s))
            if source.exhausted:
                self._finish(source, now_s)
                self._recorded_in.add(lane)  # the final watermark must not be dropped either
                self._flush(lane, now_s)
                return 0.0
            if room:
                return source.idle_s(now_s)
            self._flush(lane, now_s)
            if self._outbox.blocked:
                return self._linger_s
        return 0.0

    def _finish(self, source: RecordedSource, now_s: float) -> None:
        self._unfinished.discard(source.name)
        self._batcher.finish(source.lane, source.name, source.watermark(now_s))

    def _owes(self, lane: Lane, now_s: float) -> bool:
        if lane in self._since:
            return now_s - self._since[lane] >= self._linger_s
        quiet = now_s - self._flushed[lane] >= HEARTBEAT_S
        return quiet and not self._outbox.blocked and self._batcher.moved(lane)

    def _flush(self, lane: Lane, now_s: float) -> None:
        checkpoints = {}
        if lane in self._recorded_in:
            self._recorded_in.discard(lane)
            checkpoints = {source.name: source.checkpoint() for source in self._recorded if source.lane == lane}
        messages = self._batcher.flush(lane)
        if not self._outbox.put(messages, checkpoints):
            self._batcher.drop(lane, sum(message.n for message in messages))
        self._since.pop(lane, None)
        self._flushed[lane] = now_s
