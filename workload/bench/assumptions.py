"""What a benchmark's figures rest on, said with them. Pure."""

from workload.bench.figures import KV_FULL_FROM
from workload.bench.plan import ASCENDING, Plan
from workload.bench.result import Run
from workload.report.numbers import duration, number, percent

FEW_REQUESTS = 200  # one failure in 200 is half a per cent


def of_every(plan: Plan, runs: list[Run]) -> list[str]:
    """Return what holds of any benchmark of this plan."""
    told = [
        f"Lengths: {plan.source.name}; every run of a rate sends the same ones. Sessions are not kept.",
        "Times are made: Gamma gaps, their number met exactly, their realised CV picked near the asked one.",
        "Every run begins with an idle server and an empty queue; what fills up over longer than a run is not seen.",
        "Times run from when a request was due, not from when it left; a failed request never meets the objective.",
        "95 %: Wilson's interval, or the one between repeats where wider.",
        f"KV full: {percent(KV_FULL_FROM)} of the cache or more in use.",
    ]
    if plan.repeats > 1:
        told.append(f"Each point is {plan.repeats} runs of {duration(plan.duration_s)} with other chance, together.")
    else:
        told.append("One run a point: requests of one burst share their fate; the 95 % intervals are too narrow.")
    if min((run["requests"] for run in runs), default=FEW_REQUESTS) < FEW_REQUESTS:
        told.append(f"Fewer than {FEW_REQUESTS} requests in a point: shares of a per cent are chance.")
    order = "calm runs first (--order random keeps drift apart)" if plan.order == ASCENDING else "in random order"
    return [*told, f"Order: {order}."]


def of_simulation() -> list[str]:
    """Return what holds of the simulated engine."""
    return [
        "SIMULATED: the engine of `burstwatch engine` in virtual time; nothing was measured on a GPU.",
        "What the simulated engine models, and what it does not: docs/simulated-engine.md.",
        "Memory and rate were searched by running again, lower rates for as much longer as their requests are fewer.",
        "At high CV a few bursts decide a run: more --repeats or a longer --duration-s leave less to chance.",
    ]


def of_server(runs: list[Run], *, told_metrics: bool, searched: bool) -> list[str]:
    """Return what holds of a real server, and what it did not tell."""
    said = ["The client and the server share what is between them; first tokens include the network."]
    if not told_metrics:
        said.append(
            "The server told nothing at its metrics address: no KV cache, queue or preemptions, no proof of rest."
        )
    if any(run["tpot_s"]["p50"] for run in runs):
        said.append(
            "KV memory is estimated by an infinite-server calculation with the calm run's speeds "
            "(workload/bench/kv_demand.py): real batches are slower, so more may be needed; queueing is allowed within "
            "the objective, so less may do."
        )
    if not searched:
        said.append("The highest rate that holds was not searched (--find-rate does, a few runs for each CV).")
    late = max((run["late_p99_s"] or 0.0 for run in runs), default=0.0)
    if late > 0.05:
        said.append(f"Requests left up to {duration(late)} late (p99 of a run): this client was too slow for the load.")
    if any(run["idle_before"] is False for run in runs):
        said.append(
            f"The server was not idle before {number(sum(r['idle_before'] is False for r in runs))} of the runs."
        )
    return said
