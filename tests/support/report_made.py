"""Traces and results made for the tests of reports: small, seeded, with names that attack the page."""

from typing import Any

import numpy as np

from workload.trace.columns import Labels, Trace

HOSTILE = "<script>alert('x')</script>"
HOSTILE_MATH = "_$\\frac{1}$ & #0f0e04"


def trace(n: int = 3000, seed: int = 1, *, rate_per_s: float = 1.0, alpha: float = 0.4) -> Trace:
    """Return a trace with two models (one hostile), two log types, sessions and failures by reason."""
    rng = np.random.default_rng(seed)
    gaps = rng.gamma(alpha, 1 / (alpha * rate_per_s), n)
    talk = rng.random(n) < 0.4
    failed = rng.random(n) < 0.1
    request = rng.lognormal(5.5, 1, n).astype(np.int32) + 1
    response = np.where(failed, 0, (rng.lognormal(3, 1, n) + request / 20).astype(np.int32) + 1).astype(np.int32)
    return Trace.build(
        np.cumsum(gaps * 1e6).astype(np.int64),
        request_tokens=request,
        response_tokens=response,
        elapsed_us=(rng.gamma(2, 1e6, n)).astype(np.int64),
        model=Labels(rng.integers(0, 2, n).astype(np.int32), ("ChatGPT", HOSTILE)),
        log_type=Labels(talk.astype(np.int32), ("API log", "Conversation log")),
        session=Labels(np.where(talk, rng.integers(0, 300, n), -1).astype(np.int32), tuple(map(str, range(300)))),
        reason=Labels(np.where(failed, rng.integers(0, 2, n), -1).astype(np.int32), ("queue_full", HOSTILE_MATH)),
    )


def bare(n: int, *, gap_us: int = 1_500_000) -> Trace:
    """Return a trace that tells times and nothing else."""
    return Trace.build(np.arange(n, dtype=np.int64) * gap_us)


def _quantiles(base: float) -> dict[str, float]:
    return {"mean": base, "p50": base * 0.9, "p90": base * 2, "p99": base * 7, "max": base * 9}


def run(cv: float, rate: float, ok: float) -> dict[str, Any]:
    """Return one run of a benchmark, as workload/bench/result.py describes it."""
    t = [float(second) for second in range(60)]
    kv = [min(1.0, 0.1 * cv + second / 100) for second in range(60)]
    failures = {"queue_full": round(1000 * (1 - ok)), HOSTILE: 3} if ok < 1 else {}
    return {
        "cv_target": cv,
        "cv": cv * 1.03,
        "rate_target_per_s": rate,
        "rate_per_s": rate * 0.99,
        "duration_s": 60.0,
        "repeats": 1,
        "requests": 1234,
        "ok": 1000,
        "failed": 3,
        "cancelled": 0,
        "slo_ok_ratio": ok,
        "slo_ok_low": ok * 0.98,
        "slo_ok_high": min(1.0, ok * 1.01),
        "failed_ratio": 1 - ok,
        "failed_low": 0.9 * (1 - ok),
        "failed_high": 1.1 * (1 - ok),
        "failures": failures,
        "ttft_s": _quantiles(0.0517 * cv),
        "latency_s": _quantiles(1.93 * cv),
        "tpot_s": _quantiles(0.0213),
        "itl_s": _quantiles(0.0213),
        "stall_s": _quantiles(0.0871),
        "throughput_tokens_per_s": 432.1,
        "throughput_per_s": rate,
        "goodput_per_s": rate * ok,
        "kv_usage_mean": 0.4,
        "kv_usage_p99": 0.8,
        "kv_usage_peak": max(kv),
        "kv_time_full_ratio": 0.0371,
        "preemptions": 17.0,
        "waiting_peak": 61.0,
        "running_peak": 9.0,
        "late_p99_s": 0.0,
        "idle_before": True,
        "interrupted": False,
        "series": {"t_s": t, "kv": kv, "running": t, "waiting": t, "preemptions": t, "rate": t},
    }


def result(rates: tuple[float, ...] = (4.0, 8.0)) -> dict[str, Any]:
    """Return a whole benchmark that begins to fail at CV 4."""
    return {
        "format": "burstwatch-bench",
        "version": 1,
        "complete": True,
        "elapsed_s": 3.0,
        "server": {"url": None, "simulated": True, "engine": "simulated", "models": [HOSTILE], "kv_blocks": 2600.0},
        "workload": {"name": "built-in", "seed": 1, "request_tokens_mean": 431.0, "response_tokens_mean": 97.0},
        "slo": {"ttft_s": 2.0, "tpot_s": 0.2, "latency_s": None, "share": 0.99, "failed_ratio_max": 0.01},
        "runs": [run(cv, rate, ok) for rate in rates for cv, ok in ((1.0, 1.0), (4.0, 0.853))],
        "verdict": {
            "fails_from_cv": 4.0,
            "surely_fails_from_cv": 4.0,
            "rates": [],
            "rate_headroom": [{"cv": 4.0, "rate_per_s": 4.0, "low_per_s": 2.71, "high_per_s": 2.93, "of_rate": 0.678}],
            "kv_headroom": [
                {
                    "cv": 4.0,
                    "rate_per_s": 4.0,
                    "how": "searched",
                    "factor": 1.83,
                    "blocks": 4758.0,
                    "tokens": 76_128.0,
                    "best_ratio": None,
                }
            ],
            "sentences": ["At 4 requests/s it fails from CV 4.", f"Named {HOSTILE}."],
        },
        "assumptions": ["SIMULATED: nothing was measured on a GPU."],
    }
