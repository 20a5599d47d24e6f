"""Traces whose truth is known, for those who estimate it: renewal arrivals, correlated lengths, sessions."""

import numpy as np

from workload.trace.columns import Labels, Trace


def renewal_us(rng: np.random.Generator, alpha: float, rate_per_s: float, *, span_s: float) -> np.ndarray:
    """Return stamps (us) of a Gamma renewal process that has gone on for long before time 0."""
    warm_s = 30 / (alpha * rate_per_s)
    expected = rate_per_s * (span_s + warm_s)
    n = int(expected + 8 * np.sqrt(expected / alpha) + 50)
    times = np.cumsum(rng.gamma(alpha, 1 / (alpha * rate_per_s), n)) - warm_s
    assert times[-1] > span_s
    return (times[(times >= 0) & (times < span_s)] * 1e6).astype(np.int64)


def plain(submitted_us: np.ndarray, seed: int = 1, **columns: object) -> Trace:
    """Return a trace with log-normal lengths whose logarithms are correlated by 0.6 (unless ``columns`` say else)."""
    rng, n = np.random.default_rng(seed), len(submitted_us)
    a, b = rng.standard_normal((2, n))
    known = {
        "request_tokens": np.maximum(np.rint(np.exp(5.5 + a)), 1).astype(np.int32),
        "response_tokens": np.maximum(np.rint(np.exp(4.0 + 1.2 * (0.6 * a + 0.8 * b))), 1).astype(np.int32),
    }
    return Trace.build(submitted_us, **{**known, **columns})


def conversations(rng: np.random.Generator, *, sessions: int, rate_per_s: float, turns: np.ndarray) -> Trace:
    """Return sessions that begin like a Poisson process, with P(1), P(2), ... turns a median of 60 s apart."""
    starts = np.cumsum(rng.exponential(1 / rate_per_s, sessions))
    counts = rng.choice(np.arange(1, len(turns) + 1), sessions, p=turns)
    code = np.repeat(np.arange(sessions), counts)
    head = np.append(True, code[1:] != code[:-1])
    think = np.where(head, 0.0, np.exp(np.log(60.0) + rng.standard_normal(len(code))))
    since = np.cumsum(think)
    times = np.repeat(starts, counts) + since - np.repeat(since[head], counts)
    grown = np.cumsum(np.where(head, 0, 50))
    request = 100 + grown - np.repeat(grown[head], counts)
    order = np.argsort(times, kind="stable")
    return plain(
        (times[order] * 1e6).astype(np.int64),
        request_tokens=request[order].astype(np.int32),
        session=Labels(code[order].astype(np.int32), tuple(f"s{i}" for i in range(sessions))),
    )
