"""The simulated engine without its HTTP shell: requests in, what an agent would read and send out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.sources.vllm import engine_state
from tests.support.service_messages import SECOND, SERVICE, START, Agent, arrival, completion, reading
from workload.engine.metrics import Metrics
from workload.engine.scheduler import ContextExceeded, Limits, Pace, QueueFull, Scheduler
from workload.engine.sequence import Sequence

Request = tuple[float, int, int]  # seconds from the start, request tokens, response tokens


@dataclass
class Second:
    """One second of the engine: what arrived, what ended, what its /metrics says at the end of it."""

    arrivals: list
    completions: list
    reading: object


class EngineRun:
    """One engine under a given load; scraped once a second through its own exposition."""

    def __init__(self, requests: Iterable[Request], *, limits: Limits | None = None) -> None:
        self._requests = sorted(requests, reverse=True)
        self._scheduler = Scheduler(limits or Limits(), Pace())
        self._metrics = Metrics(self._scheduler, "m")
        self._now_s = 0.0
        self._ended: list = []

    def seconds(self, duration_s: int) -> Iterator[Second]:
        """Run, and yield what each second brought."""
        for second in range(1, duration_s + 1):
            arrivals = []
            self._ended = []
            while self._requests and self._requests[-1][0] < second:
                at_s, asked, answered = self._requests.pop()
                self._advance(at_s)
                arrivals.append(arrival(START + int(at_s * SECOND)))
                sequence = Sequence(prompt_tokens=asked, target_tokens=answered, max_tokens=answered, arrived_s=at_s)
                try:
                    self._scheduler.submit(sequence)
                except (QueueFull, ContextExceeded):
                    self._metrics.on_refusal()
                    at = START + int(at_s * SECOND)
                    self._ended.append(completion(at, outcome="failed", reason="overloaded"))
            self._advance(second)
            state = engine_state(self._metrics.exposition().decode())
            yield Second(arrivals, self._ended, reading(START + second * SECOND - 1, **state))

    def _advance(self, until_s: float) -> None:
        while self._now_s < until_s:
            if not self._scheduler.busy:
                self._now_s = until_s
                return
            step = self._scheduler.step(self._now_s)
            self._metrics.on_step(step)
            self._now_s += step.duration_s
            self._ended += [completion(START + int(self._now_s * SECOND)) for _ in step.ended]


def messages(seconds: Iterable[Second]) -> Iterator:
    """What an agent beside the engine sends of the service: a flush a second, readings first."""
    agent = Agent(key=SERVICE)
    for number, second in enumerate(seconds, 1):
        yield agent.message([second.reading])
        if second.completions:
            yield agent.message(second.completions)
        yield agent.message(second.arrivals, watermark=START + number * SECOND - 1)
