"""Where a benchmark's requests come from: the built-in workload, a model file or a trace; their lengths only.

The times are made: equal rate, any burstiness. Every run of a rate sends the same lengths in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from collector.schema.errors import OperatorError
from workload import builtin
from workload.generate.from_model import generate
from workload.model.model import Model
from workload.scale.sweep import sweep
from workload.trace.columns import Trace

BUILTIN = "built-in"
_DRAWN_S, _DRAWN_PER_S = 3600.0, 5.0  # some 18,000 requests to take lengths from


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Requests with known lengths to draw from, and what they are called."""

    name: str
    trace: Trace

    def at(self, cv: float, *, rate_per_s: float, duration_s: float, seed: Sequence[int]) -> Trace:
        """Return requests of this rate and burstiness: the same ones for every ``cv`` of a seed, at other times.

        ``rate_per_s`` times ``duration_s`` of them, at least two; see ``workload.scale.sweep``.
        """
        rng = np.random.default_rng(list(seed))
        longest_s = max(duration_s, 2.0 / rate_per_s)
        return sweep(self.trace, rng, cvs=(cv,), rate_per_s=rate_per_s, duration_s=longest_s)[0][1]


@cache
def builtin_source() -> Source:
    """Return the built-in workload's lengths (BurstGPT's published ones, see ``workload/builtin.py``)."""
    rows = builtin.generate(np.random.default_rng(1), duration_s=_DRAWN_S).rows
    lengths = np.asarray([(row.request_tokens, row.response_tokens) for row in rows], np.int32)
    return Source(name=BUILTIN, trace=_lengths(lengths[:, 0], lengths[:, 1]))


def trace_source(path: Path, *, format: str | None = None) -> Source:  # noqa: A002
    """Return the lengths of a trace file's rows that tell them and did not fail; ``format`` None: told from the file.

    Raises ``OperatorError`` for a file that cannot be read or has no such row.
    """
    from workload.trace.read import read_trace  # noqa: PLC0415 - polars, of an extra, behind it

    trace = read_trace(path, format=format)
    served = (trace.request_tokens > 0) & (trace.response_tokens > 0)
    if not served.any():
        raise OperatorError(f"{path}: no row tells both its request and its response tokens")
    return Source(name=path.name, trace=_lengths(trace.request_tokens[served], trace.response_tokens[served]))


def model_source(model: Model) -> Source:
    """Return lengths drawn from a workload model, its classes mixed as it says.

    Raises ``OperatorError`` for a model that has nothing to draw.
    """
    rng = np.random.default_rng(1)
    made = generate(model, rng, duration_s=_DRAWN_S, rate_per_s=_DRAWN_PER_S, steady=True)
    served = (made.request_tokens > 0) & (made.response_tokens > 0)
    if not served.any():
        raise OperatorError(f"the model {model.name!r} serves no request")
    return Source(name=model.name, trace=_lengths(made.request_tokens[served], made.response_tokens[served]))


def _lengths(asked: np.ndarray, answered: np.ndarray) -> Trace:
    n = len(asked)
    return Trace.build(
        np.zeros(n, np.int64), request_tokens=asked, response_tokens=answered, resolution_us=1, absolute=False
    )
