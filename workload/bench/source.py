"""Where a benchmark's requests come from: the built-in workload, a model file or a trace; their lengths only.

The times are made: equal rate, any burstiness. Every run of a rate sends the same lengths in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from collector.schema.errors import OperatorError
from workload import builtin
from workload.trace.columns import Trace

BUILTIN = "built-in"
_BUILTIN_S = 3600.0  # of the built-in workload lengths are drawn from: some 18,000 requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Requests with known lengths to draw from, and what they are called."""

    name: str
    trace: Trace

    def family(
        self, cvs: Sequence[float], *, rate_per_s: float, duration_s: float, seed: Sequence[int]
    ) -> list[tuple[float, Trace]]:
        """Return a trace for each of ``cvs``: equal rate, the same lengths, gaps of that coefficient of variation.

        The same seed gives the same traces. ``rate_per_s`` times ``duration_s`` requests each, at least two.
        """
        rng = np.random.default_rng(list(seed))
        n = max(2, round(rate_per_s * duration_s))
        rows = rng.integers(0, len(self.trace), n)
        return [(cv, _timed(self.trace.take(rows), _times_s(rng, n, cv, duration_s))) for cv in cvs]


def builtin_source() -> Source:
    """Return the built-in workload's lengths (BurstGPT's published ones, see ``workload/builtin.py``)."""
    rows = builtin.generate(np.random.default_rng(1), duration_s=_BUILTIN_S).rows
    lengths = np.asarray([(row.request_tokens, row.response_tokens) for row in rows], np.int32)
    return Source(name=BUILTIN, trace=_lengths(lengths[:, 0], lengths[:, 1]))


def trace_source(path: Path) -> Source:
    """Return the lengths of a trace file's rows that tell them and did not fail.

    Raises ``OperatorError`` for a file that cannot be read or has no such row.
    """
    from workload.trace.read import read_trace  # noqa: PLC0415 - polars, of an extra, behind it

    trace = read_trace(path)
    served = (trace.request_tokens > 0) & (trace.response_tokens > 0)
    if not served.any():
        raise OperatorError(f"{path}: no row tells both its request and its response tokens")
    return Source(name=path.name, trace=_lengths(trace.request_tokens[served], trace.response_tokens[served]))


def model_source(name: str) -> Source:
    """Return lengths drawn from a workload model: a file, or the name of one that comes with this package.

    Raises ``OperatorError`` for a model that is not there or not right.
    """
    raise OperatorError(f"--model {name}: not yet")


def _lengths(asked: np.ndarray, answered: np.ndarray) -> Trace:
    n = len(asked)
    return Trace.build(
        np.zeros(n, np.int64), request_tokens=asked, response_tokens=answered, resolution_us=1, absolute=False
    )


def _times_s(rng: np.random.Generator, n: int, cv: float, duration_s: float) -> np.ndarray:
    """Return ``n`` times in [0, duration_s): Gamma gaps of shape 1/cv^2, scaled so that n + 1 of them fill it."""
    shape = 1.0 / cv**2
    gaps = rng.standard_gamma(shape, n + 1)
    ticks = np.cumsum(gaps)
    return ticks[:-1] / ticks[-1] * duration_s if ticks[-1] > 0 else np.linspace(0.0, duration_s, n, endpoint=False)


def _timed(trace: Trace, times_s: np.ndarray) -> Trace:
    return replace(trace, submitted_us=(times_s * 1e6).astype(np.int64))
