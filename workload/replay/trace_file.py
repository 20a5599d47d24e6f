"""A trace file read row by row: bad rows are counted and passed over, memory stays bounded.

BurstGPT and Azure CSV need nothing else; other formats are read through ``workload.formats``, which is asked for only
when such a file comes.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from collector.schema.errors import BadTrace, OperatorError
from collector.schema.events import Outcome
from collector.schema.trace_rows import TraceRow, read_rows
from workload.arguments import unreadable
from workload.replay.recorded import Recorded

if TYPE_CHECKING:
    from workload.formats.record import Record

_OUTCOMES = {str(outcome): outcome for outcome in Outcome}
_GZIP = b"\x1f\x8b"


class Source(Protocol):
    """Rows that can be read again and again.

    Attributes:
        size_bytes, read_bytes: how far the present pass has come.
        bad_rows: rows passed over because they do not parse; ``first_bad`` says why the first did not.
    """

    size_bytes: int
    read_bytes: int
    bad_rows: int
    first_bad: str | None

    def rows(self) -> Iterator[TraceRow]:
        """Return the rows from the beginning, in file order."""
        ...


def open_trace(path: str, name: str | None = None) -> Source:
    """Return the trace at ``path``, of the format ``name`` (None: judged by its first lines).

    Raises ``OperatorError`` for a file that cannot be read, is of no known format, or holds no usable row.
    """
    if name is None:
        try:
            return TraceFile(path)
        except OperatorError as error:
            return _other(path, error)
    return OtherFile(path, name)


def _other(path: str, error: OperatorError) -> Source:
    """Return the file as one of the other formats, or say what was wrong with it as a CSV."""
    from workload.formats.registry import detect  # noqa: PLC0415 - not needed for the usual CSV

    begins = _beginning(path)
    try:
        name = detect(Path(path))
    except OperatorError as unknown:
        raise (unknown if begins.startswith(b"{") else error) from None
    if name in {"burstgpt-8", "burstgpt-6", "azure"} and begins != _GZIP:
        raise error  # it was read as what it is, and the error is in a row
    return OtherFile(path, name)


def _beginning(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_GZIP))
    except OSError:
        return b""


def _expect_a_row(source: Source, path: str) -> None:
    if next(source.rows(), None) is None:
        why = f" ({source.first_bad})" if source.first_bad else ""
        raise OperatorError(f"{path}: no usable row{why}")
    source.bad_rows, source.first_bad = 0, None


class TraceFile:
    """A BurstGPT (6 or 8 columns) or Azure CSV that can be read again and again.

    Attributes:
        size_bytes, read_bytes: how far the present pass has come.
        bad_rows: rows passed over because they do not parse; ``first_bad`` says why the first did not.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.read_bytes = 0
        self.bad_rows = 0
        self.first_bad: str | None = None
        self._line = 0
        try:
            self.size_bytes = self.path.stat().st_size
            with self.path.open("rb") as file:
                read_rows(self._lines(file))
        except OSError as error:
            raise unreadable(path, error) from None
        except BadTrace as error:
            raise OperatorError(f"{path}: {error}") from None
        _expect_a_row(self, path)

    def rows(self) -> Iterator[TraceRow]:
        """Return the rows from the beginning, in file order."""
        with self.path.open("rb") as file:
            lines = self._lines(file)
            header = next(lines, "")
            rows = read_rows(chain([header], lines))[1]
            while True:
                try:
                    yield next(rows)
                except StopIteration:
                    return
                except BadTrace as error:
                    self.bad_rows += 1
                    self.first_bad = self.first_bad or f"line {self._line}: {error.detail}"
                    rows = read_rows(chain([header], lines))[1]

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        self.read_bytes = self._line = 0
        for line in file:
            self.read_bytes += len(line)
            self._line += 1
            yield line.decode("utf-8", "replace")


class OtherFile:
    """A trace of any other known format, as a ``Source``. Raises ``OperatorError`` as ``open_trace`` says."""

    def __init__(self, path: str, name: str) -> None:
        from workload.formats.registry import FORMATS  # noqa: PLC0415 - as above

        if name not in FORMATS:
            raise OperatorError(f"--format {name} is not known; known formats: {', '.join(FORMATS)}")
        self.path = Path(path)
        self._name = name
        self.read_bytes = 0
        self.bad_rows = 0
        self.first_bad: str | None = None
        try:
            self.size_bytes = self.path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from None
        _expect_a_row(self, path)

    def rows(self) -> Iterator[TraceRow]:
        """Return the rows from the beginning, in file order."""
        from workload.formats.reading import Reading  # noqa: PLC0415 - as above
        from workload.formats.registry import open_records  # noqa: PLC0415

        before, reading = self.bad_rows, Reading()
        with open_records(self.path, self._name, reading) as (_, records, file):
            while (record := next(records, None)) is not None:
                self._note(before, reading.bad_rows, reading.named)
                self.read_bytes = file.tell() if file is not None else 0
                yield _recorded(record)
        self._note(before, reading.bad_rows, reading.named)
        self.read_bytes = self.size_bytes

    def _note(self, before: int, bad: int, named: list[str]) -> None:
        self.bad_rows = before + bad
        self.first_bad = self.first_bad or (named[0] if named else None)


def _recorded(record: "Record") -> Recorded:
    return Recorded(
        submitted_us=record.submitted_us,
        session=record.session,
        elapsed_us=record.elapsed_us,
        model=record.model,
        request_tokens=record.request_tokens,
        response_tokens=record.response_tokens,
        log_type=record.log_type,
        outcome=_OUTCOMES.get(record.outcome or ""),
        reason=record.reason,
    )
