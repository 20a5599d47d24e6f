"""At which burstiness and rate a system starts to fail, and what buys it back. Pure."""

from collections.abc import Iterable, Sequence

from workload.bench.result import KvHeadroom, Objective, RateHeadroom, RateVerdict, Run, ServerHeadroom, Verdict
from workload.bench.search import Bracket
from workload.bench.sentences import sentences


def holds(run: Run, slo: Objective) -> bool:
    """Return whether a run meets the objective by what was seen: share of requests served well, and of failures."""
    good, failed = run["slo_ok_ratio"], run["failed_ratio"]
    return good is not None and failed is not None and good >= slo["share"] and failed <= slo["failed_ratio_max"]


def surely_fails(run: Run, slo: Objective) -> bool:
    """Return whether the run misses the objective beyond what chance explains (95 %)."""
    good, failed = run["slo_ok_high"], run["failed_low"]
    return (good is not None and good < slo["share"]) or (failed is not None and failed > slo["failed_ratio_max"])


def verdict(
    runs: Sequence[Run],
    slo: Objective,
    *,
    rate_headroom: Sequence[RateHeadroom] = (),
    server_headroom: Sequence[ServerHeadroom] = (),
    kv_headroom: Sequence[KvHeadroom] = (),
) -> Verdict:
    """Return the judgement of a sweep. ``rate_headroom`` empty: told from the rates that were swept."""
    rates = [_at_rate(rate, of_rate, slo) for rate, of_rate in by_rate(runs)]
    first = rates[0] if rates else None
    found = Verdict(
        fails_from_cv=first["fails_from_cv"] if first else None,
        surely_fails_from_cv=first["surely_fails_from_cv"] if first else None,
        rates=rates,
        rate_headroom=list(rate_headroom) or _swept_headroom(runs, slo),
        server_headroom=list(server_headroom),
        kv_headroom=list(kv_headroom),
        sentences=[],
    )
    found["sentences"] = sentences(found, runs, slo)
    return found


def by_rate(runs: Iterable[Run]) -> list[tuple[float, list[Run]]]:
    """Return the runs by the rate asked for, lowest first; those of a rate by burstiness."""
    groups: dict[float, list[Run]] = {}
    for run in runs:
        groups.setdefault(run["rate_target_per_s"], []).append(run)
    return [(rate, sorted(groups[rate], key=lambda run: run["cv_target"])) for rate in sorted(groups)]


def headroom(bracket: Bracket, *, cv: float, rate_per_s: float) -> RateHeadroom:
    """Return a search's bracket as a rate's headroom."""
    low = bracket.low
    return RateHeadroom(
        cv=cv,
        rate_per_s=rate_per_s,
        low_per_s=low,
        high_per_s=bracket.high,
        of_rate=None if low is None else low / rate_per_s,
    )


def _at_rate(rate_per_s: float, runs: Sequence[Run], slo: Objective) -> RateVerdict:
    failing = [run["cv_target"] for run in runs if not holds(run, slo)]
    surely = [run["cv_target"] for run in runs if surely_fails(run, slo)]
    first = min(failing, default=None)
    held = [run["cv_target"] for run in runs if first is None or run["cv_target"] < first]
    return RateVerdict(
        rate_per_s=rate_per_s,
        fails_from_cv=first,
        surely_fails_from_cv=min(surely, default=None),
        holds_to_cv=max(held, default=None),
    )


def _swept_headroom(runs: Sequence[Run], slo: Objective) -> list[RateHeadroom]:
    """Return, for each burstiness, between which of the swept rates it stops to hold; nothing for a single rate."""
    rates = sorted({run["rate_target_per_s"] for run in runs})
    if len(rates) < 2:
        return []
    found = []
    for cv in sorted({run["cv_target"] for run in runs}):
        of_cv = sorted((run for run in runs if run["cv_target"] == cv), key=lambda run: run["rate_target_per_s"])
        failing = [run["rate_target_per_s"] for run in of_cv if not holds(run, slo)]
        high = min(failing, default=None)
        held = [run["rate_target_per_s"] for run in of_cv if high is None or run["rate_target_per_s"] < high]
        found.append(headroom(Bracket(max(held, default=None), high), cv=cv, rate_per_s=rates[0]))
    return found
