"""Failure alarms on simulated truth: false alarms, what is found and how soon, beside the rules everybody writes."""

import numpy as np
import pytest

from streams.processors.failures import FailureDetector
from streams.processors.settings import AnalysisSettings
from streams.stats.burn_rate import BURN_RULES
from tests.bench.tables import Table
from tests.support.failure_seconds import shown

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

DAY = 86_400
DAYS = 20
RATES = (0.02, 0.1, 0.5, 5.0)
RATIOS = (0.05, 0.2, 0.5)
BUDGET, BASE = 0.01, 0.005
OUTAGE_S, EVERY_S = 600, DAY // 2
QUIET_S = 300  # an alarm that comes back sooner is the same alarm


def simulate(rate: float, ratio: float | None, seed: int):
    """(completions, failures) per second and the starts of the outages."""
    rng = np.random.default_rng(seed)
    ended = rng.poisson(rate, DAYS * DAY)
    p = np.full(len(ended), BASE)
    starts = [] if ratio is None else list(range(EVERY_S // 2, len(p), EVERY_S))
    for start in starts:
        p[start : start + OUTAGE_S] = ratio
    return ended, rng.binomial(ended, p), starts


def rolling(values, window_s: int):
    """Sums over the last ``window_s`` seconds, each second."""
    sums = np.concatenate([[0], np.cumsum(values)])
    at = np.arange(1, len(sums))
    return sums[at] - sums[np.maximum(at - window_s, 0)]


def lower(k, n, z: float):
    """Wilson's lower bound, 0 without completions."""
    n = np.maximum(n, 1)
    p = k / n
    return (p + z * z / (2 * n) - z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)


def ratio_above(level: float, *windows_s: int):
    """The raw failure ratio of every window is above ``level``."""

    def rule(ended, failed):
        on = [rolling(failed, w) > level * np.maximum(rolling(ended, w), 1) for w in windows_s]
        return np.logical_and.reduce(on)

    return rule


def sure_of_the_budget(ended, failed):
    """One window: the 99.9 % bound over 5 min above the budget, two failures in the last minute."""
    return (lower(rolling(failed, 300), rolling(ended, 300), 3.2905) > BUDGET) & (rolling(failed, 60) >= 2)


RULES = {
    "raw ratio 5m > 5 %": ratio_above(0.05, 300),
    "raw ratio 1m > 5 %": ratio_above(0.05, 60),
    "raw ratio 5m & 10s > 14.4 b": ratio_above(14.4 * BUDGET, 300, 10),
    **{
        f"SRE {r.long_s // 3600}h & {r.short_s // 60}m > {r.factor:g} b": ratio_above(
            r.factor * BUDGET, r.long_s, r.short_s
        )
        for r in BURN_RULES
    },
    "LB99.9(5m) > b & 2 in 1m": sure_of_the_budget,
}


def alarms(on) -> list[int]:
    """Seconds in which an alarm begins."""
    at = np.flatnonzero(on)
    return at[np.diff(at, prepend=-DAY) > QUIET_S].tolist()


def score(begins: list[int], starts: list[int]) -> str:
    """'detected % / median delay' of alarms that begin within an outage."""
    delays = [min((b - s + 1 for b in begins if 0 <= b - s < OUTAGE_S), default=None) for s in starts]
    seen = [delay for delay in delays if delay is not None]
    return f"{100 * len(seen) / len(starts):.0f} % / {np.median(seen):.0f} s" if seen else "0 %"


def test_failure_alarms_beside_the_rules_everybody_writes():
    table = Table(
        "failures",
        f"{DAYS} days a cell, budget {BUDGET:g}, base {BASE:g}; false alarms a day on nulls, then % found / median "
        "delay of 10-min outages by failure ratio",
    )
    ours: dict[float, dict] = {}
    for rate in RATES:
        truths = {ratio: simulate(rate, ratio, seed) for seed, ratio in enumerate((None, *RATIOS), 7)}
        for name, rule in RULES.items():
            found = {ratio: alarms(rule(ended, failed)) for ratio, (ended, failed, _) in truths.items()}
            cells = {f"{ratio:.0%}": score(found[ratio], truths[ratio][2]) for ratio in RATIOS}
            table.add(f"{name}, {rate:g}/s", false_a_day=len(found[None]) / DAYS, **cells)
        found = {ratio: episodes(ended, failed) for ratio, (ended, failed, _) in truths.items()}
        begins = {ratio: [e.detected // 10**6 - 1 for e in ends] for ratio, ends in found.items()}
        cells = {f"{ratio:.0%}": score(begins[ratio], truths[ratio][2]) for ratio in RATIOS}
        ours[rate] = {"false": len(found[None]) / DAYS, **cells}
        table.add(f"ours, {rate:g}/s", false_a_day=ours[rate]["false"], **cells)
    table.finish()
    assert all(row["false"] <= 0.3 for row in ours.values())
    assert ours[5.0]["20%"].startswith("100 %")
    assert ours[0.1]["50%"].startswith("100 %")


def episodes(ended, failed) -> list:
    """The ended episodes our detector finds."""
    detector = FailureDetector("bench", AnalysisSettings(failure_budget_ratio=BUDGET))
    found = shown(detector, 0, ended.tolist(), failed.tolist())
    return [e for e in found if e.state == "end"]


def test_when_an_episode_begins_and_ends():
    table = Table(
        "failure_episodes",
        f"{DAYS} days a row, 10-min outages; onset and end against the truth in s (10th, 50th, 90th percentile)",
    )
    for rate in RATES:
        for ratio in RATIOS:
            ended, failed, starts = simulate(rate, ratio, 3)
            ends = episodes(ended, failed)
            hits = [[e for e in ends if s < e.detected / 1e6 and e.onset / 1e6 < s + OUTAGE_S] for s in starts]
            seen = [(s, mine) for s, mine in zip(starts, hits, strict=True) if mine]
            if len(seen) < 5:
                continue
            begin = np.percentile([mine[0].onset / 1e6 - s for s, mine in seen], [10, 50, 90])
            end = np.percentile([mine[-1].end / 1e6 - s - OUTAGE_S for s, mine in seen], [10, 50, 90])
            table.add(
                f"{ratio:.0%} failing, {rate:g}/s",
                found=len(seen),
                of=len(starts),
                episodes_each=float(np.mean([len(mine) for _, mine in seen])),
                onset_off_s=" ".join(f"{value:.0f}" for value in begin),
                end_off_s=" ".join(f"{value:.0f}" for value in end),
            )
    table.finish()
    assert {row["of"] for row in table.rows} == {2 * DAYS}
