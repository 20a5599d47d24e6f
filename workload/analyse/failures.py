"""How often requests fail: over time, against load and burstiness, by class and reason. Pure."""

import numpy as np
from numpy.typing import NDArray

from streams.stats.wilson import wilson_bounds
from workload.analyse.burstiness import GAPS_MIN
from workload.analyse.facts import Failures
from workload.analyse.plain import Columns
from workload.analyse.quantiles import correlation, ranks
from workload.analyse.rates import nice_step_s
from workload.analyse.windows import window_rates
from workload.trace.columns import Int64s, Labels, OutcomeCode, Trace

Floats = NDArray[np.float64]

_Z_95 = 1.959963984540054
_PARTS = 10
_WINDOWS_MIN = 10
_SECOND_US = 1_000_000


def failures(trace: Trace, window_s: int, starts_s: Floats, cv: Floats) -> Failures:
    """Return the facts of ``facts.Failures`` of a trace in order of time.

    ``starts_s`` and ``cv`` are the windows of ``burstiness`` (of all requests) and their CV, NaN where not known.
    """
    failed, cancelled = trace.failed, trace.outcome == OutcomeCode.CANCELLED
    answered = ~cancelled
    n, k = int(answered.sum()), int(failed.sum())
    bounds = wilson_bounds(k, n)
    step_s, over_time = _over_time(trace.submitted_us, failed, answered)
    edges_us = np.append(starts_s, np.inf) * _SECOND_US
    places = np.searchsorted(trace.submitted_us, edges_us[:-1])
    window_failed, window_n = (_per_window(column, places) for column in (failed, answered))
    requests = np.diff(places, append=len(trace)).astype(np.int64)
    unit_us = _SECOND_US if trace.resolution_us >= _SECOND_US else 1
    ends = trace.submitted_us[[0, -1]] // unit_us * unit_us / _SECOND_US if len(trace) else np.zeros(2)
    rate = window_rates(starts_s, requests, window_s, (float(ends[0]), float(ends[1])))[1]
    return Failures(
        n=n,
        failed=k,
        cancelled=len(trace) - n,
        ratio=k / n if n else None,
        lower=bounds[0] if bounds else None,
        upper=bounds[1] if bounds else None,
        step_s=step_s,
        over_time=over_time,
        by_load=_by(rate, window_n, window_failed, "per_s"),
        by_burstiness=_by(cv, window_n, window_failed, "cv"),
        by_model=_by_label(trace.model, failed, answered),
        by_log_type=_by_label(trace.log_type, failed, answered),
        by_service=_by_label(trace.service, failed, answered),
        by_reason=_reasons(trace.reason, failed),
        rate_correlation=_against(rate, window_n, window_failed),
        cv_correlation=_against(cv, window_n, window_failed),
    )


def ratios(n: Int64s, failed: Int64s) -> Columns:
    """Return ``n``, ``failed``, ``ratio`` and Wilson's 95 % bounds ``lower``, ``upper`` of arrays; NaN where n is 0.

    The formulas of ``streams.stats.wilson``.
    """
    with np.errstate(all="ignore"):
        p, z2 = failed / n, _Z_95**2
        scale = 1 + z2 / n
        centre = (p + z2 / (2 * n)) / scale
        half = _Z_95 * np.sqrt(p * (1 - p) / n + z2 / (4.0 * n * n)) / scale
        lower = np.where(failed == 0, 0.0, np.maximum(0, centre - half))
        upper = np.where(failed == n, 1.0, np.minimum(1, centre + half))
    unknown = n == 0
    lower[unknown] = upper[unknown] = np.nan
    return {"n": n, "failed": failed, "ratio": p, "lower": lower, "upper": upper}


def _per_window(column: NDArray[np.bool_], places: Int64s) -> Int64s:
    upto = np.concatenate([[0], np.cumsum(column, dtype=np.int64)])
    inside: Int64s = np.diff(upto[np.append(places, len(column))])
    return inside


def _over_time(times_us: Int64s, failed: NDArray[np.bool_], answered: NDArray[np.bool_]) -> tuple[float, Columns]:
    if not len(times_us):
        return 60.0, {"start_s": [], **ratios(np.zeros(0, np.int64), np.zeros(0, np.int64))}
    step_s = nice_step_s(float(times_us[-1] - times_us[0]) / _SECOND_US, least_s=60)
    step_us = step_s * _SECOND_US
    edges = np.arange(int(times_us[0]) // step_us, int(times_us[-1]) // step_us + 1) * step_us
    places = np.searchsorted(times_us, edges)
    return step_s, {
        "start_s": edges / _SECOND_US,
        **ratios(_per_window(answered, places), _per_window(failed, places)),
    }


def _by(values: Floats, n: Int64s, failed: Int64s, unit: str) -> Columns:
    """Return the failed ratio in tenths of the windows, by ``values``; equal values stay together."""
    known = np.isfinite(values)
    values, n, failed = values[known], n[known], failed[known]
    if not len(values):
        return {f"from_{unit}": [], f"to_{unit}": [], "windows": [], **ratios(n, failed)}
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _PARTS + 1)))
    place = np.clip(np.searchsorted(edges, values, "right") - 1, 0, max(len(edges) - 2, 0))
    bins = max(len(edges) - 1, 1)
    total, bad, windows = (
        np.bincount(place, weights, bins).astype(np.int64) for weights in (n, failed, np.ones(len(n)))
    )
    return {
        f"from_{unit}": edges[:bins],
        f"to_{unit}": edges[1:] if len(edges) > 1 else edges,
        "windows": windows,
        **ratios(total, bad),
    }


def _by_label(labels: Labels, failed: NDArray[np.bool_], answered: NDArray[np.bool_]) -> Columns:
    counts = [np.bincount(labels.codes[rows] + 1, minlength=len(labels.names) + 1)[1:] for rows in (answered, failed)]
    used = np.flatnonzero(counts[0])
    used = used[np.argsort(-counts[0][used], kind="stable")]
    return {"name": [labels.names[i] for i in used], **ratios(counts[0][used], counts[1][used])}


def _reasons(reason: Labels, failed: NDArray[np.bool_]) -> Columns:
    count = np.bincount(reason.codes[failed] + 1, minlength=len(reason.names) + 1)
    used = np.flatnonzero(count[1:])
    used = used[np.argsort(-count[1:][used], kind="stable")]
    told = count[1:][used]
    return {
        "name": [reason.names[i] for i in used],
        "failed": told,
        "share": told / max(int(count.sum()), 1),
    }


def _against(values: Floats, n: Int64s, failed: Int64s) -> float | None:
    """Return Spearman's correlation of ``values`` with the failed ratio, over windows of enough requests."""
    kept = np.isfinite(values) & (n > GAPS_MIN)
    if kept.sum() < _WINDOWS_MIN or not failed[kept].any():
        return None
    return correlation(ranks(values[kept]), ranks(failed[kept] / n[kept]))
