"""A row as text: the paper's CSV cells and the lossless sidecar line. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from collector.schema.errors import OperatorError
from collector.schema.events import Outcome
from collector.schema.trace_rows import TraceRow, format_row
from streams.capture.rows import AT, FIELDS, FIELDS_AT, SERVICE_AT, Row

DAY_US = 86_400_000_000
SECOND_US = 1_000_000

_SUBMITTED = AT["submitted_at"]
_ENDED = AT["ended_at"]
_SESSION = AT["session"]
_MODEL = AT["model"]
_REQUEST = AT["request_tokens"]
_RESPONSE = AT["response_tokens"]
_LOG_TYPE = AT["log_type"]
_OUTCOME = AT["outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFormat:
    """How rows become CSV: which columns, seconds since which instant, whole seconds or with a fraction."""

    columns: tuple[str, ...]
    origin_us: int
    whole_seconds: bool = False

    def cells(self, row: Row) -> list[str]:
        """Return the row's CSV cells. Raises ``OperatorError`` if it lies before the origin."""
        return format_row(self.trace_row(row), self.columns)

    def trace_row(self, row: Row) -> TraceRow:
        """Return the row as the paper has it: a failure has 0 response tokens, unknown stays unknown.

        An end before the submission (two clocks, or one set back) gives an elapsed time of 0; the sidecar
        keeps both times.
        """
        submitted = row[_SUBMITTED] - self.origin_us
        if submitted < 0:
            raise OperatorError("--origin lies after the first request; choose an earlier one or `auto`")
        elapsed = None if row[_ENDED] is None else max(0, row[_ENDED] - row[_SUBMITTED])
        if self.whole_seconds:
            submitted -= submitted % SECOND_US
            elapsed = None if elapsed is None else elapsed - elapsed % SECOND_US
        return TraceRow(
            submitted_us=submitted,
            session=row[_SESSION],
            elapsed_us=elapsed,
            model=row[_MODEL],
            request_tokens=row[_REQUEST],
            response_tokens=0 if row[_OUTCOME] == Outcome.FAILED else row[_RESPONSE],
            log_type=row[_LOG_TYPE],
        )


def sidecar_lines(rows: Sequence[Row]) -> bytes:
    """Return everything known about each request, one JSON line each, absent fields as null."""
    if not rows:
        return b""
    objects = [{"service": row[SERVICE_AT], **dict(zip(FIELDS, row[FIELDS_AT:], strict=True))} for row in rows]
    # One dump for all is twice as fast as one each. Within a JSON string the quote would be escaped, so these
    # bytes stand only where one object ends and the next begins.
    return orjson.dumps(objects)[1:-1].replace(b'},{"service":', b'}\n{"service":') + b"\n"


def day_start(time_us: int) -> int:
    """Return 0:00:00 UTC of the day ``time_us`` lies in."""
    return time_us - time_us % DAY_US
