"""ServeGen's generated requests: CSV, ``request_id,timestamp,input_tokens,output_tokens``, seconds.

Source: github.com/alibaba/ServeGen, servegen/utils.py ``save_requests_to_csv`` as its tests/test_utils.py reads it
back (f891d11). Its client files, rates and length distributions instead of requests, are servegen_clients.py's.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from collector.schema.columns import TIME_US_MAX
from collector.schema.trace_rows import format_seconds, parse_count, parse_token
from workload.formats.format import Format, Zero, chunked, holds
from workload.formats.reading import Reading, csv_header, numbered
from workload.formats.record import Record
from workload.formats.rows import csv_records
from workload.formats.told import Told

HEADER = ("request_id", "timestamp", "input_tokens", "output_tokens")


def read(lines: Iterable[bytes], reading: Reading) -> Iterator[Record]:
    """Return the requests of a ServeGen workload. Raises ``BadTrace`` for another header."""
    rows = numbered(lines, reading)
    place = csv_header(rows, HEADER, "ServeGen")
    reading.know(place.keys(), frozenset(HEADER))
    id_at, at, request_at, response_at = (place[name] for name in HEADER)

    def parse(cells: list[str]) -> Record:
        return Record(
            submitted_us=_seconds(cells[at].strip()),
            request_id=parse_token("request_id", cells[id_at].strip()),
            request_tokens=parse_count("input_tokens", cells[request_at].strip()),
            response_tokens=parse_count("output_tokens", cells[response_at].strip()),
        )

    yield from csv_records(rows, reading, len(place), parse)


def _seconds(text: str) -> int:
    """Return seconds as Python prints a float (so also 9.3e-05) as microseconds, rounded."""
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"timestamp must be seconds, not {text[:40]!r}") from None
    if not seconds.is_finite() or not 0 <= seconds <= TIME_US_MAX // 1_000_000:
        raise ValueError(f"timestamp must be seconds, zero or more, not {text[:40]!r}")
    return round(seconds * 1_000_000)


def encode(records: Iterable[Record], told: Told) -> Iterator[bytes]:
    """Return a ServeGen workload; requests without an id are numbered from 0."""
    yield (",".join(HEADER) + "\n").encode()
    yield from chunked(_line(number, record, told) for number, record in enumerate(records))


def _line(number: int, record: Record, told: Told) -> str:
    name = record.request_id
    if name is None or not name.isdigit():
        told.changed["request_id numbered"] += 1
        name = str(number)
    tokens = ("" if n is None else str(n) for n in (record.request_tokens, record.response_tokens))
    return f"{name},{format_seconds(record.submitted_us)},{','.join(tokens)}\n"


FORMAT = Format(
    name="servegen",
    about="ServeGen's generated workloads: seconds from 0 and token numbers",
    suffix=".csv",
    holds=holds("request_tokens", "response_tokens", "request_id"),
    zero=Zero.FIRST,
    read=read,
    encode=encode,
)
