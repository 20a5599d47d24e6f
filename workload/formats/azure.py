r"""Azure's LLM inference traces of 2023 and 2024: CSV, ``TIMESTAMP,ContextTokens,GeneratedTokens``.

Source: github.com/Azure/AzurePublicDataset, AzureLLMInferenceTrace_{code,conv}.csv. Calendar times (UTC) with seven
digits of fraction, of which microseconds keep six (the seventh is 0 throughout the code trace); lines end in ``\r\n``.
No models, sessions or failures. The multimodal file's ``NumImages`` is not read (and said to
be).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from collector.schema.trace_rows import AZURE, parse_calendar, parse_count
from workload.formats.format import Format, chunked, holds
from workload.formats.reading import Reading, csv_header, numbered
from workload.formats.record import Record
from workload.formats.rows import csv_records
from workload.formats.told import Told

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the rows of an Azure trace. Raises ``BadTrace`` for another header."""
    rows = numbered(lines, reading)
    place = csv_header(rows, AZURE, "Azure")
    reading.know(place.keys(), frozenset(AZURE))
    at, request_at, response_at = (place[name] for name in AZURE)

    def parse(cells: list[str]) -> Record:
        return Record(
            submitted_us=parse_calendar(cells[at].strip()),
            request_tokens=parse_count("ContextTokens", cells[request_at].strip()),
            response_tokens=parse_count("GeneratedTokens", cells[response_at].strip()),
        )

    yield from csv_records(rows, reading, len(place), parse)


def encode(records: Iterable[Record], _: Told) -> Iterator[bytes]:
    """Return an Azure trace, lines ended as published. Unknown token numbers are empty cells."""
    yield (",".join(AZURE) + "\r\n").encode()
    yield from chunked(map(_line, records))


def _line(record: Record) -> str:
    stamp = _EPOCH + timedelta(microseconds=record.submitted_us)
    tokens = ("" if n is None else str(n) for n in (record.request_tokens, record.response_tokens))
    return f"{stamp:%Y-%m-%d %H:%M:%S.%f}0,{','.join(tokens)}\r\n"


FORMAT = Format(
    name="azure",
    about="Azure's LLM inference traces: calendar times and token numbers",
    suffix=".csv",
    holds=holds("request_tokens", "response_tokens"),
    absolute=True,
    read=read,
    encode=encode,
)
