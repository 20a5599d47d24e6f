"""BurstGPT: the paper's CSV, six columns (BurstGPT_1, _2) or eight (BurstGPT_3), and what each benchmark wants of it.

Source: github.com/HPMLL/BurstGPT, README and the released files (v2.0). ``Timestamp`` and ``Elapsed time`` are seconds,
``Timestamp`` from 0:00 of the first day; a failure has 0 response tokens and no other mark; unknown is an empty cell.
Columns are found by name, so it does not matter that the eight-column files put two of them first.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from io import StringIO
from itertools import islice

from collector.schema.events import Outcome
from collector.schema.trace_profiles import ZERO_RESPONSE_TOKENS, Profile
from collector.schema.trace_rows import (
    BURSTGPT_6,
    BURSTGPT_8,
    LOG_TYPES,
    TraceRow,
    format_row,
    parse_count,
    parse_seconds,
    parse_token,
)
from workload.formats.format import Encode, Format, Zero, holds
from workload.formats.reading import Reading, csv_header, numbered
from workload.formats.record import Record, row_of
from workload.formats.rows import csv_records
from workload.formats.told import Told

_NEEDED = tuple(name for name in BURSTGPT_6 if name != "Total tokens")
_HELD_6 = holds("model", "request_tokens", "response_tokens", "log_type")
_HELD_8 = _HELD_6 | {"session", "elapsed_us"}
_KNOWN = frozenset(BURSTGPT_8)
_REMEMBERED = 8_192
_ROWS_A_CHUNK = 2_000


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the rows of a BurstGPT file. Raises ``BadTrace`` for another header."""
    rows = numbered(lines, reading)
    place = csv_header(rows, _NEEDED, "BurstGPT")
    reading.know(place.keys(), _KNOWN)
    yield from csv_records(rows, reading, len(place), _parser(place))


def _parser(place: dict[str, int]) -> Callable[[list[str]], Record]:
    at, model_at, request_at, response_at, log_type_at = (place[name] for name in _NEEDED)
    # The same few thousand texts come again and again: looking one up is five times as fast as parsing it.
    count = lru_cache(_REMEMBERED)(parse_count)
    parse_elapsed = lru_cache(_REMEMBERED)(parse_seconds)
    parse_model = lru_cache(_REMEMBERED)(parse_token)
    session_at, elapsed_at = place.get("Session ID"), place.get("Elapsed time")

    def parse(cells: list[str]) -> Record:
        log_type = cells[log_type_at].strip()
        if log_type and log_type not in LOG_TYPES:
            raise ValueError(f"Log Type must be {' or '.join(map(repr, sorted(LOG_TYPES)))}")
        elapsed = "" if elapsed_at is None else cells[elapsed_at].strip()
        return Record(
            submitted_us=parse_seconds("Timestamp", cells[at].strip()),
            session=None if session_at is None else parse_token("Session ID", cells[session_at].strip()),
            elapsed_us=parse_elapsed("Elapsed time", elapsed) if elapsed else None,
            model=parse_model("Model", cells[model_at].strip()),
            request_tokens=count("Request tokens", cells[request_at].strip()),
            response_tokens=count("Response tokens", cells[response_at].strip()),
            log_type=log_type or None,
        )

    return parse


def encode(columns: tuple[str, ...], change: Callable[[TraceRow, Told], TraceRow] = lambda row, _: row) -> Encode:
    """Return the writer of a BurstGPT file with these columns; ``change`` has the last word on each row."""

    def write(records: Iterable[Record], told: Told) -> Iterator[bytes]:
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        rows = (format_row(change(_row(record, told), told), columns) for record in records)
        while chunk := list(islice(rows, _ROWS_A_CHUNK)):
            writer.writerows(chunk)
            yield text.getvalue().encode("ascii")
            text.seek(0)
            text.truncate()
        yield text.getvalue().encode("ascii")

    return write


def _row(record: Record, told: Told) -> TraceRow:
    row = row_of(record)
    if row.response_tokens != record.response_tokens and record.response_tokens is not None:
        told.changed["response tokens of a failed request written as 0"] += 1
    return row


def of_profile(profile: Profile) -> Format:
    """Return a profile as a format that is only written: its columns, its refusals, its changes."""

    def change(row: TraceRow, told: Told) -> TraceRow:
        new = profile.apply(row)  # times count from the first row already: the conversion saw to it
        if new is None:
            raise ValueError("a row that the profile refuses came as far as its writer")
        if new is row:
            return row
        if new.model != row.model:
            told.changed[f"Model written as {new.model}"] += 1
        if (new.submitted_us, new.elapsed_us) != (row.submitted_us, row.elapsed_us):
            told.changed["times cut to whole seconds"] += 1
        return new

    def refuses(record: Record) -> str | None:
        return ZERO_RESPONSE_TOKENS if record.outcome == Outcome.FAILED else profile.refuses(record)

    held = _HELD_8 if profile.columns == BURSTGPT_8 else _HELD_6
    return Format(
        name=profile.name,
        about=profile.about,
        suffix=".csv",
        holds=held,
        marks_failures=True,
        zero=Zero.FIRST if profile.from_first_row else Zero.DAY,
        encode=encode(profile.columns, change),
        refuses=refuses if profile.only_usable else lambda _: None,
    )


BURSTGPT_6_FORMAT = Format(
    name="burstgpt-6",
    about="BurstGPT_1 and _2: six columns, no sessions, no elapsed time",
    suffix=".csv",
    holds=_HELD_6,
    marks_failures=True,
    zero=Zero.DAY,
    read=read,
    encode=encode(BURSTGPT_6),
)
BURSTGPT_8_FORMAT = Format(
    name="burstgpt-8",
    about="BurstGPT_3: eight columns, with Session ID and Elapsed time",
    suffix=".csv",
    holds=_HELD_8,
    marks_failures=True,
    zero=Zero.DAY,
    read=read,
    encode=encode(BURSTGPT_8),
)
