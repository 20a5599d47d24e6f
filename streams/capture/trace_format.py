"""Rows as the paper's columns, in two ways that agree, and as the lossless sidecar lines. Pure.

All rows of a run at once is how files are written; one row at a time is what a benchmark tool's profile judges.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from collector.schema.errors import OperatorError
from collector.schema.events import Outcome
from collector.schema.trace_profiles import Profile
from collector.schema.trace_rows import TraceRow, format_row, format_seconds
from streams.capture.rows import AT, FIELDS, SERVICE_AT, Row

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
_TOO_LATE = "--origin lies after the first request; choose an earlier one or `auto`"


@dataclass(slots=True, kw_only=True)
class TraceFormat:
    """How rows become a table.

    Attributes:
        columns: which of the paper's columns, in order.
        origin_us: the instant ``Timestamp`` counts from; with a profile that counts from its first row it becomes
            that row's submission.
        whole_seconds: times without their fraction.
        profile: a benchmark tool's rules, ``whole_seconds`` in them; None takes every row as it is.
        left_out: rows the profile refused, by its reason.
    """

    columns: tuple[str, ...]
    origin_us: int
    whole_seconds: bool = False
    profile: Profile | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    _begun: bool = False

    def cells(self, rows: Sequence[Row]) -> Iterable[Sequence[str]]:
        """Return the rows' CSV cells. Raises ``OperatorError`` if the first lies before the origin."""
        if self.profile is not None and has_rules(self.profile):
            return [cells for row in rows if (cells := self._judged(row, self.profile)) is not None]
        found = self.values(rows)
        texts = [(_seconds if name in _TIMES else _texts)(found[name]) for name in self.columns]
        return zip(*texts, strict=True)

    def values(self, rows: Sequence[Row]) -> dict[str, list[Any]]:
        """Return the paper's columns of ``rows``, in order of submission, times in us; None is unknown.

        A failure has 0 response tokens. An end before the submission (two clocks, or one set back) is an elapsed time
        of 0; the sidecar keeps both times.
        """
        if rows and rows[0][_SUBMITTED] < self.origin_us:
            raise OperatorError(_TOO_LATE)
        origin, failed = self.origin_us, Outcome.FAILED.value
        times: dict[str, list[Any]] = {
            "Timestamp": [row[_SUBMITTED] - origin for row in rows],
            "Elapsed time": [None if row[_ENDED] is None else max(0, row[_ENDED] - row[_SUBMITTED]) for row in rows],
        }
        if self.whole_seconds:
            times = {name: [t if t is None else t - t % SECOND_US for t in times[name]] for name in times}
        request = [row[_REQUEST] for row in rows]
        response = [0 if row[_OUTCOME] == failed else row[_RESPONSE] for row in rows]
        total = [None if a is None or b is None else a + b for a, b in zip(request, response, strict=True)]
        return times | {
            "Session ID": [row[_SESSION] for row in rows],
            "Model": [row[_MODEL] for row in rows],
            "Request tokens": request,
            "Response tokens": response,
            "Total tokens": total,
            "Log Type": [row[_LOG_TYPE] for row in rows],
        }

    def _judged(self, row: Row, profile: Profile) -> list[str] | None:
        judged = trace_row(row)
        if (why := profile.refuses(judged)) is not None:
            self.left_out[why] += 1
            return None
        if profile.from_first_row:
            if not self._begun:
                self._begun, self.origin_us = True, judged.submitted_us
        else:
            judged = trace_row(row, self.origin_us)
        written = profile.apply(judged, first_us=self.origin_us)
        return None if written is None else format_row(written, self.columns)


def has_rules(profile: Profile) -> bool:
    """True if the profile changes or refuses rows, and does not only name columns."""
    return profile.only_usable or profile.from_first_row or profile.model is not None


def trace_row(row: Row, origin_us: int = 0) -> TraceRow:
    """Return one row as the paper has it, ``submitted_us`` since ``origin_us``. Raises ``OperatorError`` before it."""
    submitted = row[_SUBMITTED] - origin_us
    if submitted < 0:
        raise OperatorError(_TOO_LATE)
    return TraceRow(
        submitted_us=submitted,
        session=row[_SESSION],
        elapsed_us=None if row[_ENDED] is None else max(0, row[_ENDED] - row[_SUBMITTED]),
        model=row[_MODEL],
        request_tokens=row[_REQUEST],
        response_tokens=0 if row[_OUTCOME] == Outcome.FAILED else row[_RESPONSE],
        log_type=row[_LOG_TYPE],
    )


def _seconds(column: list[Any]) -> list[str]:
    return ["" if value is None else format_seconds(value) for value in column]


def _texts(column: list[Any]) -> list[Any]:
    return ["" if value is None else value for value in column]


_KEYS = ("service", *FIELDS)  # as they stand in a row from SERVICE_AT on
_TIMES = frozenset({"Timestamp", "Elapsed time"})


def sidecar_lines(rows: Sequence[Row]) -> bytes:
    """Return everything known about each request, one JSON line each, absent fields as null."""
    if not rows:
        return b""
    objects = [dict(zip(_KEYS, row[SERVICE_AT:], strict=True)) for row in rows]
    # One dump for all is twice as fast as one each. Within a JSON string the quote would be escaped, so these
    # bytes stand only where one object ends and the next begins.
    return orjson.dumps(objects)[1:-1].replace(b'},{"service":', b'}\n{"service":') + b"\n"


def day_start(time_us: int) -> int:
    """Return 0:00:00 UTC of the day ``time_us`` lies in."""
    return time_us - time_us % DAY_US
