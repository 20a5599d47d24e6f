"""A recorded request with how it ended: what a BurstGPT row cannot hold, but columns and other formats can."""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.schema.events import Outcome
from collector.schema.trace_rows import TraceRow
from workload.trace.columns import OutcomeCode, Trace

OUTCOMES = {OutcomeCode.OK: Outcome.OK, OutcomeCode.FAILED: Outcome.FAILED, OutcomeCode.CANCELLED: Outcome.CANCELLED}
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(TraceRow):
    """A row that also says how its request ended; ``outcome`` None: only the response tokens tell."""

    outcome: Outcome | None = None
    reason: str | None = None


def rows_of(trace: Trace) -> Iterator[Recorded]:
    """Return the rows of ``trace`` in its order, a few thousand objects at a time."""
    for start in range(0, len(trace), _ROWS_AT_ONCE):
        part = trace.take(slice(start, start + _ROWS_AT_ONCE))
        columns = (
            part.submitted_us.tolist(),
            part.elapsed_us.tolist(),
            part.request_tokens.tolist(),
            part.response_tokens.tolist(),
            part.outcome.tolist(),
            part.model.values(),
            part.log_type.values(),
            part.session.values(),
            part.reason.values(),
        )
        for submitted, elapsed, asked, answered, outcome, model, log_type, session, reason in zip(
            *columns, strict=True
        ):
            yield Recorded(
                submitted_us=submitted,
                session=session,
                elapsed_us=None if elapsed < 0 else elapsed,
                model=model,
                request_tokens=None if asked < 0 else asked,
                response_tokens=None if answered < 0 else answered,
                log_type=log_type,
                outcome=OUTCOMES[OutcomeCode(outcome)],
                reason=reason,
            )
