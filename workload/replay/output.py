"""Result files, written while the replay runs: whole at its end or not there at all."""

import csv
import math
import os
from collections import OrderedDict
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Protocol, TextIO

import orjson

from collector.schema.errors import OperatorError
from collector.schema.events import API_LOG, CONVERSATION_LOG, Outcome
from collector.schema.trace_rows import BURSTGPT_8, TraceRow, format_row
from workload.replay.record import Record
from workload.replay.result import COLUMNS, row_of


class Sheet(Protocol):
    """Turns a record into lines of one kind of file."""

    head: str

    def line(self, record: Record) -> str | None:
        """Return its line, None if it has no place in this file."""
        ...


class PaperSheet:
    """BurstGPT's eight columns with what was really measured.

    Timestamp: when it was sent, seconds since the start. Elapsed time: to the end of the answer. Tokens as the server
    counted them, else (it did not say) as asked, and one per chunk; a failed request has 0 response tokens.
    Warm-up requests and those that never left have no line.
    """

    head = ",".join(BURSTGPT_8) + "\n"

    def line(self, record: Record) -> str | None:
        """Return the request as a row of the paper."""
        if not record.counted or math.isnan(record.sent_s):
            return None
        shot, answer = record.shot, record.answer
        counted = answer.chunks if answer.response_tokens is None else answer.response_tokens
        row = TraceRow(
            submitted_us=round(record.sent_s * 1e6),
            session=shot.session,
            elapsed_us=max(0, round((record.ended_s - record.sent_s) * 1e6)),
            model=shot.model,
            request_tokens=shot.prompt_tokens if answer.request_tokens is None else answer.request_tokens,
            response_tokens=0 if answer.outcome is Outcome.FAILED else counted,
            log_type=shot.log_type or (CONVERSATION_LOG if shot.session else API_LOG),
        )
        return ",".join(format_row(row, BURSTGPT_8)) + "\n"


class RequestsCsv:
    """Every measured column of every request, warm-up included; what is not known is an empty cell."""

    def __init__(self) -> None:
        self.head = ",".join(COLUMNS) + "\n"

    def line(self, record: Record) -> str:
        """Return the request as CSV."""
        out, row = _Line(), row_of(record)
        csv.writer(out, lineterminator="\n").writerow([_cell(row[name]) for name in COLUMNS])
        return out.text


class RequestsJsonl:
    """The same as JSON, an object a line; what is not known is null."""

    head = ""

    def line(self, record: Record) -> str:
        """Return the request as JSON."""
        row = {name: round(v, 6) if isinstance(v, float) else v for name, v in row_of(record).items()}
        return orjson.dumps(row).decode() + "\n"


class _Line:
    """What csv wants of a file, for one line."""

    text = ""

    def write(self, text: str) -> None:
        self.text += text


def _cell(value: Any) -> str:  # noqa: ANN401 - a row's own values
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


class SheetFile:
    """An observer that writes a file in the order in which requests were sent.

    A line waits until every request launched before it has ended, for only then it is known what comes first: memory
    holds as many lines as there were requests since the oldest open one.

    Raises ``OperatorError`` if the file cannot be begun. What goes wrong later is told by ``close``.
    """

    def __init__(self, path: str, sheet: Sheet) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        self._sheet = sheet
        self._open: OrderedDict[int, float] = OrderedDict()  # number -> launched_s, in the order of launching
        self._held: list[tuple[float, int, str]] = []
        self._error: OSError | None = None
        try:
            self._file: TextIO = self._part.open("w", encoding="utf-8", newline="")
            self._file.write(sheet.head)
        except OSError as error:
            raise OperatorError(f"cannot write {path}: {error.strerror or error}") from None

    def on_start(self, record: Record) -> None:
        """Expect its end."""
        self._open[record.number] = record.launched_s

    def on_sent(self, record: Record) -> None:
        """Nothing is written before the end."""

    def on_end(self, record: Record) -> None:
        """Hold its line, and write those that nothing can precede any more."""
        self._open.pop(record.number, None)
        line = self._sheet.line(record)
        if line is not None:
            at_s = record.launched_s if math.isnan(record.sent_s) else record.sent_s
            heappush(self._held, (at_s, record.number, line))
        self._write_until(next(iter(self._open.values())) if self._open else record.ended_s)

    def close(self) -> None:
        """Put the finished file in its place. Raises ``OperatorError`` if it could not be written whole."""
        self._write_until(math.inf)
        try:
            self._file.close()
            if self._error is None:
                self._part.replace(self._path)
        except OSError as error:
            self._error = self._error or error
        if self._error is not None:
            self.discard()
            raise OperatorError(f"cannot write {self._path}: {self._error.strerror or self._error}")

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _write_until(self, at_s: float) -> None:
        while self._held and self._held[0][0] <= at_s:
            line = heappop(self._held)[2]
            if self._error is None:
                try:
                    self._file.write(line)
                except OSError as error:  # a full disk must not end the replay: the other results are still good
                    self._error = error
