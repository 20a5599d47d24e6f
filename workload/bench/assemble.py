"""The parts of a benchmark put together into its result. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from workload.bench.assumptions import of_every
from workload.bench.plan import Plan
from workload.bench.result import (
    FORMAT,
    VERSION,
    KvHeadroom,
    RateHeadroom,
    Result,
    Run,
    Server,
    ServerHeadroom,
    Workload,
)
from workload.bench.verdict import verdict


@dataclass(slots=True)
class Findings:
    """What was measured so far, at every moment of a benchmark."""

    runs: list[Run] = field(default_factory=list)
    rates: list[RateHeadroom] = field(default_factory=list)
    servers: list[ServerHeadroom] = field(default_factory=list)
    memory: list[KvHeadroom] = field(default_factory=list)
    complete: bool = True


def assemble(plan: Plan, found: Findings, server: Server, *, assumptions: Sequence[str], elapsed_s: float) -> Result:
    """Return the whole result, verdict and assumptions included."""
    lengths = plan.source.trace
    judged = verdict(
        found.runs, plan.slo, rate_headroom=found.rates, server_headroom=found.servers, kv_headroom=found.memory
    )
    if not found.complete:
        points, all_points = len(found.runs), len(plan.points())
        done = f"{points} of {all_points} points were measured" if points < all_points else "the searches are not whole"
        if found.runs and found.runs[-1]["interrupted"]:
            done += ", the last of them in part: what was still open does not count, so it looks better than it is"
        judged["sentences"].append(f"Ended early: {done}.")
    return Result(
        format=FORMAT,
        version=VERSION,
        complete=found.complete,
        elapsed_s=elapsed_s,
        server=server,
        workload=Workload(
            name=plan.source.name,
            seed=plan.seed,
            request_tokens_mean=float(lengths.request_tokens.mean()),
            response_tokens_mean=float(lengths.response_tokens.mean()),
        ),
        slo=plan.slo,
        runs=found.runs,
        verdict=judged,
        assumptions=[*assumptions, *of_every(plan, found.runs)],
    )
