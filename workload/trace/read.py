"""A trace file into columns: BurstGPT and Azure CSV fast, every other format, and every odd file, row by row.

The fast path (polars, of the extra ``burstwatch[workload]``) reads typed columns at once: 5.3 million rows in about a
second. Whatever it cannot take exactly (cells that do not parse, more digits than a float holds, values out of range)
goes to the row readers, which are exact to the microsecond and name the line that is wrong; so they do without polars.
Both give equal traces of a good file.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import numpy as np

from collector.schema.errors import BadTrace, OperatorError
from collector.schema.trace_rows import AZURE, BURSTGPT_6, TraceRow, format_seconds, read_rows
from workload.arguments import unreadable
from workload.trace.columns import UNKNOWN, Labels, Trace

Progress = Callable[[int, int], None]

YEAR_US = 365 * 86_400_000_000
SPAN_MAX_US = 5 * YEAR_US

_BATCH = 65_536  # rows of the slow path between two calls of ``progress``
_CSV_FORMATS = frozenset({"burstgpt-6", "burstgpt-8", "azure"})


def read_trace(path: Path, *, format: str | None = None, progress: Progress | None = None) -> Trace:  # noqa: A002
    """Return the requests of a trace file in order of submission; the rest is as ``read_in_file_order`` says."""
    return read_in_file_order(path, format=format, progress=progress).sorted_by_time()


def read_in_file_order(path: Path, *, format: str | None = None, progress: Progress | None = None) -> Trace:  # noqa: A002
    """Return the requests of a trace file as they stand in it.

    ``format`` is a name of ``workload.formats``; None: told from the file. ``progress`` is called with bytes read and
    bytes in all, now and then, while rows are read one by one. Raises ``OperatorError`` for a file that cannot be
    read, of no known format, with a bad row (the message names the line) or with times years apart.
    """
    try:
        if format in _CSV_FORMATS or (format is None and _is_known_csv(path)):
            return within_bounds(path, _read_csv(path, progress))
        read_columns = import_module("workload.formats.columns").read_columns  # not needed for the usual files
        trace: Trace = read_columns(path, format=format, progress=progress)
        return within_bounds(path, trace)
    except OSError as error:
        raise unreadable(path, error) from None
    except BadTrace as error:
        raise OperatorError(f"{path}: {error}") from None


def within_bounds(path: Path, trace: Trace) -> Trace:
    """Return the trace. Raises ``OperatorError`` if it spans more than five years.

    Some figures count seconds one by one: one wrong time (0 among times since 1970) would make billions of them.
    """
    times = trace.submitted_us
    if len(trace) and (span_us := int(times.max()) - int(times.min())) > SPAN_MAX_US:
        raise OperatorError(
            f"{path}: from {format_seconds(int(times.min()))} s to {format_seconds(int(times.max()))} s are "
            f"{span_us / YEAR_US:,.0f} years; {SPAN_MAX_US // YEAR_US} are the most a trace may span: a time is wrong"
        )
    return trace


def _read_csv(path: Path, progress: Progress | None) -> Trace:
    try:
        from workload.trace.fast_csv import read_fast  # noqa: PLC0415 - polars is an extra, and takes a while to load
    except ImportError:
        fast = None
    else:
        fast = read_fast(path, _names(path))
    return read_slowly(path, progress) if fast is None else fast


def _names(path: Path) -> list[str]:
    with path.open("rb") as file:
        line = file.readline(65_536).decode("utf-8", "replace")
    return [name.removeprefix("\ufeff").strip().strip('"') for name in line.rstrip("\r\n").split(",")]


def _is_known_csv(path: Path) -> bool:
    names = set(_names(path))
    return set(AZURE) <= names or set(BURSTGPT_6) - {"Total tokens"} <= names


def read_slowly(path: Path, progress: Progress | None = None) -> Trace:
    """Return the rows of a BurstGPT or Azure CSV in file order, read one by one. Raises ``BadTrace``."""
    with path.open("rb") as file:
        header, rows = read_rows(_lines(file, path.stat().st_size, progress))
        return rows_to_trace(rows, absolute=header.absolute)


def _lines(file: BinaryIO, size: int, progress: Progress | None) -> Iterator[str]:
    done = 0
    for number, line in enumerate(file):
        done += len(line)
        if progress and number % _BATCH == 0:
            progress(done, size)
        yield line.decode("utf-8", "replace")


def rows_to_trace(rows: Iterable[TraceRow], *, absolute: bool) -> Trace:
    """Return rows as a trace, in their order; ``absolute`` if their times are calendar times."""
    times: list[int] = []
    numbers: tuple[list[int], ...] = ([], [], [])
    texts: tuple[list[str | None], ...] = ([], [], [])
    for row in rows:
        times.append(row.submitted_us)
        for column, value in zip(numbers, (row.elapsed_us, row.request_tokens, row.response_tokens), strict=True):
            column.append(UNKNOWN if value is None else value)
        for texts_of, text in zip(texts, (row.model, row.log_type, row.session), strict=True):
            texts_of.append(text)
    int32 = partial(np.array, dtype=np.int32)
    return Trace.build(
        np.array(times, np.int64),
        elapsed_us=np.array(numbers[0], np.int64),
        request_tokens=int32(np.minimum(numbers[1], np.iinfo(np.int32).max)),
        response_tokens=int32(np.minimum(numbers[2], np.iinfo(np.int32).max)),
        model=Labels.of(texts[0]),
        log_type=Labels.of(texts[1]),
        session=Labels.of(texts[2]),
        absolute=absolute,
    )
