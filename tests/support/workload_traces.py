"""Traces for tests of scaling: Gamma renewal streams, rows that can be told apart, and what to ask of them."""

import numpy as np

from workload.scale.methods import period_s
from workload.scale.renewal import RateCurve, arrivals
from workload.trace.columns import Labels, Trace


def rng(seed=1):
    return np.random.default_rng(seed)


def renewal(n=40_000, rate=2.0, alpha=0.25, seed=3):
    times = arrivals(rng(seed), RateCurve.steady(n / rate, rate, alpha), n)
    return trace_of((times * 1e6).astype(np.int64))


def trace_of(submitted_us, sessions=None):
    n = len(submitted_us)
    request = np.arange(1, n + 1, dtype=np.int32)
    return Trace.build(
        np.asarray(submitted_us, np.int64),
        request_tokens=request,
        response_tokens=request * 2,
        session=Labels.of(sessions) if sessions else Labels.absent(n),
    )


def own_rate(trace):
    return len(trace) / period_s(trace)


def pairs(trace):
    return sorted(zip(trace.request_tokens.tolist(), trace.response_tokens.tolist(), strict=True))
