"""A trace served by the simulated engine in virtual time, as a measured run. Pure."""

from collections.abc import Callable

import numpy as np

from workload.bench.measured import WATCH_EVERY_S, Floats, Measured, Watched
from workload.engine.scheduler import Limits, Pace
from workload.engine.virtual import Timeline, VirtualRun, run_virtual
from workload.trace.columns import OutcomeCode, Trace


def measure_virtually(
    trace: Trace, limits: Limits, pace: Pace, *, asked_s: float, watch: Callable[[int], bool] | None = None
) -> Measured:
    """Return what a client would have measured, had it sent ``trace`` and read every answer without delay."""
    run = run_virtual(trace, limits, pace, watch=watch)
    ok = run.outcome == OutcomeCode.OK
    tokens = np.where(ok, trace.response_tokens, 0).astype(np.int32)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpot_s = np.where(tokens > 1, (run.ended_s - run.first_token_s) / (tokens - 1), np.nan)
    return Measured(
        due_s=run.arrived_s,
        late_s=np.zeros(len(trace)),
        ttft_s=run.first_token_s - run.arrived_s,
        latency_s=run.ended_s - run.arrived_s,
        tpot_s=tpot_s,
        itl_s=tpot_s,
        stall_s=np.where(tokens > 1, run.gap_max_s, np.nan),
        response_tokens=tokens,
        outcome=run.outcome,
        reason=run.reason,
        took_s=_end_s(run),
        asked_s=asked_s,
        watched=_watched(run.timeline, limits, until_s=max(asked_s, _end_s(run))),
        idle_before=True,
        interrupted=bool((run.outcome == OutcomeCode.CANCELLED).any()),
    )


def _end_s(run: VirtualRun) -> float:
    ends = run.ended_s[~np.isnan(run.ended_s)]
    return float(ends.max(initial=0.0))


def _watched(line: Timeline, limits: Limits, *, until_s: float) -> Watched:
    times_s: Floats = np.arange(0.0, until_s + WATCH_EVERY_S, WATCH_EVERY_S)
    place = line.at(times_s)
    empty = place < 0

    def looked(column: np.ndarray) -> Floats:
        return np.where(empty, 0.0, column[place]) if len(column) else np.zeros(len(times_s))

    counted = np.concatenate(([0], np.cumsum(line.preempted)))
    return Watched(
        t_s=times_s,
        kv=looked(line.blocks / limits.kv_blocks),
        running=looked(line.running),
        waiting=looked(line.waiting),
        preemptions=counted[np.searchsorted(line.begin_s, times_s, side="right")].astype(np.float64),
        kv_peak=float(line.blocks.max(initial=0)) / limits.kv_blocks,
    )
