"""The runs of a benchmark in the order they are shown, and their columns: the same on the terminal and on a page. Pure.

A result is the dict of ``burstwatch workload bench --json``. What it does not hold is shown as ``-``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from workload.report.numbers import duration, known, number, percent

Run: TypeAlias = Mapping[str, Any]
Column: TypeAlias = tuple[str, Callable[[Run], str]]

# Title, unit or meaning, and the cell. The order is that of the questions: what was sent, how fast was it, how much of
# it was good, what failed, and what the server's memory did meanwhile.
COLUMNS: Sequence[Column] = (
    ("CV", lambda run: number(cv(run))),
    ("requests", lambda run: number(run.get("requests"))),
    ("TTFT p50", lambda run: duration(quantile(run, "ttft_s", "p50"))),
    ("p99", lambda run: duration(quantile(run, "ttft_s", "p99"))),
    ("latency p50", lambda run: duration(quantile(run, "latency_s", "p50"))),
    ("p99", lambda run: duration(quantile(run, "latency_s", "p99"))),
    ("TPOT p99", lambda run: duration(quantile(run, "tpot_s", "p99"))),
    ("tokens/s", lambda run: number(run.get("throughput_tokens_per_s"))),
    ("good/s", lambda run: number(run.get("goodput_per_s"))),
    ("SLO met", lambda run: percent(run.get("slo_ok_ratio"))),
    ("failed", lambda run: percent(run.get("failed_ratio"))),
    ("KV peak", lambda run: percent(run.get("kv_usage_peak"))),
    ("KV full", lambda run: percent(run.get("kv_time_full_ratio"))),
    ("preempted", lambda run: number(run.get("preemptions"))),
    ("queue", lambda run: number(run.get("waiting_peak"))),
)
EXPLAINED = (
    "CV is that of the gaps actually sent. TTFT: time to the first token. TPOT: time per token after the first. "
    "good/s: answers a second that met the objective, while requests were sent. KV full: share of the time "
    "with 97 % of the KV cache or more in use. Queue: at its longest."
)


def cv(run: Run) -> float | None:
    """Return the burstiness the run is shown at: what was realised, else what was asked for."""
    found = run.get("cv") if known(run.get("cv")) else run.get("cv_target")
    return float(found) if known(found) else None


def rate(run: Run) -> float | None:
    """Return the rate the run belongs to: what was asked for, else what was realised."""
    found = run.get("rate_target_per_s")
    found = found if known(found) else run.get("rate_per_s")
    return float(found) if known(found) else None


def target(run: Run) -> float | None:
    """Return the burstiness asked for, else what was realised: equal for runs that belong together."""
    asked = run.get("cv_target")
    return float(asked) if known(asked) else cv(run)


def quantile(run: Run, what: str, name: str) -> float | None:
    """Return one quantile of a run, such as ``("ttft_s", "p99")``; None if it was not measured."""
    return (run.get(what) or {}).get(name)


def by_rate(result: Mapping[str, Any]) -> list[tuple[float | None, list[Run]]]:
    """Return the runs by rate, slowest first, those of a rate by burstiness; a run without either comes first."""
    groups: dict[float | None, list[Run]] = {}
    for run in result.get("runs") or ():
        asked = rate(run)
        groups.setdefault(None if asked is None else float(f"{asked:.3g}"), []).append(run)
    order = sorted(groups, key=lambda asked: -1.0 if asked is None else asked)
    return [(asked, sorted(groups[asked], key=lambda run: cv(run) or 0.0)) for asked in order]


def reasons(runs: Sequence[Run]) -> list[str]:
    """Return why requests failed in any of the runs, the most frequent first."""
    counts: dict[str, int] = {}
    for run in runs:
        for reason, n in (run.get("failures") or {}).items():
            counts[reason] = counts.get(reason, 0) + int(n)
    return sorted((reason for reason, n in counts.items() if n), key=lambda reason: (-counts[reason], reason))


def rate_title(asked: float | None) -> str:
    """Return what a group of runs is called."""
    return "Rate not told" if asked is None else f"{asked:,.4g} requests/s"


def rate_words(asked: float | None) -> str:
    """Return the rate of a group of runs, short."""
    return "-" if asked is None else f"{asked:,.4g}/s"


def described(value: object) -> str:
    """Return a setting as words: a list comma-separated, a mapping as its pairs."""
    if isinstance(value, Mapping):
        told = (f"{str(name).replace('_', ' ')} {described(of)}" for name, of in value.items() if of not in (None, []))
        return ", ".join(told) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(described(item) for item in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.6g}"
    return "-" if value is None else str(value)
