"""One request as any known format tells it. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from collector.schema.events import Outcome
from collector.schema.trace_rows import TraceRow


class Record(NamedTuple):
    """A request. What a file does not tell is None, never 0 or "".

    A tuple, because millions are made and changed: five times as fast as a frozen dataclass of as many fields.

    Attributes:
        submitted_us: microseconds since the file's origin; since the epoch where a format's times are calendar times.
        elapsed_us, first_token_us: from the submission to the complete response, and to the first token.
        outcome: a value of ``Outcome``; None: the format has none, and 0 response tokens mean a failure (BurstGPT).
        reason: a value of ``Reason``, or the source's own word.
        hash_ids: one number a block of the prompt; equal numbers are equal text up to the block's end.
        block_tokens: how many tokens such a block has.
        other: what only one format tells, under that format's own names.
    """

    submitted_us: int
    session: str | None = None
    elapsed_us: int | None = None
    first_token_us: int | None = None
    model: str | None = None
    request_tokens: int | None = None
    response_tokens: int | None = None
    cached_tokens: int | None = None
    log_type: str | None = None
    service: str | None = None
    outcome: str | None = None
    reason: str | None = None
    request_id: str | None = None
    hash_ids: tuple[int, ...] | None = None
    block_tokens: int | None = None
    other: Mapping[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """True if the request failed."""
        return self.response_tokens == 0 if self.outcome is None else self.outcome == Outcome.FAILED


COLUMNS = Record._fields


def row_of(record: Record) -> TraceRow:
    """Return what BurstGPT's schema holds of the record: a failure has 0 response tokens."""
    return TraceRow(
        submitted_us=record.submitted_us,
        session=record.session,
        elapsed_us=record.elapsed_us,
        model=record.model,
        request_tokens=record.request_tokens,
        response_tokens=0 if record.outcome == Outcome.FAILED else record.response_tokens,
        log_type=record.log_type,
    )
