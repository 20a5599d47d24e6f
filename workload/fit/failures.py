"""How many requests fail, and whether more of them do under load. Pure."""

import numpy as np

from streams.stats.wilson import wilson_bounds
from workload.model.model import Failures, LoadBin
from workload.trace.columns import Trace

MINUTE_US = 60_000_000
_EDGES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)  # of the requests, by load
_ROWS_MIN = 400


def fit_failures(trace: Trace) -> Failures | None:
    """Return the share of failed requests of a class, by its rate in the minute where that makes a difference.

    By load: requests are cut by the rate of the minute they came in, into seven ranges (the calmest 5 % of them, up to
    20 %, ..., the busiest 5 %); the ranges are kept if the 95 % intervals (Wilson) of the least and the greatest share
    do not meet. None for no rows, and where the file does not tell failures at all (no outcome but OK, and not one
    response length).
    """
    failed = trace.failed
    n, bad = len(trace), int(failed.sum())
    if not n or (not bad and bool(np.all(trace.response_tokens < 0))):
        return None
    bounds = wilson_bounds(bad, n) or (0.0, 1.0)
    by_load = _by_load(trace)
    source = f"{bad} of {n} requests; 95 % interval {bounds[0]:.4g} to {bounds[1]:.4g}"
    if bad and not by_load:
        source += "; the load makes no difference that could be told from chance"
    return Failures(ratio=bad / n, by_load=by_load, source=source)


def _by_load(trace: Trace) -> tuple[LoadBin, ...]:
    if len(trace) < _ROWS_MIN:
        return ()
    minute = (trace.submitted_us - trace.submitted_us[0]) // MINUTE_US
    load = np.bincount(minute)[minute]
    edges = np.unique(np.quantile(load, _EDGES, method="inverted_cdf"))
    place = np.searchsorted(edges, load)
    n = np.bincount(place, minlength=len(edges)).tolist()
    bad = np.bincount(place, weights=trace.failed, minlength=len(edges)).tolist()
    bounds = [wilson_bounds(int(k), int(of)) or (0.0, 1.0) for k, of in zip(bad, n, strict=True)]
    if max(low for low, _ in bounds) <= min(high for _, high in bounds):
        return ()
    return tuple(
        LoadBin(rate_up_to_per_s=float(edge) / 60, ratio=round(k / of, 6))
        for edge, k, of in zip(edges.tolist(), bad, n, strict=True)
    )
