"""A whole benchmark in virtual time: the sweep, and the searches for the rate and the memory that hold. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from workload.bench.figures import figures
from workload.bench.plan import Plan
from workload.bench.result import KvHeadroom, RateHeadroom, Run, ServerHeadroom
from workload.bench.search import fewest, highest
from workload.bench.verdict import headroom, holds
from workload.bench.virtual_run import measure_virtually
from workload.engine.scheduler import Limits, Pace

RATE_FACTOR_MAX = 64.0  # searched up and down from the rate asked for
KV_FACTOR_MAX = 64.0  # searched down from what there is; up, as far as it takes
SERVERS_MAX = 64
SEARCH_RATIO = 1.05
_BOUNDLESS_BLOCKS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The simulated engine with ``limits`` and ``pace``, under a plan. ``watch`` is told each run before it begins.

    Searches begin at what was asked for: where chance makes them not quite monotone, they never contradict the sweep.
    """

    plan: Plan
    limits: Limits
    pace: Pace
    watch: Callable[[str], None] = lambda _: None
    _seen: dict[tuple[float, float, Limits], Run] = field(default_factory=dict)

    def sweep(self) -> Iterator[Run]:
        """Yield each point of the plan as it is measured."""
        for rate_per_s, cv in self.plan.points():
            self.watch(f"CV {cv:g} at {rate_per_s:g}/s")
            yield self.at(rate_per_s, cv, self.limits)

    def at(self, rate_per_s: float, cv: float, limits: Limits) -> Run:
        """Return one point, all its repeats; a point seen before is not run again."""
        point = (rate_per_s, cv, limits)
        if point not in self._seen:
            self._seen[point] = self._run(rate_per_s, cv, limits)
        return self._seen[point]

    def _run(self, rate_per_s: float, cv: float, limits: Limits) -> Run:
        # Below the rates asked for, a run lasts until as many requests came: else one burst would decide it.
        plan = self.plan
        longer = replace(plan, duration_s=plan.duration_s * max(1.0, min(plan.rates_per_s) / rate_per_s))
        runs = [
            measure_virtually(trace, limits, self.pace, asked_s=longer.duration_s)
            for trace in longer.traces(rate_per_s, cv)
        ]
        return figures(runs, plan.slo, cv=cv, rate_per_s=rate_per_s)

    def rates(self) -> Iterator[RateHeadroom]:
        """Yield, for each burstiness, the highest rate that holds: around the lowest rate asked for."""
        asked = min(self.plan.rates_per_s)
        bounds = (asked / RATE_FACTOR_MAX, asked * RATE_FACTOR_MAX)
        for cv in sorted(self.plan.cvs):

            def at_rate(rate_per_s: float, cv: float = cv) -> bool:
                self.watch(f"which rate holds at CV {cv:g}: {rate_per_s:.3g}/s")
                return holds(self.at(rate_per_s, cv, self.limits), self.plan.slo)

            yield headroom(highest(at_rate, asked, bounds=bounds, ratio=SEARCH_RATIO), cv=cv, rate_per_s=asked)

    def servers(self) -> Iterator[ServerHeadroom]:
        """Yield, for each rate and burstiness, how many such servers hold the objective together."""
        for rate_per_s in sorted(self.plan.rates_per_s):
            for cv in sorted(self.plan.cvs):

                def shared(servers: int, rate_per_s: float = rate_per_s, cv: float = cv) -> bool:
                    self.watch(f"how many servers hold CV {cv:g} at {rate_per_s:g}/s: {servers}")
                    run = self._shared(rate_per_s, cv, servers) if servers > 1 else self.at(rate_per_s, cv, self.limits)
                    return holds(run, self.plan.slo)

                yield ServerHeadroom(cv=cv, rate_per_s=rate_per_s, servers=fewest(shared, SERVERS_MAX))

    def _shared(self, rate_per_s: float, cv: float, servers: int) -> Run:
        """Return one point with its requests shared out by chance among so many servers, all of them together."""
        rng = np.random.default_rng([self.plan.seed, servers])
        parts = [
            trace.take(at == server)
            for trace in self.plan.traces(rate_per_s, cv)
            for at in [rng.integers(0, servers, len(trace))]
            for server in range(servers)
        ]
        asked_s = self.plan.duration_s
        runs = [measure_virtually(part, self.limits, self.pace, asked_s=asked_s) for part in parts if len(part)]
        return figures(runs, self.plan.slo, cv=cv, rate_per_s=rate_per_s)

    def memory(self) -> Iterator[KvHeadroom]:
        """Yield, for each burstiness and rate, the smallest cache that holds the objective."""
        for rate_per_s in sorted(self.plan.rates_per_s):
            for cv in sorted(self.plan.cvs):
                yield self._memory_at(rate_per_s, cv)

    def _memory_at(self, rate_per_s: float, cv: float) -> KvHeadroom:
        blocks = self.limits.kv_blocks

        def with_part(part: float) -> bool:
            self.watch(f"how much memory holds CV {cv:g} at {rate_per_s:g}/s: {1 / part:.3g} times")
            return holds(self.at(rate_per_s, cv, self._sized(blocks / part)), self.plan.slo)

        best = self.at(rate_per_s, cv, self._sized(_BOUNDLESS_BLOCKS))
        found = None
        if holds(best, self.plan.slo) or with_part(1.0):
            # Down to the boundless cache that holds: "no amount is enough" is never said of what some amount is.
            bounds = (min(1.0, blocks / _BOUNDLESS_BLOCKS), KV_FACTOR_MAX)
            found = highest(with_part, 1.0, bounds=bounds, ratio=SEARCH_RATIO).low
        needed = None if found is None else blocks / found
        return KvHeadroom(
            cv=cv,
            rate_per_s=rate_per_s,
            how="searched",
            factor=None if found is None else 1 / found,
            blocks=needed,
            tokens=None if needed is None else needed * self.limits.block_tokens,
            best_ratio=best["slo_ok_ratio"],
        )

    def _sized(self, blocks: float) -> Limits:
        return replace(self.limits, kv_blocks=max(1, round(blocks)))
