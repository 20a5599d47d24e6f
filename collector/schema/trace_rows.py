"""Trace files: rows of BurstGPT (6 and 8 columns, by header name) and Azure CSV, read and written exactly.

Times stay integer microseconds: text is parsed digit by digit, never through a float.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.schema.columns import COUNT_MAX, TIME_US_MAX, is_token
from collector.schema.errors import BadTrace
from collector.schema.events import API_LOG, CONVERSATION_LOG

BURSTGPT_6 = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")
BURSTGPT_8 = (
    "Timestamp",
    "Session ID",
    "Elapsed time",
    "Model",
    "Request tokens",
    "Response tokens",
    "Total tokens",
    "Log Type",
)
AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
LOG_TYPES = frozenset({CONVERSATION_LOG, API_LOG})


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """One request of a trace.

    Attributes:
        submitted_us: microseconds since the trace's origin (BurstGPT), or the epoch (Azure).
        elapsed_us: submission to complete response; None if the file does not say.
        failed: BurstGPT marks a failure by ``Response tokens`` 0 and nothing else.
    """

    submitted_us: int
    session: str | None = None
    elapsed_us: int | None = None
    model: str | None = None
    request_tokens: int | None = None
    response_tokens: int | None = None
    log_type: str | None = None

    @property
    def failed(self) -> bool:
        """True if the row records a failed request (zero response tokens)."""
        return self.response_tokens == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHeader:
    """What kind of file it is: ``absolute`` if its times are calendar times, not seconds since an origin."""

    columns: tuple[str, ...]
    absolute: bool


def read_rows(lines: Iterable[str]) -> tuple[TraceHeader, Iterator[TraceRow]]:
    """Return the header and a lazy iterator over the rows of a BurstGPT or Azure CSV.

    Columns are found by name, in any order; extra columns are ignored. Raises ``BadTrace`` with the line
    number for an unknown header or a row that does not parse; blank lines are skipped.
    """
    reader = csv.reader(lines, strict=True)
    names = _next_row(reader)
    if names is None:
        raise BadTrace(1, f"the file is empty; expected a header such as {','.join(BURSTGPT_8)}")
    names = [name.removeprefix("\ufeff").strip() for name in names]
    place = {name: i for i, name in enumerate(names)}
    if set(AZURE) <= place.keys():
        return TraceHeader(columns=AZURE, absolute=True), _rows(reader, place, _azure_row)
    missing = [name for name in BURSTGPT_6 if name not in place and name != "Total tokens"]
    if missing:
        raise BadTrace(
            1,
            f"no column {missing[0]!r}; expected the header {','.join(BURSTGPT_6)} (BurstGPT), "
            f"{','.join(BURSTGPT_8)} (BurstGPT with sessions) or {','.join(AZURE)} (Azure)",
        )
    columns = BURSTGPT_8 if "Session ID" in place else BURSTGPT_6
    return TraceHeader(columns=columns, absolute=False), _rows(reader, place, _burstgpt_row)


def _next_row(reader: "csv._reader") -> list[str] | None:  # type: ignore[name-defined,unused-ignore]
    try:
        return next(reader, None)
    except csv.Error as error:
        raise BadTrace(reader.line_num, f"not CSV: {error}") from None


def _rows(reader, place, parse) -> Iterator[TraceRow]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    while (cells := _next_row(reader)) is not None:
        if not cells:
            continue
        try:
            yield parse(cells, place)
        except IndexError:
            raise BadTrace(reader.line_num, f"only {len(cells)} columns, the header has {len(place)}") from None
        except ValueError as error:
            raise BadTrace(reader.line_num, str(error)) from None


def _burstgpt_row(cells: list[str], place: dict[str, int]) -> TraceRow:
    def cell(name: str) -> str:
        return cells[place[name]].strip() if name in place else ""

    log_type = cell("Log Type")
    if log_type and log_type not in LOG_TYPES:
        raise ValueError(f"Log Type must be {CONVERSATION_LOG!r} or {API_LOG!r}")
    return TraceRow(
        submitted_us=parse_seconds("Timestamp", cell("Timestamp")),
        session=parse_token("Session ID", cell("Session ID")),
        elapsed_us=parse_seconds("Elapsed time", cell("Elapsed time")) if cell("Elapsed time") else None,
        model=parse_token("Model", cell("Model")),
        request_tokens=parse_count("Request tokens", cell("Request tokens")),
        response_tokens=parse_count("Response tokens", cell("Response tokens")),
        log_type=log_type or None,
    )


def _azure_row(cells: list[str], place: dict[str, int]) -> TraceRow:
    return TraceRow(
        submitted_us=parse_calendar(cells[place["TIMESTAMP"]].strip()),
        request_tokens=parse_count("ContextTokens", cells[place["ContextTokens"]].strip()),
        response_tokens=parse_count("GeneratedTokens", cells[place["GeneratedTokens"]].strip()),
    )


def parse_seconds(name: str, text: str) -> int:
    """Return decimal seconds as microseconds; digits past the sixth are cut. Raises ``ValueError``.

    >>> parse_seconds("Timestamp", "19440110.0"), parse_seconds("Timestamp", "5.1234567")
    (19440110000000, 5123456)
    """
    whole, _, fraction = text.partition(".")
    if fraction in {"", "0"} and whole.isascii() and whole.isdigit() and len(whole) <= 11:
        return int(whole) * 1_000_000
    digits = fraction[:6].ljust(6, "0")
    if not (whole.isascii() and whole.isdigit() and digits.isascii() and digits.isdigit()):
        raise ValueError(f"{name} must be seconds, zero or more, not {text[:40]!r}")
    if fraction and not fraction.isdigit():
        raise ValueError(f"{name} must be seconds, not {text[:40]!r}")
    if len(whole) > 13 or (value := int(whole) * 1_000_000 + int(digits)) > TIME_US_MAX:
        raise ValueError(f"{name} is beyond the year 10000: {text[:40]!r}")
    return value


def parse_calendar(text: str) -> int:
    """Return ``2023-11-16 18:17:03.9799600`` (UTC) as microseconds since the epoch. Raises ``ValueError``."""
    stamp, _, fraction = text.partition(".")
    try:
        whole = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"TIMESTAMP must look like 2023-11-16 18:17:03.9799600, not {text[:40]!r}") from None
    seconds = int(whole.timestamp())
    if seconds < 0:
        raise ValueError("TIMESTAMP lies before 1970")
    return parse_seconds("TIMESTAMP", f"{seconds}.{fraction}" if fraction else str(seconds))


def format_seconds(us: int) -> str:
    """Return microseconds as decimal seconds without trailing zeros.

    >>> format_seconds(5_000_000), format_seconds(5_120_000)
    ('5', '5.12')
    """
    whole, fraction = divmod(us, 1_000_000)
    return f"{whole}.{fraction:06d}".rstrip("0") if fraction else str(whole)


def parse_count(name: str, text: str) -> int | None:
    """Return a whole number, None for an empty cell; ``3.0`` is 3. Raises ``ValueError``."""
    if not text:
        return None
    digits = text.removesuffix(".0")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16 and int(digits) <= COUNT_MAX):
        raise ValueError(f"{name} must be a whole number, zero or more, not {text[:40]!r}")
    return int(digits)


def parse_token(name: str, text: str) -> str | None:
    """Return a name, None for an empty cell. Raises ``ValueError`` for anything but printable ASCII without spaces."""
    if text and not is_token(text):
        raise ValueError(f"{name} must be 1-128 printable ASCII characters without spaces, not {text[:40]!a}")
    return text or None


def format_row(row: TraceRow, columns: tuple[str, ...]) -> list[str]:
    """Return ``row`` as the cells of a 6- or 8-column BurstGPT file; what is unknown is an empty cell."""
    request, response, elapsed = row.request_tokens, row.response_tokens, row.elapsed_us
    cells = [
        format_seconds(row.submitted_us),
        row.session or "",
        "" if elapsed is None else format_seconds(elapsed),
        row.model or "",
        "" if request is None else str(request),
        "" if response is None else str(response),
        "" if request is None or response is None else str(request + response),
        row.log_type or "",
    ]
    if columns == BURSTGPT_6:
        return [cells[0], *cells[3:]]
    return cells if columns == BURSTGPT_8 else [cells[BURSTGPT_8.index(name)] for name in columns]
