"""What a replay found, request by request, as columns. Pure.

A time that is not known is NaN, a number that is not known is ``UNKNOWN`` (-1), never 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.trace.columns import Int8s, Int32s, Int64s, Labels

Seconds = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """``n`` requests in the order they were due. Every array has shape (n,); seconds count from the replay's start.

    Attributes:
        row: which row of the trace it was.
        due_s: its recorded time on the replay's axis (speed and ramp applied).
        planned_s: when it should have left: ``due_s``, but in a closed session the answer before it plus think time.
        sent_s: when its bytes were given to the socket; of the last attempt if it was sent again.
        first_token_s, ended_s: when its first token and its end came.
        itl_mean_s, itl_p50_s, itl_p99_s, itl_max_s: time between chunks with text, within this one answer (the
            servers decide how many tokens a chunk holds); NaN for fewer than two chunks.
        chunks: chunks with text.
        request_tokens_asked, response_tokens_asked: what the row says; ``request_tokens``, ``response_tokens``,
            ``cached_tokens``: what the server counted (usage), UNKNOWN if it did not say.
        outcome: an ``OutcomeCode``; ``reason`` of a failure; ``http_status`` UNKNOWN if no answer began.
        attempts: 1, plus the times it was sent again.
        counted: False in the warm-up; the summary is of the counted ones.
        model, log_type, session, endpoint: text columns; endpoint is the server's base URL.
        started_us: the replay's start, microseconds since the epoch.
        summary: the figures of ``burstwatch replay --json``.
    """

    row: Int64s
    due_s: Seconds
    planned_s: Seconds
    sent_s: Seconds
    first_token_s: Seconds
    ended_s: Seconds
    itl_mean_s: Seconds
    itl_p50_s: Seconds
    itl_p99_s: Seconds
    itl_max_s: Seconds
    chunks: Int32s
    request_tokens_asked: Int32s
    request_tokens: Int32s
    response_tokens_asked: Int32s
    response_tokens: Int32s
    cached_tokens: Int32s
    outcome: Int8s
    reason: Labels
    http_status: Int32s
    attempts: Int32s
    counted: Flags
    model: Labels
    log_type: Labels
    session: Labels
    endpoint: Labels
    started_us: int
    summary: dict[str, Any]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def ttft_s(self) -> Seconds:
        """Return seconds from sent to the first token; NaN where there was none."""
        return self.first_token_s - self.sent_s

    @property
    def latency_s(self) -> Seconds:
        """Return seconds from sent to the end."""
        return self.ended_s - self.sent_s

    @property
    def tpot_s(self) -> Seconds:
        """Return seconds per token after the first (its time to the end over its tokens less one); NaN below 2."""
        more = np.where(self.response_tokens > 1, self.response_tokens - 1, np.nan)
        return (self.ended_s - self.first_token_s) / more

    @property
    def send_error_s(self) -> Seconds:
        """Return how late each left: planned to bytes given to the socket (waits at the bound are in it)."""
        return self.sent_s - self.planned_s

    @property
    def session_lag_s(self) -> Seconds:
        """Return what waiting for answers moved: due to planned; negative where the server answers sooner."""
        return self.planned_s - self.due_s
