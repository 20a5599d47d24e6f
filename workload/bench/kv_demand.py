"""How much KV memory a workload would use if nobody ever had to wait: an infinite-server calculation. Pure.

Each request is served at once, at the speeds of a calm run: its prompt lies in the cache from the moment it arrives,
and after the calm time to first token one token joins every calm time per token, until its response is complete. The
sum over requests is the *offered* demand. Where it stays below the cache's size, memory makes nobody wait.

What that leaves out, and which way it errs: speeds fall when the batch grows, so that requests stay longer (the true
demand is higher); a request that waits briefly may still meet its objective (the memory needed is lower); prefixes
shared between requests are counted once each (lower, with a prefix cache). It is an estimate, not a measurement.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.bench.measured import Floats
from workload.trace.columns import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class CalmSpeeds:
    """Medians of a run without burstiness: seconds to the first token, and per token after it."""

    ttft_s: float
    tpot_s: float


def offered_tokens(trace: Trace, speeds: CalmSpeeds, *, at_s: Floats, block_tokens: float = 1.0) -> Floats:
    """Return the tokens of cache in use at each of ``at_s``, seconds from the trace's first request.

    Exact for the model above: prompts held plus tokens generated so far, and half a block for each request's last
    one. Every request of ``trace`` counts, token counts known.
    """
    begin_s = (trace.submitted_us - trace.submitted_us[:1].sum()) / 1e6
    first_s: Floats = begin_s + speeds.ttft_s
    end_s: Floats = first_s + np.maximum(trace.response_tokens - 1, 0) * speeds.tpot_s
    held = trace.request_tokens + (block_tokens - 1.0) / 2 + 1.0
    # Tokens generated: (now - first) / tpot while it decodes; as running sums of counts and of first times.
    order = np.argsort(end_s, kind="stable")
    begun = np.searchsorted(begin_s, at_s, side="right")
    decoding = np.searchsorted(first_s, at_s, side="right")
    ended = np.searchsorted(end_s[order], at_s, side="right")
    generated = at_s * (decoding - ended) - _sums(first_s)[decoding] + _sums(first_s[order])[ended]
    tokens: Floats = _sums(held)[begun] - _sums(held[order])[ended] + generated / speeds.tpot_s
    return tokens


def needed_tokens(trace: Trace, speeds: CalmSpeeds, *, share: float, block_tokens: float = 1.0) -> float:
    """Return the cache, in tokens, that ``share`` of the requests find large enough on arrival.

    The demand a request finds includes itself; the quantile is over requests, not over time: in a burst many find
    the same crowd.
    """
    arrived_s = (trace.submitted_us - trace.submitted_us[:1].sum()) / 1e6
    demand = offered_tokens(trace, speeds, at_s=arrived_s, block_tokens=block_tokens)
    return float(np.quantile(demand, share, method="inverted_cdf"))


def _sums(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(([0.0], np.cumsum(values)))
