"""A whole benchmark in virtual time: the sweep, and the searches for the rate and the memory that hold. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from workload.bench.figures import figures
from workload.bench.plan import Plan
from workload.bench.result import KvHeadroom, RateHeadroom, Run
from workload.bench.search import highest
from workload.bench.verdict import headroom, holds
from workload.bench.virtual_run import measure_virtually
from workload.engine.scheduler import Limits, Pace

RATE_FACTOR_MAX = 64.0  # searched up and down from the rate asked for
KV_FACTOR_MAX = 64.0
SEARCH_RATIO = 1.05
_BOUNDLESS_BLOCKS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The simulated engine with ``limits`` and ``pace``, under a plan. ``watch`` is told each run before it begins."""

    plan: Plan
    limits: Limits
    pace: Pace
    watch: Callable[[str], None] = lambda _: None

    def sweep(self) -> Iterator[Run]:
        """Yield each point of the plan as it is measured."""
        for rate_per_s, cv in self.plan.points():
            self.watch(f"CV {cv:g} at {rate_per_s:g}/s")
            yield self.at(rate_per_s, cv, self.limits)

    def at(self, rate_per_s: float, cv: float, limits: Limits) -> Run:
        """Return one point, all its repeats."""
        runs = [
            measure_virtually(trace, limits, self.pace, asked_s=self.plan.duration_s)
            for trace in self.plan.traces(rate_per_s, cv)
        ]
        return figures(runs, self.plan.slo, cv=cv, rate_per_s=rate_per_s)

    def rates(self) -> Iterator[RateHeadroom]:
        """Yield, for each burstiness, the highest rate that holds: around the lowest rate asked for."""
        asked = min(self.plan.rates_per_s)
        # Two requests are the fewest that have a burstiness; fewer than 20 say little about a share of 99 %.
        bounds = (max(asked / RATE_FACTOR_MAX, min(asked, 20 / self.plan.duration_s)), asked * RATE_FACTOR_MAX)
        start = asked
        for cv in sorted(self.plan.cvs):

            def at_rate(rate_per_s: float, cv: float = cv) -> bool:
                self.watch(f"which rate holds at CV {cv:g}: {rate_per_s:.3g}/s")
                return holds(self.at(rate_per_s, cv, self.limits), self.plan.slo)

            found = highest(at_rate, start, bounds=bounds, ratio=SEARCH_RATIO)
            start = found.low or start
            yield headroom(found, cv=cv, rate_per_s=asked)

    def memory(self) -> Iterator[KvHeadroom]:
        """Yield, for each burstiness and rate, the smallest cache that holds the objective."""
        for rate_per_s in sorted(self.plan.rates_per_s):
            start = 1.0
            for cv in sorted(self.plan.cvs):
                one = self._memory_at(rate_per_s, cv, start)
                start = 1.0 / one["factor"] if one["factor"] else start
                yield one

    def _memory_at(self, rate_per_s: float, cv: float, start: float) -> KvHeadroom:
        blocks = self.limits.kv_blocks

        def with_part(part: float) -> bool:
            self.watch(f"how much memory holds CV {cv:g} at {rate_per_s:g}/s: {1 / part:.3g} times")
            return holds(self.at(rate_per_s, cv, self._sized(blocks / part)), self.plan.slo)

        best = self.at(rate_per_s, cv, self._sized(_BOUNDLESS_BLOCKS))
        found = None
        if holds(best, self.plan.slo):
            found = highest(with_part, start, bounds=(1 / KV_FACTOR_MAX, KV_FACTOR_MAX), ratio=SEARCH_RATIO).low
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
