"""What a replay found, request by request, as columns. Pure.

A time that is not known is NaN, a number that is not known is ``UNKNOWN`` (-1), never 0.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.events import Outcome
from workload.replay.record import Record
from workload.trace.columns import UNKNOWN, Int8s, Int32s, Int64s, Labels, OutcomeCode, Trace

Seconds = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """``n`` requests in the order they were due. Every array has shape (n,); seconds count from the replay's start.

    Attributes:
        row: which row of the trace it was.
        due_s: its recorded time on the replay's axis (speed and ramp applied).
        planned_s: when it should have left: ``due_s``, but in a closed session the answer before it plus think time.
        sent_s: when its bytes were first given to the socket (what sending it again takes is in its latency).
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

    def as_trace(self) -> Trace:
        """Return what was really measured as a trace: when each was sent, how long it took, what was counted.

        Requests that never left are not in it; failed ones have 0 response tokens, as in BurstGPT. Times are calendar
        times.
        """
        sent = np.flatnonzero(~np.isnan(self.sent_s))
        order = sent[np.argsort(self.sent_s[sent], kind="stable")]
        first_us = np.where(np.isnan(self.ttft_s), UNKNOWN, np.nan_to_num(self.ttft_s) * 1e6)
        asked = np.where(self.request_tokens >= 0, self.request_tokens, self.request_tokens_asked)
        answered = np.where(self.outcome == OutcomeCode.FAILED, 0, self.response_tokens)
        return Trace.build(
            self.started_us + np.rint(np.nan_to_num(self.sent_s) * 1e6).astype(np.int64),
            elapsed_us=np.rint(np.nan_to_num(self.latency_s) * 1e6).astype(np.int64),
            first_token_us=np.rint(first_us).astype(np.int64),
            request_tokens=asked.astype(np.int32),
            response_tokens=answered.astype(np.int32),
            outcome=self.outcome,
            model=self.model,
            log_type=self.log_type,
            session=self.session,
            reason=self.reason,
            resolution_us=1,
            absolute=True,
        ).take(order)


COLUMNS = tuple(name for name in ReplayResult.__annotations__ if name not in {"started_us", "summary"})
_CODES = {Outcome.OK: OutcomeCode.OK, Outcome.FAILED: OutcomeCode.FAILED, Outcome.CANCELLED: OutcomeCode.CANCELLED}


def row_of(record: Record) -> dict[str, Any]:
    """Return the columns of one ended request, by the names of ``ReplayResult``; what is not known is None or NaN."""
    shot, answer = record.shot, record.answer
    gaps = sorted(answer.gaps_s) or [math.nan]
    return {
        "row": shot.row,
        "due_s": shot.at_s,
        "planned_s": record.planned_s,
        "sent_s": record.sent_s,
        "first_token_s": record.first_token_s,
        "ended_s": record.ended_s,
        "itl_mean_s": sum(gaps) / len(gaps),
        "itl_p50_s": _nearest_rank(gaps, 0.5),
        "itl_p99_s": _nearest_rank(gaps, 0.99),
        "itl_max_s": gaps[-1],
        "chunks": answer.chunks,
        "request_tokens_asked": shot.prompt_tokens,
        "request_tokens": answer.request_tokens,
        "response_tokens_asked": shot.response_tokens,
        "response_tokens": answer.response_tokens,
        "cached_tokens": answer.cached_tokens,
        "outcome": str(answer.outcome),
        "reason": None if answer.reason is None else str(answer.reason),
        "http_status": answer.http_status,
        "attempts": record.attempts,
        "counted": record.counted,
        "model": shot.model,
        "log_type": shot.log_type,
        "session": shot.session,
        "endpoint": answer.endpoint or None,
    }


def _nearest_rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def result_of(rows: Iterable[tuple[int, dict[str, Any]]], *, started_us: int, summary: dict[str, Any]) -> ReplayResult:
    """Return numbered rows (``row_of``), given in any order, as columns in the order of their numbers."""
    ordered = [row for _, row in sorted(rows, key=lambda numbered: numbered[0])]
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        kind, values = ReplayResult.__annotations__[name], [row[name] for row in ordered]
        if name == "outcome":
            columns[name] = np.asarray([_CODES[Outcome(value)] for value in values], np.int8)
        elif kind is Labels:
            columns[name] = Labels.of(values)
        elif kind is Seconds:
            columns[name] = np.asarray(values, np.float64)
        elif kind is Flags:
            columns[name] = np.asarray(values, np.bool_)
        elif kind is Int32s or kind is Int64s:
            known = [UNKNOWN if value is None else value for value in values]
            columns[name] = np.asarray(known, np.int32 if kind is Int32s else np.int64)
    return ReplayResult(**columns, started_us=started_us, summary=summary)
