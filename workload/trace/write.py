"""A trace into a BurstGPT CSV with 8 columns, whole or not at all."""

import csv
import os
from collections.abc import Callable, Iterator
from itertools import starmap
from pathlib import Path

import numpy as np

from collector.schema.errors import OperatorError
from collector.schema.trace_rows import BURSTGPT_8, TraceRow, format_row
from workload.trace.columns import UNKNOWN, Trace

_CHUNK = 1 << 17


def write_trace(trace: Trace, path: Path) -> None:
    """Write ``trace`` in its order as a BurstGPT-8 CSV; the file appears whole or not at all.

    What is unknown is an empty cell. The format has no room for the service, the time of the first token and the reason
    of a failure, and knows no outcome: a request that failed is written with 0 response tokens. Raises
    ``OperatorError`` if the file cannot be written.
    """
    aside = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        try:
            _writer()(trace, aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot write {path}: {error.strerror or error}") from None


def _writer() -> Callable[[Trace, Path], None]:
    try:
        from workload.trace.fast_write import write_fast  # noqa: PLC0415 - polars is an extra
    except ImportError:
        return write_slowly
    return write_fast


def write_slowly(trace: Trace, path: Path) -> None:
    """Write the file with the standard library alone. Raises ``OSError``."""
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(BURSTGPT_8)
        for start in range(0, len(trace), _CHUNK):
            part = trace.take(slice(start, start + _CHUNK))
            writer.writerows(format_row(row, BURSTGPT_8) for row in _rows(part))


def _rows(trace: Trace) -> Iterator[TraceRow]:
    numbers = (trace.elapsed_us, trace.request_tokens, response_cells(trace))
    columns = (
        trace.submitted_us.tolist(),
        *([None if value == UNKNOWN else value for value in column.tolist()] for column in numbers),
        trace.session.values(),
        trace.model.values(),
        trace.log_type.values(),
    )
    return starmap(_row, zip(*columns, strict=True))


def _row(*cells: object) -> TraceRow:
    names = ("submitted_us", "elapsed_us", "request_tokens", "response_tokens", "session", "model", "log_type")
    return TraceRow(**dict(zip(names, cells, strict=True)))  # type: ignore[arg-type]


def response_cells(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return the response tokens as the format has them: 0 for a request that failed."""
    return np.where(trace.failed, np.int32(0), trace.response_tokens).astype(np.int32, copy=False)
