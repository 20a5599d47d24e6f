"""The simulated engine in virtual time: a whole trace through its scheduler with no HTTP and no waiting. Pure.

The same ``Scheduler`` that serves HTTP, driven by the trace's own clock. What the HTTP shell adds is missing: tokens
leave at the end of their step instead of in ticks (``constants.TICK_S``), and a request is in the queue the moment
it is sent. A client never gives up here; a request that waits too long for its first block is the engine's to end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from collector.schema.events import Reason
from workload.engine.scheduler import ContextExceeded, Limits, Pace, QueueFull, Scheduler
from workload.engine.sequence import End, Sequence
from workload.trace.columns import Int8s, Int64s, Labels, OutcomeCode, Trace

Floats = NDArray[np.float64]

# How often somebody who watches is told how far it is: by requests, so that the run itself reads no clock.
WATCH_EVERY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The engine's state in every interval of a run, as columns of shape (n,): ``begin_s`` to ``end_s``.

    Between intervals the engine was empty. ``blocks`` (of the cache), ``running`` and ``waiting`` hold for the whole
    interval; where several alike steps were taken as one, ``blocks`` is what was held at their end (the most).
    ``preempted`` counts what was preempted at its beginning.
    """

    begin_s: Floats
    end_s: Floats
    blocks: Int64s
    running: Int64s
    waiting: Int64s
    preempted: Int64s

    @classmethod
    def of(cls, rows: list[tuple[float, float, int, int, int, int]]) -> Self:
        """Return the columns of rows in this order of fields."""
        table = np.asarray(rows, np.float64).reshape(-1, 6)
        whole = [table[:, column].astype(np.int64) for column in range(2, 6)]
        return cls(
            begin_s=table[:, 0],
            end_s=table[:, 1],
            blocks=whole[0],
            running=whole[1],
            waiting=whole[2],
            preempted=whole[3],
        )

    def mean_of(self, values: NDArray[np.int64], *, span_s: float) -> float:
        """Return the time average of one of the columns over ``span_s`` seconds (0 while the engine was empty)."""
        return float(values @ (self.end_s - self.begin_s)) / span_s

    def at(self, times_s: Floats) -> NDArray[np.intp]:
        """Return which interval each of ``times_s`` falls into, -1 where the engine was empty."""
        place = np.searchsorted(self.begin_s, times_s, side="right") - 1
        return np.where((place >= 0) & (times_s < self.end_s[place]), place, -1) if len(self.end_s) else place


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualRun:
    """What became of each request (columns of shape (n,), seconds from the trace's first, NaN: never).

    Attributes:
        seen_s: when the scheduler first saw it: the end of the step during which it arrived.
        outcome, reason: as in a ``Trace``; a refused request ends the moment it arrives.
        gap_max_s: the longest time between two of its tokens, 0 for fewer than two.
        preemptions: how often it lost its cache.
    """

    arrived_s: Floats
    seen_s: Floats
    admitted_s: Floats
    first_token_s: Floats
    ended_s: Floats
    gap_max_s: Floats
    outcome: Int8s
    reason: Labels
    preemptions: Int64s
    timeline: Timeline


def run_virtual(
    trace: Trace, limits: Limits, pace: Pace, *, leap: bool = True, watch: Callable[[int], bool] | None = None
) -> VirtualRun:
    """Serve ``trace`` (sorted by time, token counts known, at least one token each way) to its last token.

    ``leap`` False runs every step by itself: the same result, slower. ``watch`` is told the number of requests
    submitted so far, now and then; if it returns False, no more are submitted and those left out are CANCELLED.
    """
    return _Run(trace, Scheduler(limits, pace), leap=leap).play(watch or (lambda _: True))


class _Run:
    def __init__(self, trace: Trace, scheduler: Scheduler, *, leap: bool) -> None:
        self._scheduler = scheduler
        self._leap = leap
        submitted = trace.submitted_us
        self._arrived_s: list[float] = ((submitted - submitted[:1].sum()) / 1e6).tolist()
        sizes = zip(self._arrived_s, trace.request_tokens.tolist(), trace.response_tokens.tolist(), strict=True)
        self._sequences = [
            Sequence(prompt_tokens=asked, target_tokens=answer, max_tokens=answer, arrived_s=at_s)
            for at_s, asked, answer in sizes
        ]
        n = len(self._sequences)
        self._reasons: list[Reason | None] = [None] * n
        self._seen_s = [np.nan] * n
        self._rows: list[tuple[float, float, int, int, int, int]] = []

    def play(self, watch: Callable[[int], bool]) -> VirtualRun:
        """Take requests in at their times and run steps between them."""
        now_s, place, n, scheduler = 0.0, 0, len(self._sequences), self._scheduler
        told = 0
        while True:
            while place < n and self._arrived_s[place] <= now_s:
                self._submit(place, now_s)
                place += 1
            if place - told >= WATCH_EVERY:
                told = place
                if not watch(place):
                    n = place
            if scheduler.busy:
                now_s = self._advance(now_s, self._arrived_s[place] if place < n else np.inf)
            elif place < n:
                now_s = self._arrived_s[place]
            else:
                return self._result()

    def _submit(self, place: int, now_s: float) -> None:
        sequence = self._sequences[place]
        self._seen_s[place] = now_s
        try:
            self._scheduler.submit(sequence)
        except QueueFull:
            self._reasons[place] = Reason.OVERLOADED
        except ContextExceeded:
            self._reasons[place] = Reason.CONTEXT_LENGTH
        else:
            return
        sequence.ended_s = sequence.arrived_s

    def _advance(self, now_s: float, next_s: float) -> float:
        scheduler = self._scheduler
        if self._leap and (end_s := scheduler.leap(now_s, next_s)) > now_s:
            blocks = scheduler.kv.total - scheduler.kv.free
            self._rows.append((now_s, end_s, blocks, len(scheduler.running), len(scheduler.waiting), 0))
            return end_s
        step = scheduler.step(now_s)
        end_s = now_s + step.duration_s
        self._rows.append((now_s, end_s, step.blocks, step.running, len(scheduler.waiting), step.preempted))
        return end_s

    def _result(self) -> VirtualRun:
        sequences = self._sequences
        for place, sequence in enumerate(sequences):
            if sequence.end is End.TIMEOUT:
                self._reasons[place] = Reason.TIMEOUT
        failed = np.asarray([reason is not None for reason in self._reasons], bool)
        unsent = np.asarray([sequence.ended_s is None for sequence in sequences], bool)
        outcome = np.where(unsent, OutcomeCode.CANCELLED, np.where(failed, OutcomeCode.FAILED, OutcomeCode.OK))
        return VirtualRun(
            arrived_s=np.asarray(self._arrived_s, np.float64),
            seen_s=np.asarray(self._seen_s, np.float64),
            admitted_s=_times([s.admitted_s for s in sequences]),
            first_token_s=_times([s.first_token_s for s in sequences]),
            ended_s=_times([s.ended_s for s in sequences]),
            gap_max_s=np.asarray([s.gap_max_s for s in sequences], np.float64),
            outcome=outcome.astype(np.int8),
            reason=Labels.of(self._reasons),
            preemptions=np.asarray([s.preemptions for s in sequences], np.int64),
            timeline=Timeline.of(self._rows),
        )


def _times(values: list[float | None]) -> Floats:
    return np.asarray([np.nan if value is None else value for value in values], np.float64)
