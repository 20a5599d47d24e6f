"""A trace file read row by row: bad rows are counted and passed over, memory stays bounded."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from collector.schema.errors import BadTrace, OperatorError
from collector.schema.trace_rows import TraceRow, read_rows


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
            raise OperatorError(f"cannot read the trace {path}: {error.strerror or error}") from None
        except BadTrace as error:
            raise OperatorError(f"{path}: {error}") from None
        self._expect_a_row()

    def _expect_a_row(self) -> None:
        if next(self.rows(), None) is None:
            why = f" ({self.first_bad})" if self.first_bad else ""
            raise OperatorError(f"{self.path}: no usable row{why}")
        self.bad_rows, self.first_bad = 0, None

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
