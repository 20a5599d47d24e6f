"""The figures of one point of the sweep, all its repeats taken together. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np

from streams.stats.incomplete_beta import beta_quantile
from streams.stats.wilson import wilson_bounds
from workload.bench.measured import Flags, Floats, Measured, met
from workload.bench.result import EngineState, Objective, Quantiles, Run, Series
from workload.trace.columns import OutcomeCode

KV_FULL_FROM = 0.97  # blocks come whole and the next request needs several: fuller than this is seldom seen
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def figures(runs: Sequence[Measured], slo: Objective, *, cv: float, rate_per_s: float) -> Run:
    """Return what ``runs`` (repeats of one burstiness and rate, at least one) show together."""
    sent = [int(run.sent.sum()) for run in runs]
    good = [int(met(run, slo).sum()) for run in runs]
    bad = [int((run.outcome == OutcomeCode.FAILED).sum()) for run in runs]
    ok = [run.ok for run in runs]
    window_s = sum(_window_s(run) for run in runs)
    slo_low, slo_high = _interval(good, sent)
    failed_low, failed_high = _interval(bad, sent)

    def timed(name: str) -> Quantiles:
        return quantiles(np.concatenate([getattr(run, name)[mask] for run, mask in zip(runs, ok, strict=True)]))

    return Run(
        cv_target=cv,
        cv=_mean([_cv(_due(run)) for run in runs]),
        rate_target_per_s=rate_per_s,
        rate_per_s=_over(sum(len(_due(run)) for run in runs), window_s),
        duration_s=sum(run.asked_s for run in runs) / len(runs),
        repeats=len(runs),
        requests=sum(sent),
        ok=sum(int(mask.sum()) for mask in ok),
        failed=sum(bad),
        cancelled=sum(int((~run.sent).sum()) for run in runs),
        slo_ok_ratio=_over(sum(good), sum(sent)),
        slo_ok_low=slo_low,
        slo_ok_high=slo_high,
        failed_ratio=_over(sum(bad), sum(sent)),
        failed_low=failed_low,
        failed_high=failed_high,
        failures=_reasons(runs),
        ttft_s=timed("ttft_s"),
        latency_s=timed("latency_s"),
        tpot_s=timed("tpot_s"),
        itl_s=timed("itl_s"),
        stall_s=timed("stall_s"),
        throughput_tokens_per_s=_over(sum(_tokens_in_time(run) for run in runs), window_s),
        throughput_per_s=_over(_count(runs, lambda run: run.ok & _in_time(run)), window_s),
        goodput_per_s=_over(_count(runs, lambda run: met(run, slo) & _in_time(run)), window_s),
        **_state(runs),
        late_p99_s=_quantile(np.concatenate([run.late_s[run.sent] for run in runs]), 0.99),
        idle_before=_all([run.idle_before for run in runs]),
        interrupted=any(run.interrupted for run in runs),
        series=_series(runs[0]),
    )


def _window_s(run: Measured) -> float:
    """Return for how long requests were sent: throughput is what leaves while they come, not in the minutes after."""
    return min(run.asked_s, run.took_s) if run.interrupted else run.asked_s


def _count(runs: Sequence[Measured], which: Callable[[Measured], Flags]) -> int:
    return sum(int(which(run).sum()) for run in runs)


def _in_time(run: Measured) -> Flags:
    """Return which answers ended while requests were still sent."""
    in_time: Flags = run.due_s + run.latency_s <= _window_s(run)
    return in_time


def _due(run: Measured) -> Floats:
    """Return when requests were due while they were sent; after an early end the rest of them never was."""
    return run.due_s[run.due_s <= _window_s(run)]


def _tokens_in_time(run: Measured) -> float:
    """Return the response tokens that came while requests were sent; those of one answer come evenly."""
    begin_s, end_s = (run.due_s + run.ttft_s)[run.ok], (run.due_s + run.latency_s)[run.ok]
    left_s = _window_s(run) - begin_s
    shares = np.clip(left_s / np.maximum(end_s - begin_s, 1e-9), 0.0, 1.0)
    return float(shares @ run.response_tokens[run.ok])


def quantiles(values: Floats) -> Quantiles:
    """Return mean, quantiles (nearest rank, as a request that was seen) and maximum; NaN are left out."""
    values = values[~np.isnan(values)]
    if not len(values):
        return Quantiles(mean=None, p50=None, p90=None, p99=None, max=None)
    p50, p90, p99 = (float(np.quantile(values, share, method="inverted_cdf")) for share in _SHARES.values())
    return Quantiles(mean=float(values.mean()), p50=p50, p90=p90, p99=p99, max=float(values.max()))


def _state(runs: Sequence[Measured]) -> EngineState:
    """Return the engine's figures; None where it told nothing."""
    seen = [run.watched for run in runs if run.watched is not None]

    def joined(name: str) -> Floats:
        values = np.concatenate([getattr(one, name) for one in seen]) if seen else np.empty(0)
        return values[~np.isnan(values)]

    kv, waiting, running = joined("kv"), joined("waiting"), joined("running")
    peaks = [peak for one in seen for peak in [one.kv_peak] if peak is not None]
    grown = [grew for one in seen for grew in [_grown(one.preemptions)] if grew is not None]
    return EngineState(
        kv_usage_mean=float(kv.mean()) if len(kv) else None,
        kv_usage_p99=_quantile(kv, 0.99),
        kv_usage_peak=max([*peaks, float(kv.max())]) if len(kv) else None,
        kv_time_full_ratio=float((kv >= KV_FULL_FROM).mean()) if len(kv) else None,
        preemptions=sum(grown) / len(runs) if grown else None,
        waiting_peak=float(waiting.max()) if len(waiting) else None,
        running_peak=float(running.max()) if len(running) else None,
    )


def _grown(counter: Floats) -> float | None:
    """Return how much a counter grew; a restart (it fell) counts from zero again."""
    told = counter[~np.isnan(counter)]
    if not len(told):
        return None
    steps = np.diff(told)
    return float(np.where(steps < 0, told[1:], steps).sum())


def _series(run: Measured) -> Series:
    watched = run.watched
    if watched is None or not len(watched.t_s):
        return Series(t_s=[], kv=[], running=[], waiting=[], preemptions=[], rate=[])
    t_s = watched.t_s
    edges = np.concatenate(([-np.inf], t_s))
    width = np.diff(t_s, prepend=t_s[0] - np.median(np.diff(t_s)) if len(t_s) > 1 else t_s[0] - 1.0)
    arrivals = np.histogram(run.due_s, edges)[0] / width
    grew = np.diff(watched.preemptions, prepend=watched.preemptions[:1])
    return Series(
        t_s=[round(t, 3) for t in t_s.tolist()],
        kv=_told(watched.kv),
        running=_told(watched.running),
        waiting=_told(watched.waiting),
        preemptions=_told(np.maximum(grew, 0.0)),
        rate=[round(rate, 3) for rate in arrivals.tolist()],
    )


def _told(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else round(value, 4) for value in values.tolist()]


def _interval(hits: Sequence[int], trials: Sequence[int]) -> tuple[float | None, float | None]:
    """Return 95 % bounds of a ratio: Wilson's over all requests, or between repeats where that is wider.

    Between repeats: mean -+ t * s / sqrt(repeats), t from Student's distribution.
    """
    wilson = wilson_bounds(sum(hits), sum(trials))
    if wilson is None:
        return None, None
    low, high = wilson
    shares = [hit / n for hit, n in zip(hits, trials, strict=True) if n]
    if len(shares) > 1:
        centre = float(np.mean(shares))
        half = student_95(len(shares) - 1) * float(np.std(shares, ddof=1)) / sqrt(len(shares))
        low, high = min(low, max(0.0, centre - half)), max(high, min(1.0, centre + half))
    return low, high


def student_95(freedom: int) -> float:
    """Return the two-sided 95 % point of Student's t: t^2 / (freedom + t^2) is Beta(1/2, freedom/2).

    >>> round(student_95(4), 3)
    2.776
    """
    x = beta_quantile(0.95, 0.5, freedom / 2)
    return sqrt(freedom * x / (1.0 - x))


def _reasons(runs: Sequence[Measured]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update(reason for reason in run.reason.values() if reason is not None)
    return {str(reason): count for reason, count in counts.most_common()}


def _cv(due_s: Floats) -> float | None:
    gaps = np.diff(due_s)
    if len(gaps) < 2 or not gaps.sum():
        return None
    return float(gaps.std(ddof=1) / gaps.mean())


def _quantile(values: Floats, share: float) -> float | None:
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) / len(told) if told else None


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _all(flags: Sequence[bool | None]) -> bool | None:
    told = [flag for flag in flags if flag is not None]
    return all(told) if told else None
