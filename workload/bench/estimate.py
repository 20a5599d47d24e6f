"""How much KV memory a real server would need at each point, from its calm run. Pure."""

from collections.abc import Iterator, Sequence

from workload.bench.engine_metrics import Reading
from workload.bench.kv_demand import CalmSpeeds, needed_tokens
from workload.bench.plan import Plan
from workload.bench.result import KvHeadroom, Run


def estimated_memory(plan: Plan, runs: Sequence[Run], metrics: Reading | None) -> Iterator[KvHeadroom]:
    """Yield the estimate for every point measured; nothing if no calm run was timed.

    The calm run is the one with the lowest CV at the lowest rate.
    """
    calm = min(runs, key=lambda run: (run["rate_target_per_s"], run["cv_target"]), default=None)
    if calm is None or calm["ttft_s"]["p50"] is None or not calm["tpot_s"]["p50"]:
        return
    speeds = CalmSpeeds(ttft_s=calm["ttft_s"]["p50"], tpot_s=calm["tpot_s"]["p50"])
    size = metrics.kv_tokens if metrics else None
    block_tokens = (metrics.block_tokens if metrics else None) or 1.0
    for run in sorted(runs, key=lambda run: (run["rate_target_per_s"], run["cv_target"])):
        traces = plan.traces(run["rate_target_per_s"], run["cv_target"])
        demands = [needed_tokens(one, speeds, share=plan.slo["share"], block_tokens=block_tokens) for one in traces]
        tokens = sum(demands) / len(demands)
        yield KvHeadroom(
            cv=run["cv_target"],
            rate_per_s=run["rate_target_per_s"],
            how="estimated",
            factor=tokens / size if size else None,
            blocks=tokens / block_tokens if metrics and metrics.block_tokens else None,
            tokens=tokens,
            best_ratio=None,
        )
