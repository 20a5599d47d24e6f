"""A trace replayed against a real server, as a measured run. Pure: what was replayed and looked at comes in."""

import numpy as np

from workload.bench.looks import Looks
from workload.bench.measured import Measured
from workload.replay.result import ReplayResult
from workload.trace.columns import OutcomeCode


def measured_of(
    result: ReplayResult, looks: Looks, *, asked_s: float, idle_before: bool | None, interrupted: bool
) -> Measured:
    """Return a replay as a measured run; every request counts, times run from when it was due.

    Answers whose tokens the server did not count are taken to be as long as asked for.
    """
    ok = result.outcome == OutcomeCode.OK
    told = np.where(result.response_tokens >= 0, result.response_tokens, result.response_tokens_asked)
    tokens = np.where(ok, told, 0).astype(np.int32)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpot_s = np.where(tokens > 1, (result.ended_s - result.first_token_s) / (tokens - 1), np.nan)
    ends = result.ended_s[~np.isnan(result.ended_s)]
    took_s = float(ends.max(initial=0.0))
    return Measured(
        due_s=result.due_s,
        late_s=np.nan_to_num(result.sent_s - result.due_s),
        ttft_s=result.first_token_s - result.due_s,
        latency_s=result.ended_s - result.due_s,
        tpot_s=tpot_s,
        itl_s=result.itl_mean_s,
        stall_s=result.itl_max_s,
        response_tokens=tokens,
        outcome=result.outcome,
        reason=result.reason,
        took_s=took_s,
        asked_s=asked_s,
        watched=looks.within(result.started_us, result.started_us + int((max(took_s, asked_s) + 1.0) * 1e6)),
        idle_before=idle_before,
        interrupted=interrupted,
    )
