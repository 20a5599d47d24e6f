"""Files line by line: numbered, bounded, bad ones counted and named. A reader of a format sees only good bytes."""

import csv
import gzip
from collections.abc import Iterable, Iterator, KeysView
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from collector.schema.errors import BadTrace, OperatorError

LINE_BYTES_MAX = 16 << 20  # the block ids of a prompt of a few million tokens
_NAMED = 5
_IGNORED_MAX = 100
_GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class Reading:
    """What was met while a file was read.

    Attributes:
        strict: the first bad row raises ``BadTrace`` instead of being passed over.
        line: number of the line being read, from 1.
        bad_rows: rows passed over because they do not parse; ``named``: line and reason of the first five.
        not_requests: rows that are valid but tell of something else than a request.
        ignored: columns or keys of the file that its format's reader knows nothing of.
    """

    strict: bool = False
    line: int = 0
    bad_rows: int = 0
    named: list[str] = field(default_factory=list)
    not_requests: int = 0
    ignored: set[str] = field(default_factory=set)

    def bad(self, why: str) -> None:
        """Count the line being read as bad. Raises ``BadTrace`` if ``strict``."""
        if self.strict:
            raise BadTrace(self.line, why)
        self.bad_rows += 1
        if len(self.named) < _NAMED:
            self.named.append(f"line {self.line}: {why}")

    def know(self, names: KeysView[str], known: frozenset[str]) -> None:
        """Note the names that are not ``known``: what they hold is not read. At most a hundred are kept."""
        if not names <= known and len(self.ignored) < _IGNORED_MAX:
            self.ignored |= names - known


def numbered(lines: Iterable[bytes], reading: Reading) -> Iterator[str]:
    """Return the lines as text without their ends and without a byte order mark; blank ones are left out.

    A line that is not UTF-8 or longer than 16 MiB is a bad row.
    """
    for line in lines:
        reading.line += 1
        if len(line) > LINE_BYTES_MAX:
            reading.bad("longer than 16 MiB")
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError:
            reading.bad("not UTF-8 text")
            continue
        if reading.line == 1:
            text = text.removeprefix("\ufeff")
        text = text.rstrip("\r\n")
        if text:
            yield text


def csv_cells(line: str) -> list[str]:
    """Return the cells of one CSV line. Raises ``ValueError`` for quotes that do not match.

    No known format has a line break within a cell, so a stray quote spoils its own line only.
    """
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from None


def csv_header(lines: Iterator[str], needed: tuple[str, ...], what: str) -> dict[str, int]:
    """Take the header from ``lines``; return each column's place by name. Raises ``BadTrace`` for any other header."""
    line = next(lines, None)
    if line is None:
        raise BadTrace(1, f"the file is empty; expected a header such as {','.join(needed)}")
    try:
        place = {name.strip(): i for i, name in enumerate(csv_cells(line))}
    except ValueError as error:
        raise BadTrace(1, str(error)) from None
    missing = [name for name in needed if name not in place]
    if missing:
        raise BadTrace(1, f"no column {missing[0]!r}; {what} has the header {','.join(needed)}")
    return place


@contextmanager
def open_lines(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading by lines; gzip is undone. Raises ``OperatorError`` if that cannot be."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.open(file) as unpacked:
                yield cast("BinaryIO", unpacked)
    except (OSError, EOFError) as error:
        raise OperatorError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Return the file's lines; of one that is too long comes just more than the limit, and its rest is lost."""
    limit = LINE_BYTES_MAX + 1
    for line in iter(lambda: file.readline(limit), b""):
        if len(line) == limit and not line.endswith(b"\n"):
            while (rest := file.readline(limit)) and not rest.endswith(b"\n"):
                pass
        yield line
