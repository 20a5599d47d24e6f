"""Lines into records, whatever the format: a line that does not parse is counted and passed over. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from workload.formats.reading import Reading, csv_cells, numbered
from workload.formats.record import Record
from workload.formats.values import json_object


def json_records(
    lines: Iterable[bytes], reading: Reading, known: frozenset[str], parse: Callable[[dict[str, Any]], Record]
) -> Iterator[Record]:
    """Return the record of each line of JSON; ``parse`` raises ``ValueError`` for an object that is none.

    Keys that are not ``known`` are noted as not read.
    """
    for line in numbered(lines, reading):
        try:
            row = json_object(line)
            record = parse(row)
        except ValueError as error:
            reading.bad(str(error))
        else:
            reading.know(row.keys(), known)
            yield record


def csv_records(
    rows: Iterable[str], reading: Reading, columns: int, parse: Callable[[list[str]], Record]
) -> Iterator[Record]:
    """Return the record of each line below a header of so many ``columns``.

    ``parse`` raises ``ValueError`` for cells that are none, ``IndexError`` where there are too few of them.
    """
    for line in rows:
        try:
            record = parse(csv_cells(line))
        except ValueError as error:
            reading.bad(str(error))
        except IndexError:
            reading.bad(f"only {len(csv_cells(line))} columns, the header has {columns}")
        else:
            yield record
