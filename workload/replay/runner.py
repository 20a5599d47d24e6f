"""The loop that sends: each request at its time, whatever became of those it does not wait for."""

import asyncio
import heapq
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from collector.schema.events import Outcome, Reason
from workload.replay.alarm import Alarm
from workload.replay.answer import Answer
from workload.replay.client import Put
from workload.replay.compose import Composer, Request
from workload.replay.options import ReplayOptions
from workload.replay.record import Observer, Record
from workload.replay.schedule import Shot
from workload.replay.turns import Planned, Turns

DRAIN_S = 3.0  # after a signal, running requests get this long before they are cancelled
LEAD_S = 0.1  # requests are made (their bytes, that is) this long before they are due
DRAWN_AT_ONCE = 16  # rows read without giving the answers a turn
AHEAD_MAX = 100_000  # requests planned far ahead, at most: a file played a thousand times as fast is not held whole
RETRY_S = 0.5  # before the first repetition; doubled each time
RETRIED = frozenset({Reason.RATE_LIMITED, Reason.OVERLOADED, Reason.BACKEND_ERROR, Reason.CONNECTION_ERROR})


class Sender(Protocol):
    """Sends one request to its end."""

    async def send(self, put: Put, answer: Answer) -> None:
        """Fill in ``answer``; call ``put.on_sent`` when it has left."""
        ...


@dataclass(order=True, slots=True)
class _Due:
    at_s: float
    order: int
    shot: Shot = field(compare=False)
    request: Request | None = field(compare=False, default=None)


class Runner:
    """Plays shots on time with at most ``concurrency_max`` open requests.

    At the bound the next request waits for a slot and its send lag shows it: nothing is dropped silently.
    """

    def __init__(
        self, sender: Sender, composer: Composer, observers: Sequence[Observer], options: ReplayOptions
    ) -> None:
        self._sender = sender
        self._composer = composer
        self._observers = observers
        self._options = options
        self._turns = Turns(options.sessions)
        self._slots = asyncio.Semaphore(options.concurrency_max)
        self._open: set[asyncio.Task[None]] = set()
        self._far: list[_Due] = []  # planned, not made yet
        self._near: list[_Due] = []  # made, about to leave
        self._order = count()
        self._number = count()
        self._ahead: Shot | None = None
        self._shots: Iterator[Shot] = iter(())
        self._alarm: Alarm | None = None
        self.start_s = 0.0
        self.drawn = 0  # requests read from the trace, sent or not

    async def play(self, shots: Iterable[Shot], stop: asyncio.Event) -> bool:
        """Send every shot and wait for the answers; True if ``stop`` ended it early."""
        stopped = asyncio.create_task(stop.wait())
        sending = asyncio.create_task(self._send_all(shots))
        await asyncio.wait({sending, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            sending.result()
            await self._settle(stopped, None)
        interrupted = stop.is_set()
        sending.cancel()
        if interrupted:
            await self._settle(None, DRAIN_S)
        stopped.cancel()
        for task in self._open:
            task.cancel()
        await asyncio.gather(sending, stopped, *self._open, return_exceptions=True)
        return interrupted

    async def _settle(self, stopped: asyncio.Task[bool] | None, timeout_s: float | None) -> None:
        """Wait until no request is open, the signal comes, or the time is up."""
        if not self._open:
            return
        answers = asyncio.create_task(asyncio.wait(set(self._open)))
        watched: set[asyncio.Task[object]] = {answers} if stopped is None else {answers, stopped}
        await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        answers.cancel()

    async def _send_all(self, shots: Iterable[Shot]) -> None:
        self._shots = iter(shots)
        self._ahead = next(self._shots, None)
        while self._draw(0.0):  # noqa: ASYNC110 - a file is read, piece by piece; a stop gets in between
            await asyncio.sleep(0)
        self._make(0.0)
        self.start_s = time.perf_counter()
        with Alarm() as self._alarm:
            while (at_s := self._step()) is not None:
                if self._near and self._near[0].at_s <= self._now_s():
                    await self._launch(heapq.heappop(self._near))
                await self._alarm.until(self.start_s + at_s if at_s < math.inf else None)

    def _now_s(self) -> float:
        return time.perf_counter() - self.start_s

    def _step(self) -> float | None:
        """Read on, make what is due soon; return when there is something to do, inf for an answer, None for never."""
        now_s = self._now_s()
        self._draw(now_s)
        self._make(now_s)
        times = [self._near[0].at_s] if self._near else []
        if self._far:
            times.append(self._far[0].at_s - LEAD_S)
        if self._ahead is not None:
            times.append(self._ahead.at_s - self._horizon_s())
        if times:
            return min(times)
        return math.inf if self._turns.waiting else None

    def _horizon_s(self) -> float:
        full = len(self._far) + self._turns.waiting >= AHEAD_MAX
        return LEAD_S if full else max(self._turns.look_ahead_s, LEAD_S)

    def _draw(self, now_s: float) -> bool:
        """Take the next rows that are within sight; True if there may be more."""
        for _ in range(DRAWN_AT_ONCE):
            if self._ahead is None or self._ahead.at_s > now_s + self._horizon_s():
                return False
            self._plan(self._turns.offer(self._ahead, now_s))
            self._ahead = next(self._shots, None)
            self.drawn += 1
        return True

    def _plan(self, planned: Planned | None) -> None:
        if planned is not None:
            heapq.heappush(self._far, _Due(planned.at_s, next(self._order), planned.shot))

    def _make(self, now_s: float) -> None:
        """Make the requests that are due soon, so that nothing is left to do when they are due."""
        while self._far and self._far[0].at_s <= now_s + LEAD_S:
            due = heapq.heappop(self._far)
            due.request = self._composer.compose(due.shot, next(self._number))
            heapq.heappush(self._near, due)

    async def _launch(self, due: _Due) -> None:
        before_s = self._now_s()
        await self._slots.acquire()
        number, options, now_s = due.order, self._options, self._now_s()
        record = Record(
            number=number,
            shot=due.shot,
            counted=number >= options.warm_up and due.shot.at_s >= options.warm_up_s,
            planned_s=due.at_s,
            start_s=self.start_s,
            launched_s=now_s,
            slot_wait_s=now_s - before_s,
        )
        task = asyncio.create_task(self._one(record, due))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _one(self, record: Record, due: _Due) -> None:
        request = due.request or self._composer.compose(due.shot, record.number)
        for observer in self._observers:
            observer.on_start(record)
        try:
            while True:
                await self._sender.send(self._put(record, request), record.answer)
                if not self._again(record):
                    break
                await asyncio.sleep(RETRY_S * 2.0 ** (record.attempts - 1))
                record.attempts += 1
                record.answer = Answer()
        finally:
            if record.answer.ended_s is None:  # cancelled by a stop
                record.answer.end(time.perf_counter(), Outcome.CANCELLED)
            self._slots.release()
            self._finish(record, request)

    def _put(self, record: Record, request: Request) -> Put:
        shot = record.shot

        def on_sent(at_s: float) -> None:
            if math.isnan(record.sent_s):
                record.sent_s = at_s - self.start_s
                for observer in self._observers:
                    observer.on_sent(record)

        return Put(
            body=request.body,
            timeout_s=self._options.timeout_s,
            session=shot.session,
            patience_s=shot.patience_s,
            gives_up=shot.gives_up,
            keep_text=self._composer.keeps(shot),
            on_sent=on_sent,
        )

    def _again(self, record: Record) -> bool:
        return record.answer.reason in RETRIED and record.attempts <= self._options.retries

    def _finish(self, record: Record, request: Request) -> None:
        answer, shot = record.answer, record.shot
        self._composer.answered(shot, request, answer)
        for observer in self._observers:
            observer.on_end(record)
        sent_s = record.planned_s if math.isnan(record.sent_s) else record.sent_s
        self._plan(self._turns.ended(shot, sent_s=sent_s, ended_s=record.ended_s))
        if self._alarm is not None and shot.conversation is not None:
            self._alarm.ring()
