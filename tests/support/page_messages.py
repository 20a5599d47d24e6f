"""Messages of llm.windows and llm.episodes with every number a function of its place: for tests of the live page."""

from typing import Any

US = 1_000_000
END = 1_700_000_000 * US


def window(seed: int, **changes: Any) -> dict[str, Any]:
    """One window's numbers; different seeds differ in all of them."""
    ratio = (seed % 40) / 100
    return {
        "arrivals": 100 + seed,
        "covered_s": 60,
        "rate": 2.0 + seed / 8,
        "gaps": 99 + seed,
        "cv": 1.0 + seed / 64,
        "gamma_shape": 0.5 + seed / 128,
        "gamma_shape_lower": 0.4 + seed / 128,
        "gamma_shape_upper": 0.6 + seed / 128,
        "dispersion_1s": 3.0 + seed / 16,
        "dispersion_1s_lower": None,
        "dispersion_1s_upper": None,
        "completions": 100,
        "failures": seed % 40,
        "failures_by_reason": {},
        "failure_ratio": ratio,
        "failure_ratio_lower": ratio / 2,
        "failure_ratio_upper": ratio + 0.05,
        "concurrency": 4.0 + seed,
        "percentiles": {
            "time_to_first_token_s": {"p95": 0.25 + seed / 1000},
            "request_duration_s": {"p95": 7.5 + seed},
        },
        **changes,
    }


def memory(kv: float, *, waiting: int = 3, lower_s: float | None = None) -> dict[str, Any]:
    """What the engines said: one engine, as full as ``kv``."""
    engine = {"node": "n1", "engine": "e0", "kv_cache_usage_ratio": kv, "running": 12, "waiting": waiting}
    later = None if lower_s is None else 4 * lower_s
    engine |= {"kv_exhaustion_lower_s": lower_s, "kv_exhaustion_estimate_s": later}
    return {"kv_usage_peak": kv, "waiting_peak": waiting, "preemptions": 0, "engines": [engine]}


def row(service: str, end: int, *, seed: int = 0, model: str = "all", **changes: Any) -> dict[str, Any]:
    """A row of llm.windows; its 1-min window has another seed than its 10-s window."""
    log_type = "all" if model == "all" else "API log"
    return {
        "v": 1,
        "id": f"{service}|{model}|{log_type}|{end}",
        "service": service,
        "model": model,
        "log_type": log_type,
        "end": end,
        "windows": {"10": window(seed), "60": window(seed + 7)},
        "memory": None,
        **changes,
    }


def burst(service: str, onset: int, end: int | None = None, **changes: Any) -> dict[str, Any]:
    """A burst of llm.episodes: its onset, or with ``end`` its end."""
    return {
        "v": 1,
        "id": f"{service}|burst|{onset}",
        "kind": "burst",
        "service": service,
        "state": "onset" if end is None else "end",
        "onset": onset,
        "detected": onset + 2 * US,
        "end": end,
        "baseline_rate": 2.0,
        "peak_rate": 16.0,
        "peak_z": 9.0,
        "arrivals": 300,
        "excess": 200.0,
        "window_s": 2,
        **changes,
    }


def failure(service: str, onset: int, end: int | None = None) -> dict[str, Any]:
    """A failure episode of llm.episodes."""
    told = {"completions": 60, "failures": 20, "failures_by_reason": {"overloaded": 20}, "attribution": "burst"}
    times = {"onset": onset, "detected": onset + 3 * US, "end": end, "state": "onset" if end is None else "end"}
    return {"v": 1, "kind": "failure", "service": service, "budget_ratio": 0.02, "peak_ratio": 0.4, **told, **times}


def pressure(service: str, onset: int, end: int | None = None, engine: str = "e0") -> dict[str, Any]:
    """A pressure episode of llm.episodes."""
    told = {"kv_usage_peak": 0.97, "waiting_peak": 4, "preemptions": 2, "exhaustion_s": 9.0, "during_burst": True}
    times = {"onset": onset, "detected": onset, "end": end, "state": "onset" if end is None else "end"}
    return {"v": 1, "kind": "pressure", "service": service, "node": "n1", "engine": engine, **told, **times}
