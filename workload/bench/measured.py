"""One run as it was measured, over HTTP or in virtual time: one form, so that both are judged alike. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workload.bench.result import Objective
from workload.trace.columns import Int8s, Int32s, Labels, OutcomeCode

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WATCH_EVERY_S = 0.5  # between two looks at the engine's state


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The engine's state as it was looked at: columns of shape (m,), seconds from the run's start, NaN: not told.

    ``preemptions`` is the engine's counter (it only grows within a run). ``kv_peak``: the most ever in use, where
    that is known more exactly than from looks (virtual time).
    """

    t_s: Floats
    kv: Floats
    running: Floats
    waiting: Floats
    preemptions: Floats
    kv_peak: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``n`` requests of one run, columns of shape (n,); seconds, NaN: not known.

    Attributes:
        due_s: when each was to be sent, from the run's start, in order.
        ttft_s, latency_s: from when it was *due*, not sent: what a late client adds is the benchmark's fault, but
            leaving it out would hide that it was not the asked burstiness which was measured (``late_s`` tells).
        tpot_s: seconds per token after the first; ``itl_s``: the mean, ``stall_s`` the longest pause in the answer.
        took_s: from the first request due to the last answer.
        asked_s: how long the trace is (its requests over its rate).
    """

    due_s: Floats
    late_s: Floats
    ttft_s: Floats
    latency_s: Floats
    tpot_s: Floats
    itl_s: Floats
    stall_s: Floats
    response_tokens: Int32s
    outcome: Int8s
    reason: Labels
    took_s: float
    asked_s: float
    watched: Watched | None = None
    idle_before: bool | None = None
    interrupted: bool = False

    @property
    def sent(self) -> Flags:
        """Which requests were sent and awaited: all but those an early end left over."""
        sent: Flags = self.outcome != OutcomeCode.CANCELLED
        return sent

    @property
    def ok(self) -> Flags:
        """Which requests ended well."""
        ok: Flags = self.outcome == OutcomeCode.OK
        return ok


def met(run: Measured, slo: Objective) -> Flags:
    """Return which requests met the objective: ended well, and each time asked for was kept.

    A time that is not known keeps an objective only if there is nothing to time: one token has no time per token.
    """
    good = run.ok
    for times, bound in ((run.ttft_s, slo["ttft_s"]), (run.latency_s, slo["latency_s"])):
        if bound is not None:
            good &= times <= bound
    if slo["tpot_s"] is not None:
        good &= (run.tpot_s <= slo["tpot_s"]) | (run.response_tokens == 1)
    return good
