"""A verdict in plain words, with its numbers and how sure they are. Pure."""

from collections.abc import Iterator, Sequence

from workload.bench.result import KvHeadroom, Objective, RateHeadroom, RateVerdict, Run, ServerHeadroom, Verdict
from workload.report.numbers import duration, known, number, percent, span

CV_OFF_MAX = 0.3  # relative: beyond it a run is not what its CV says


def sentences(verdict: Verdict, runs: Sequence[Run], slo: Objective) -> list[str]:
    """Return the verdict as sentences, the most important first."""
    if not runs:
        return ["Nothing was measured."]
    return [
        *(_breaks(at, runs, slo) for at in verdict["rates"]),
        *_unlike(runs),
        *_mechanism(runs),
        *_rates(verdict["rate_headroom"]),
        *_servers(verdict["server_headroom"]),
        *_memory(verdict["kv_headroom"], runs),
    ]


def objective(slo: Objective) -> str:
    """Return the objective as words: who must be served how well.

    >>> objective({"ttft_s": 2.0, "tpot_s": None, "latency_s": None, "share": 0.99, "failed_ratio_max": 0.01})
    '99 % of requests with a first token within 2 s; at most 1 % failed'
    """
    bounds = [
        f"{words} {duration(bound)}"
        for words, bound in (
            ("a first token within", slo["ttft_s"]),
            ("a time per token of at most", slo["tpot_s"]),
            ("a whole answer within", slo["latency_s"]),
        )
        if bound is not None
    ]
    asked = " and ".join(bounds) or "an answer"
    return f"{percent(slo['share'])} of requests with {asked}; at most {percent(slo['failed_ratio_max'])} failed"


def _breaks(at: RateVerdict, runs: Sequence[Run], slo: Objective) -> str:
    of_rate = {run["cv_target"]: run for run in runs if run["rate_target_per_s"] == at["rate_per_s"]}
    rate = f"{number(at['rate_per_s'])} requests/s"
    if at["fails_from_cv"] is None:
        worst = of_rate[max(of_rate)]
        return (
            f"At {rate} the objective ({objective(slo)}) holds at every burstiness tried, up to CV "
            f"{_cv(max(of_rate))}: {_share(worst)} met it."
        )
    run = of_rate[at["fails_from_cv"]]
    begins = f"fails from CV {_cv(at['fails_from_cv'])}"
    if at["holds_to_cv"] is not None:
        begins = f"holds up to CV {_cv(at['holds_to_cv'])} and {begins}"
    told = f"At {rate} the objective ({objective(slo)}) {begins}: {_share(run)} met it, {_failures(run)}."
    if at["surely_fails_from_cv"] is None:
        return f"{told} With so few requests this may be chance: a longer run would tell."
    if at["surely_fails_from_cv"] != at["fails_from_cv"]:
        alone = "" if run["repeats"] > 1 else ", were the requests of a burst independent"
        return f"{told} Beyond chance (95 %{alone}) from CV {_cv(at['surely_fails_from_cv'])}."
    return told


def _share(run: Run) -> str:
    interval = span(run["slo_ok_low"], run["slo_ok_high"])
    return f"{percent(run['slo_ok_ratio'])} of {number(run['requests'])} requests (95 %: {interval})"


def _failures(run: Run) -> str:
    if not run["failures"]:
        return "none failed"
    reasons = ", ".join(f"{number(count)} {reason.replace('_', ' ')}" for reason, count in run["failures"].items())
    return f"{percent(run['failed_ratio'])} failed ({reasons})"


def _unlike(runs: Sequence[Run]) -> Iterator[str]:
    """Say where what was sent is not the burstiness asked for: n gaps have a CV of at most sqrt(n - 1)."""
    off = [run for run in runs if run["cv"] is None or abs(run["cv"] / run["cv_target"] - 1.0) > CV_OFF_MAX]
    if off:
        told = ", ".join(
            f"{number(run['cv'])} for CV {_cv(run['cv_target'])} at {number(run['rate_target_per_s'])}/s" for run in off
        )
        yield (
            f"NOT THE BURSTINESS ASKED FOR: {told}. So few requests hold no such bursts, and what is said of these CV "
            "here is of what was sent; a longer --duration-s comes nearer."
        )


def _mechanism(runs: Sequence[Run]) -> Iterator[str]:
    """Say what rising burstiness did at the lowest rate: the paper's finding, or its absence."""
    rate = min(run["rate_target_per_s"] for run in runs)
    of_rate = sorted((run for run in runs if run["rate_target_per_s"] == rate), key=lambda run: run["cv_target"])
    calm, wild = of_rate[0], of_rate[-1]
    if calm is wild:
        return
    changes = [
        f"{words} {show(calm_value)} -> {show(wild_value)}"
        for words, show, calm_value, wild_value in (
            ("KV cache peak", percent, calm["kv_usage_peak"], wild["kv_usage_peak"]),
            ("preemptions a run", number, calm["preemptions"], wild["preemptions"]),
            ("failed", percent, calm["failed_ratio"], wild["failed_ratio"]),
            ("first token p99", duration, calm["ttft_s"]["p99"], wild["ttft_s"]["p99"]),
            ("latency p99", duration, calm["latency_s"]["p99"], wild["latency_s"]["p99"]),
        )
        if known(calm_value) and known(wild_value)
    ]
    yield (
        f"Same rate ({number(rate)}/s) and same lengths, burstiness alone from CV {_cv(calm['cv_target'])} to "
        f"{_cv(wild['cv_target'])}: {', '.join(changes)}."
    )


def _rates(found: Sequence[RateHeadroom]) -> Iterator[str]:
    """Say up to which rate each burstiness holds, and what the burstiest costs."""
    if not found:
        return
    told = ", ".join(f"{_up_to(one)} at CV {_cv(one['cv'])}" for one in found)
    yield f"Rate headroom, up to which the objective holds: {told}."
    calm, wild = found[0], found[-1]
    if calm["low_per_s"] and wild["low_per_s"] and calm is not wild and wild["low_per_s"] < calm["low_per_s"]:
        lost = 1 - wild["low_per_s"] / calm["low_per_s"]
        yield (
            f"Burstiness (CV {_cv(calm['cv'])} to {_cv(wild['cv'])}) costs {percent(lost)} of the rate: at a lower one "
            "the bursts come further apart but are as large."
        )


def _servers(found: Sequence[ServerHeadroom]) -> Iterator[str]:
    """Say how many such servers carry each rate where one does not."""
    for rate_per_s in sorted({one["rate_per_s"] for one in found}):
        of_rate = [one for one in found if one["rate_per_s"] == rate_per_s]
        if all(one["servers"] == 1 for one in of_rate):
            continue
        told = ", ".join(f"{_many(one['servers'])} at CV {_cv(one['cv'])}" for one in of_rate)
        yield f"Servers that carry {number(rate_per_s)}/s, requests shared out among them by chance: {told}."


def _many(servers: int | None) -> str:
    return "not even 64" if servers is None else str(servers)


def _up_to(one: RateHeadroom) -> str:
    low, high = one["low_per_s"], one["high_per_s"]
    if low is None:
        return f"no rate tried (not even {number(high)}/s)"
    return f"{number(low)}/s" if high is not None else f"{number(low)}/s or more (every rate tried)"


def _memory(found: Sequence[KvHeadroom], runs: Sequence[Run]) -> Iterator[str]:
    """Say how much memory holds the objective, rate by rate, and where none does."""
    met = {(run["rate_target_per_s"], run["cv_target"]): run["slo_ok_ratio"] for run in runs}
    for rate_per_s in sorted({one["rate_per_s"] for one in found}):
        of_rate = [one for one in found if one["rate_per_s"] == rate_per_s]
        estimated = any(one["how"] == "estimated" for one in of_rate)
        enough = [one for one in of_rate if one["tokens"] is not None]
        if enough:
            told = ", ".join(f"{_size(one)} at CV {_cv(one['cv'])}" for one in enough)
            by = " (estimated from calm speeds; whether compute binds before is not known)" if estimated else ""
            yield f"KV need of {number(rate_per_s)}/s{by}: {told}."
        for one in of_rate:
            if one["tokens"] is None and not estimated:
                now, best = met.get((rate_per_s, one["cv"])), one["best_ratio"]
                yield (
                    f"At CV {_cv(one['cv'])} and {number(rate_per_s)}/s no amount of KV memory is enough: boundless, "
                    f"the share that meets the objective goes from {percent(now)} to {percent(best)}; compute, "
                    "the batch or the queue binds."
                )


def _size(one: KvHeadroom) -> str:
    tokens = f"{number(round(one['tokens'] or 0))} tokens"
    return tokens if one["factor"] is None else f"{number(one['factor'])} times what there is ({tokens})"


def _cv(value: float) -> str:
    return f"{value:g}"
