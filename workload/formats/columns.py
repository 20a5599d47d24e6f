"""Records into columns and back: what analysis and generation work on. numpy, no files but ``read_columns``."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from collector.schema.events import Outcome
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.registry import open_records
from workload.trace.columns import UNKNOWN, Labels, OutcomeCode, Trace

_CODES = {Outcome.OK: OutcomeCode.OK, Outcome.FAILED: OutcomeCode.FAILED, Outcome.CANCELLED: OutcomeCode.CANCELLED}
_OUTCOMES = {int(code): str(outcome) for outcome, code in _CODES.items()}
_INT32_MAX = 2**31 - 1
_BATCH_ROWS = 16_384

_TIMES = ("submitted_us", "elapsed_us", "first_token_us")
_TOKENS = ("request_tokens", "response_tokens")
_TEXTS = ("model", "log_type", "session", "service", "reason")

Progress = Callable[[int, int], None]


def read_columns(path: Path, *, format: str | None = None, progress: Progress | None = None) -> Trace:  # noqa: A002
    """Return the requests of a file of any known format, in file order.

    ``format``: None: detected. ``progress`` is called with bytes read and bytes in all. Raises ``BadTrace`` for the
    first bad row and ``OperatorError`` for a file that cannot be read or is of no known format.
    """
    with open_records(path, format, Reading(strict=True)) as (form, read, file):
        records = read
        if progress is not None and file is not None:
            records = _reported(read, file.tell, path.stat().st_size, progress)
        return records_to_trace(records, absolute=form.absolute)


def _reported(records: Iterable[Record], place: Callable[[], int], size: int, progress: Progress) -> Iterator[Record]:
    for number, record in enumerate(records):
        if number % _BATCH_ROWS == 0:
            progress(min(place(), size), size)
        yield record


def records_to_trace(records: Iterable[Record], *, absolute: bool = False) -> Trace:
    """Return records as columns, in their order. Token numbers beyond 2^31 - 1 become that.

    Block ids, cached tokens, request ids and what only one format tells are left behind: ``Trace`` has no room.
    """
    times = {name: array("q") for name in _TIMES}
    tokens = {name: array("i") for name in _TOKENS}
    texts: dict[str, list[str | None]] = {name: [] for name in _TEXTS}
    outcome = array("b")
    for record in records:
        for name, column in times.items():
            value = getattr(record, name)
            column.append(UNKNOWN if value is None else value)
        for name, column in tokens.items():
            value = getattr(record, name)
            column.append(UNKNOWN if value is None else min(value, _INT32_MAX))
        for name, names in texts.items():
            names.append(getattr(record, name))
        outcome.append(_code(record))
    return Trace.build(
        np.array(times.pop("submitted_us"), np.int64),
        **{name: np.array(column, np.int64) for name, column in times.items()},
        **{name: np.array(column, np.int32) for name, column in tokens.items()},
        **{name: Labels.of(values) for name, values in texts.items()},
        outcome=np.array(outcome, np.int8),
        absolute=absolute,
    )


def _code(record: Record) -> int:
    if record.outcome is None:
        return OutcomeCode.FAILED if record.failed else OutcomeCode.OK
    return _CODES[Outcome(record.outcome)]


def trace_to_records(trace: Trace) -> Iterator[Record]:
    """Return the trace's rows as records, in their order. Outcomes are told, as columns always know them."""
    numbers = [[None if v == UNKNOWN else v for v in getattr(trace, name).tolist()] for name in (*_TIMES[1:], *_TOKENS)]
    texts = [getattr(trace, name).values() for name in _TEXTS]
    outcomes = [_OUTCOMES[code] for code in trace.outcome.tolist()]
    names = ("submitted_us", *_TIMES[1:], *_TOKENS, *_TEXTS, "outcome")
    for row in zip(trace.submitted_us.tolist(), *numbers, *texts, outcomes, strict=True):
        yield Record(**dict(zip(names, row, strict=True)))
