"""The open loop: sends each request at its time, whatever became of the earlier ones."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from collector.schema.events import Outcome
from workload.replay.measure import Result, Tally
from workload.replay.schedule import Shot

TIMER_SLACK_S = 0.001  # epoll rounds a timeout up to the next millisecond
DRAIN_S = 3.0  # after a signal, running requests get this long before they are cancelled


class Sender(Protocol):
    """Sends one request to its end."""

    async def send(self, shot: Shot, on_sent: Callable[[], None]) -> Result:
        """Return how it ended; call ``on_sent`` when it has left."""
        ...


class Runner:
    """Plays shots on time with at most ``concurrency_max`` open requests.

    At the bound the next request waits for a slot and its send lag shows it: nothing is dropped silently.
    """

    def __init__(self, sender: Sender, tally: Tally, *, concurrency_max: int) -> None:
        self._sender = sender
        self._tally = tally
        self._slots = asyncio.Semaphore(concurrency_max)
        self._open: set[asyncio.Task[None]] = set()

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
        start_s = time.perf_counter()
        for shot in shots:
            due_s = start_s + shot.at_s
            await _sleep_until(due_s)
            await self._slots.acquire()
            self._tally.sending_s = time.perf_counter() - start_s
            task = asyncio.create_task(self._one(shot, due_s))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _one(self, shot: Shot, due_s: float) -> None:
        tally = self._tally
        tally.sent += 1
        tally.request_tokens += shot.prompt_tokens
        began_s = time.perf_counter()
        try:
            result = await self._sender.send(shot, lambda: tally.send_lag.add(max(0.0, time.perf_counter() - due_s)))
        except asyncio.CancelledError:
            tally.on_result(Result(outcome=Outcome.CANCELLED, latency_s=time.perf_counter() - began_s))
            raise
        finally:
            self._slots.release()
        tally.on_result(result)


async def _sleep_until(due_s: float) -> None:
    """Return at ``due_s``, not up to a millisecond later: the last bit is spent polling, which reads answers.

    Yields at least once, also when late: the answers must be read while a backlog is sent.
    """
    await asyncio.sleep(max(0.0, due_s - time.perf_counter() - TIMER_SLACK_S))
    while time.perf_counter() < due_s:  # noqa: ASYNC110 - there is no event to wait for, only the clock
        await asyncio.sleep(0)
