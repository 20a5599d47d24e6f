"""A benchmark of a real server: the sweep by replay, one run after the other, each from rest."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.schema.errors import OperatorError
from workload.bench.engine_metrics import Reading
from workload.bench.figures import figures
from workload.bench.measured import Measured
from workload.bench.plan import Plan
from workload.bench.result import RateHeadroom, Run
from workload.bench.scrape import Scraper
from workload.bench.search import bracketing
from workload.bench.server_run import measured_of
from workload.bench.verdict import headroom, holds
from workload.replay.options import ReplayOptions, SessionMode
from workload.replay.play import replay
from workload.replay.result import ReplayResult
from workload.trace.columns import OutcomeCode, Trace

REST_POLL_S = 0.5
REST_BLIND_S = 5.0  # where the server does not say whether it is idle
PROBE_RATIO = 1.2  # --find-rate: a real server's minutes are dear
PROBE_FACTOR_MAX = 8.0
CONCURRENCY_MAX = 20_000  # an open loop must not be closed by the client


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The server: its OpenAI base URL, where its metrics are, and how it is asked."""

    url: str
    metrics_url: str | None
    model: str | None = None
    api_key: str | None = None
    timeout_s: float = 300.0
    rest_max_s: float = 60.0
    warm_up_s: float = 10.0


@dataclass(slots=True, kw_only=True)
class ServerBench:
    """One benchmark; ``run`` it once. What it found so far is in its fields at every moment.

    ``watch`` is told each run before it begins. ``metrics``: the first look, None if the server told nothing.
    """

    plan: Plan
    target: Target
    stop: asyncio.Event
    watch: Callable[[str], None] = lambda _: None
    runs: list[Run] = field(default_factory=list)
    headrooms: list[RateHeadroom] = field(default_factory=list)
    metrics: Reading | None = None
    models: list[str] = field(default_factory=list)
    replays: int = 0  # begun so far

    async def run(self, *, find_rate: bool = False) -> None:
        """Measure every point of the plan, then, if asked, the rate that holds for each burstiness.

        Returns early when ``stop`` is set. Raises ``OperatorError`` if the server is not there.
        """
        async with Scraper(self.target.metrics_url) as scraper:
            self.metrics = await scraper.look()
            self.models = await scraper.models(self.target.url, self.target.api_key)
            await self._warm_up()
            for rate_per_s, cv in self.plan.points():
                if self.stop.is_set():
                    return
                run = await self._point(scraper, rate_per_s, cv)
                if run is not None:
                    self.runs.append(run)
            if find_rate:
                for cv in sorted(self.plan.cvs):
                    await self._find_rate(scraper, cv)

    async def _warm_up(self) -> None:
        """Send a little calm load that is not measured: caches, connections and compilers have been used once."""
        rate_per_s = min(self.plan.rates_per_s)
        if self.target.warm_up_s <= 0:
            return
        self.watch("warming up")
        calm = self.plan.source.at(
            1.0, rate_per_s=rate_per_s, duration_s=self.target.warm_up_s, seed=(self.plan.seed, 0)
        )
        result = await replay(calm, self._options(), self.stop)
        if not self.stop.is_set() and not (result.outcome == OutcomeCode.OK).any():
            raise OperatorError(_nothing_answered(result, self.target))

    async def _point(self, scraper: Scraper, rate_per_s: float, cv: float) -> Run | None:
        measured: list[Measured] = []
        for number, trace in enumerate(self.plan.traces(rate_per_s, cv), 1):
            of = f", {number} of {self.plan.repeats}" if self.plan.repeats > 1 else ""
            self.watch(f"CV {cv:g} at {rate_per_s:g}/s{of}")
            idle = await self._rest(scraper)
            if self.stop.is_set():
                break
            one = await self._measure(scraper, trace, idle)
            if one.sent.any():
                measured.append(one)
        if not measured:
            return None
        return figures(measured, self.plan.slo, cv=cv, rate_per_s=rate_per_s)

    async def _measure(self, scraper: Scraper, trace: Trace, idle: bool | None) -> Measured:  # noqa: FBT001 - a finding
        async with scraper.watching() as looks:
            result = await replay(trace, self._options(), self.stop)
        return measured_of(
            result, looks, asked_s=self.plan.duration_s, idle_before=idle, interrupted=self.stop.is_set()
        )

    async def _rest(self, scraper: Scraper) -> bool | None:
        """Wait until the server has no request left, looked at twice; True if it came to that, None if it is mute."""
        until_s = time.perf_counter() + self.target.rest_max_s
        quiet = 0
        while not self.stop.is_set() and time.perf_counter() < until_s:
            reading = await scraper.look()
            if reading is None or (reading.running is None and reading.waiting is None):
                await self._pause(REST_BLIND_S)
                return None
            quiet = 0 if reading.running or reading.waiting else quiet + 1
            if quiet > 1:
                return True
            await self._pause(REST_POLL_S)
        return False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _find_rate(self, scraper: Scraper, cv: float) -> None:
        """Bisect over rates; points that the sweep measured already are not measured again."""
        asked = min(self.plan.rates_per_s)
        known = {run["rate_target_per_s"]: run for run in self.runs if run["cv_target"] == cv}
        questions = bracketing(asked, bounds=(asked / PROBE_FACTOR_MAX, asked * PROBE_FACTOR_MAX), ratio=PROBE_RATIO)
        rate_per_s = next(questions)
        while not self.stop.is_set():
            run = known.get(rate_per_s) or await self._point(scraper, rate_per_s, cv)
            if run is None or run["interrupted"]:
                return
            try:
                rate_per_s = questions.send(holds(run, self.plan.slo))
            except StopIteration as found:
                self.headrooms.append(headroom(found.value, cv=cv, rate_per_s=asked))
                return

    def _options(self) -> ReplayOptions:
        target = self.target
        # Prompts of its own for every run: those of the run before would be answered by the server's prefix cache.
        self.replays += 1
        return ReplayOptions(
            urls=(target.url,),
            model=target.model or (self.models[0] if self.models else None),
            sessions=SessionMode.OPEN,
            timeout_s=target.timeout_s,
            as_recorded=False,
            concurrency_max=CONCURRENCY_MAX,
            seed=self.plan.seed * 1_000_003 + self.replays,
            api_key=target.api_key,
        )


def _nothing_answered(result: ReplayResult, target: Target) -> str:
    """Say that a whole sweep would only measure a wrong address or name."""
    seen = Counter(
        str(reason or "no reason") if status < 0 else f"{reason or 'no reason'}, HTTP {status}"
        for reason, status in zip(result.reason.values(), result.http_status.tolist(), strict=True)
    )
    told = "; ".join(f"{count} {what}" for what, count in seen.most_common(3))
    ends = target.url.rstrip("/").endswith("/v1")
    url = "--url," if ends else "--url, which does not end in /v1 (a server's API usually does),"
    return (
        f"{target.url} answered none of the {seen.total()} warm-up requests ({told}): correct {url} "
        "--served-model or --api-key-env; --warm-up-s 0 measures it nevertheless"
    )
