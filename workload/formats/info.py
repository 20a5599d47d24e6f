"""What is in a trace, as a dict: counts, span, lengths, how arrivals vary. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.analyse.interarrival import describe
from workload.trace.columns import UNKNOWN, Int8s, Labels, OutcomeCode, Trace

LISTED_MAX = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def facts(trace: Trace) -> dict[str, Any]:
    """Return the trace's facts. What cannot be known (no rows, lengths not told) is None."""
    n = len(trace)
    arrivals = describe(trace.submitted_us, trace.resolution_us)
    return {
        "rows": n,
        "first_us": int(trace.submitted_us[0]) if n else None,
        "last_us": int(trace.submitted_us[-1]) if n else None,
        "span_s": trace.span_s,
        "resolution_us": trace.resolution_us,
        "absolute": trace.absolute,
        "outcomes": outcomes(trace.outcome),
        "reasons": counted(trace.reason),
        "models": counted(trace.model),
        "log_types": counted(trace.log_type),
        "services": counted(trace.service),
        "sessions": sessions(trace.session),
        "request_tokens": numbers(trace.request_tokens),
        "response_tokens": numbers(trace.response_tokens[trace.outcome == OutcomeCode.OK]),
        "elapsed_s": seconds(trace.elapsed_us),
        "first_token_s": seconds(trace.first_token_us),
        "rate_per_s": arrivals.rate_per_s,
        "cv": arrivals.cv,
        "alpha": arrivals.alpha,
        "alpha_method": arrivals.method,
        "same_time_ratio": arrivals.zero_ratio,
        "idc_60s": arrivals.idc.get("60"),
    }


def outcomes(codes: Int8s) -> dict[str, int]:
    """Return how many requests ended how."""
    return {code.name.lower(): int(np.count_nonzero(codes == code)) for code in OutcomeCode}


def counted(labels: Labels) -> dict[str, int]:
    """Return the rows of each value, most first; beyond 20 values the rest is summed as ``other``; none: {}."""
    known = labels.codes[labels.codes != UNKNOWN]
    counts = np.bincount(known, minlength=len(labels.names))
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    named = {labels.names[i]: int(counts[i]) for i in order[:LISTED_MAX]}
    rest = int(counts[order[LISTED_MAX:]].sum()) if len(order) > LISTED_MAX else 0
    return {**named, "other": rest} if rest else named


def sessions(labels: Labels) -> dict[str, Any] | None:
    """Return how many sessions there are and how many requests belong to one; None without any."""
    known = labels.codes[labels.codes != UNKNOWN]
    if not len(known):
        return None
    turns = np.bincount(known)
    turns = turns[turns > 0]
    return {
        "sessions": len(turns),
        "requests": len(known),
        "turns_mean": float(turns.mean()),
        "turns_max": int(turns.max()),
        "several_turns_ratio": float(np.mean(turns > 1)),
    }


def numbers(values: NDArray[Any]) -> dict[str, Any] | None:
    """Return mean, quantiles and extremes of a number column's known values; None without any."""
    known = values[values != UNKNOWN]
    if not len(known):
        return None
    return {
        "known": len(known),
        "mean": float(known.mean()),
        "min": int(known.min()),
        **{f"p{round(q * 100)}": float(v) for q, v in zip(QUANTILES, np.quantile(known, QUANTILES), strict=True)},
        "max": int(known.max()),
    }


def seconds(values_us: NDArray[np.int64]) -> dict[str, Any] | None:
    """Return ``numbers`` of a time column, in seconds."""
    found = numbers(values_us)
    return found and {name: value if name == "known" else value / 1e6 for name, value in found.items()}
