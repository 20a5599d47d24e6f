"""The engine's heartbeat: runs the scheduler in real time and tells each response when it has new tokens."""

import asyncio
from collections.abc import Callable

from workload.engine.constants import STALL_S, TICK_S
from workload.engine.metrics import Metrics
from workload.engine.scheduler import QueueFull, Scheduler
from workload.engine.sequence import Sequence


class Pulse:
    """Steps the scheduler while there is work, sleeps while there is none.

    Tokens are announced once a tick, not once a step: what lies in a response's mailbox is only how many
    tokens there are by now, so a slow reader costs no memory.
    """

    def __init__(self, scheduler: Scheduler, metrics: Metrics, *, clock: Callable[[], float]) -> None:
        self.scheduler = scheduler
        self._metrics = metrics
        self._clock = clock
        self._news: dict[Sequence, asyncio.Event] = {}
        self._work = asyncio.Event()
        self.quiet = asyncio.Event()  # set while no response is open
        self.quiet.set()

    def submit(self, sequence: Sequence) -> asyncio.Event:
        """Queue ``sequence`` and return the event set whenever it has news. Raises ``Refused``."""
        try:
            self.scheduler.submit(sequence)
        except QueueFull:
            self._metrics.on_refusal()
            raise
        self._news[sequence] = asyncio.Event()
        self._work.set()
        self.quiet.clear()
        return self._news[sequence]

    def close(self, sequence: Sequence) -> None:
        """Forget ``sequence``; if it had not ended, its blocks are free again."""
        self._news.pop(sequence, None)
        if not self._news:
            self.quiet.set()
        self.scheduler.abort(sequence, self._clock())

    async def run(self) -> None:
        """Run for ever (until cancelled)."""
        at_s = self._clock()
        while True:
            if not self.scheduler.busy:
                self._work.clear()
                await self._work.wait()
                at_s = self._clock()
            at_s, touched = self._tick(at_s)
            late_s = self._clock() - at_s
            await asyncio.sleep(max(0.0, -late_s))
            for sequence in touched:
                if (news := self._news.get(sequence)) is not None:
                    news.set()
            if late_s > STALL_S:
                at_s = self._clock()

    def _tick(self, from_s: float) -> tuple[float, set[Sequence]]:
        """Run steps until a tick has passed; return when it ends and who has new tokens."""
        at_s = from_s
        touched: set[Sequence] = set()
        while self.scheduler.busy and at_s < from_s + TICK_S:
            step = self.scheduler.step(at_s)
            self._metrics.on_step(step)
            at_s += step.duration_s
            touched.update(step.advanced)
            touched.update(step.ended)
        return at_s, touched
