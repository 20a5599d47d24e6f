"""Parquet with the columns of ``Record``: the whole of a trace in a tenth of the space, typed. polars' door.

Our own format: columns named as ``Record``'s fields, times in microseconds, ``hash_ids`` a list, ``other`` JSON text.
Files with BurstGPT's column names are read too, their numbers as numbers or as decimal text, in seconds: `trace export`
to Parquet, whose further columns say how each request ended, or a CSV that somebody turned into Parquet. Read and
written in batches: memory does not grow with the file.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from collector.schema.columns import TIME_US_MAX
from collector.schema.errors import BadTrace, OperatorError
from collector.schema.events import Outcome
from collector.schema.trace_rows import LOG_TYPES, parse_count, parse_seconds, parse_token
from workload.formats.format import Format, holds
from workload.formats.reading import Reading
from workload.formats.record import COLUMNS, Record
from workload.formats.told import Told
from workload.formats.values import SECOND_US, ids, micros, token, whole

if TYPE_CHECKING:
    import polars as pl

_BATCH_ROWS = 50_000
_TIMES = ("submitted_us", "elapsed_us", "first_token_us")
_COUNTS = ("request_tokens", "response_tokens", "cached_tokens", "block_tokens")
_TEXTS = ("session", "model", "service", "reason", "request_id")
_EXPORTED_OTHER = ("reasoning_tokens", "stream", "reason_raw", "http_status", "finish_reason", "source", "node")
_BURSTGPT = {
    "Session ID": "session",
    "Model": "model",
    "Request tokens": "request_tokens",
    "Response tokens": "response_tokens",
}


def read_file(path: Path, reading: Reading) -> Iterator[Record]:
    """Return the requests of a Parquet file. ``reading.line`` is the row's number, from 1.

    Raises ``OperatorError`` without polars or for a file it cannot read, ``BadTrace`` for unknown columns.
    """
    polars = _polars()
    try:
        lazy = polars.scan_parquet(path)
        names = lazy.collect_schema().names()
        parse = _parser(names)
        start = 0
        while rows := lazy.slice(start, _BATCH_ROWS).collect().rows():
            yield from _records(rows, names, parse, reading)
            start += len(rows)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise OperatorError(f"cannot read {path}: {str(error).splitlines()[0]}") from None


def _polars() -> Any:  # noqa: ANN401 - the module
    try:
        import polars  # noqa: ICN001, PLC0415 - polars is an extra, and takes a while to load
    except ImportError:
        raise OperatorError("Parquet needs polars: pip install 'burstwatch[workload]'") from None
    return polars


def _parser(names: list[str]) -> Any:  # noqa: ANN401 - a function of a row
    if "submitted_us" in names:
        return _record
    if {"Timestamp", "Request tokens", "Response tokens"} <= set(names):
        return _burstgpt_record
    raise BadTrace(1, f"no column 'submitted_us' or 'Timestamp'; the file has {', '.join(names[:12])}")


def _records(rows: list[tuple[Any, ...]], names: list[str], parse: Any, reading: Reading) -> Iterator[Record]:  # noqa: ANN401
    for row in rows:
        reading.line += 1
        try:
            record = parse(dict(zip(names, row, strict=True)))
        except ValueError as error:
            reading.bad(str(error))
        else:
            yield record


def _record(row: dict[str, Any]) -> Record:
    submitted = whole("submitted_us", row["submitted_us"], most=TIME_US_MAX)
    if submitted is None:
        raise ValueError("no 'submitted_us'")
    known: dict[str, Any] = {name: whole(name, row.get(name), most=TIME_US_MAX) for name in _TIMES[1:]}
    known |= {name: whole(name, row.get(name)) for name in _COUNTS}
    known |= {name: token(name, row.get(name)) for name in _TEXTS}
    other = row.get("other")
    return Record(
        submitted_us=submitted,
        log_type=_one_of("log_type", row.get("log_type"), LOG_TYPES),
        outcome=_one_of("outcome", row.get("outcome"), frozenset(Outcome)),
        hash_ids=ids("hash_ids", row.get("hash_ids")),
        other=None if other is None else _json(other),
        **known,
    )


def _json(text: object) -> dict[str, Any]:
    try:
        value = orjson.loads(text)  # type: ignore[arg-type]
    except (orjson.JSONDecodeError, TypeError):
        value = None
    if not isinstance(value, dict):
        raise ValueError("other must be a JSON object")  # noqa: TRY004 - bad input, told like any other
    return value


def _one_of(name: str, value: object, allowed: frozenset[str]) -> str | None:
    if value is not None and value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(sorted(allowed))}")
    return value if isinstance(value, str) else None


def _burstgpt_record(row: dict[str, Any]) -> Record:
    known: dict[str, Any] = {
        field: (parse_token if field in _TEXTS else parse_count)(name, _text(row.get(name)))
        for name, field in _BURSTGPT.items()
    }
    elapsed = row.get("Elapsed time")
    known |= _exported(row) if "outcome" in row else {}
    return Record(
        submitted_us=_seconds("Timestamp", row["Timestamp"]),
        elapsed_us=None if elapsed is None else _seconds("Elapsed time", elapsed),
        log_type=_one_of("Log Type", row.get("Log Type"), LOG_TYPES),
        **known,
    )


def _exported(row: dict[str, Any]) -> dict[str, Any]:
    """Return what `trace export` adds to the paper's columns; ``response_tokens`` are a failed request's own."""
    other = {name: row[name] for name in _EXPORTED_OTHER if row.get(name) is not None}
    return {
        "outcome": _one_of("outcome", row["outcome"], frozenset(Outcome)),
        "reason": token("reason", row.get("reason")),
        "service": token("service", row.get("service")),
        "request_id": token("id", row.get("id")),
        "response_tokens": whole("response_tokens", row.get("response_tokens")),
        "cached_tokens": whole("cached_tokens", row.get("cached_tokens")),
        "first_token_us": _between(row.get("submitted_at"), row.get("first_token_at")),
        "other": other or None,
    }


def _between(start: object, end: object) -> int | None:
    """Return the time from one instant to a later one; an earlier one (two clocks) gives 0, as in the CSV."""
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return None
    return max(0, (end - start) // timedelta(microseconds=1))


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _seconds(name: str, value: object) -> int:
    return micros(name, value, SECOND_US) if isinstance(value, int | float) else parse_seconds(name, _text(value))


def encode_file(records: Iterable[Record], _: Told, path: Path) -> None:
    """Write a Parquet file at ``path``. Raises ``OSError``, and ``OperatorError`` without polars."""
    polars = _polars()
    from polars.io.plugins import register_io_source  # noqa: PLC0415

    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, polars.String)
    kinds |= dict.fromkeys((*_TIMES, *_COUNTS), polars.Int64)
    kinds["hash_ids"] = polars.List(polars.UInt64)
    rows = map(_row, records)

    def batches(*_: object) -> Iterator["pl.DataFrame"]:
        while chunk := list(islice(rows, _BATCH_ROWS)):
            yield polars.DataFrame(chunk, schema=kinds, orient="row")

    register_io_source(batches, schema=kinds).sink_parquet(path)


def _row(record: Record) -> tuple[Any, ...]:
    values = tuple(getattr(record, name) for name in COLUMNS[:-1])
    return (*values, None if record.other is None else orjson.dumps(record.other).decode())


FORMAT = Format(
    name="parquet",
    about="Parquet with every column known here (needs burstwatch[workload])",
    suffix=".parquet",
    holds=holds(*COLUMNS, "other"),
    read_file=read_file,
    encode_file=encode_file,
)
