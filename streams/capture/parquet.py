"""A trace as Parquet: the paper's columns and everything else known, typed. The one door to polars here.

Rows are written in parts beside the file, each in memory only while it is made, and joined in the end by polars'
streaming engine: memory does not grow with the trace.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from collector.schema.columns import COLUMNS, ColumnType
from collector.schema.errors import OperatorError
from collector.schema.events import Kind
from streams.capture.output import Aside
from streams.capture.rows import AT, SERVICE_AT, Row
from streams.capture.trace_format import TraceFormat

ROW_GROUP = 100_000

# Names that differ from the paper's in more than case and blanks: SQL engines take `Model` and `model` for one.
_OTHERS = tuple(
    column
    for column in COLUMNS[Kind.COMPLETION]
    if column.name not in {"session", "model", "log_type", "request_tokens"}
)
_SECONDS = {"Timestamp", "Elapsed time"}
_NAMES = {"Session ID", "Model", "Log Type"}


def load_polars() -> ModuleType:
    """Return polars. Raises ``OperatorError`` where it is not installed."""
    try:
        import polars as pl  # noqa: PLC0415 - an optional extra, 200 MB
    except ImportError:
        raise OperatorError("Parquet needs polars: pip install 'burstwatch[workload]'") from None
    return pl


def column_names(columns: Sequence[str]) -> list[str]:
    """Return the file's columns, in order: the paper's ``columns``, then the service and what else is known."""
    return [*columns, "service", *(column.name for column in _OTHERS)]


def typed(form: TraceFormat, rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return rows as the file's columns; instants as us since the epoch."""
    values: dict[str, list[Any]] = form.values(rows)
    found = {
        name: [None if us is None else us / 1e6 for us in values[name]] if name in _SECONDS else values[name]
        for name in form.columns
    }
    found["service"] = [row[SERVICE_AT] for row in rows]
    return found | {column.name: [row[AT[column.name]] for row in rows] for column in _OTHERS}


class ParquetTable(Aside):
    """One Parquet file; times as UTC instants of 1 us, ``Timestamp`` and ``Elapsed time`` as seconds (float64)."""

    def __init__(self, path: Path, form: TraceFormat) -> None:
        self._polars = load_polars()
        super().__init__(path)
        self._form = form
        self._schema = self._types()
        self._waiting: list[Any] = []
        self._rows = 0
        self._parts: list[Path] = []
        self._folder = self._aside.with_name(f"{self._aside.name}.parts")
        self._make_folder()

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if not rows:
            return
        found = typed(self._form, rows)
        self._waiting.append(self._polars.DataFrame(found, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Join the parts; nothing may be added after it."""
        if self._waiting or not self._parts:
            self._flush()
        try:
            parts = self._polars.scan_parquet(self._parts)
            parts.sink_parquet(self._aside, row_group_size=ROW_GROUP, maintain_order=True, statistics=True)
        except OSError as error:
            raise self._refused(error) from None
        shutil.rmtree(self._folder, ignore_errors=True)
        self.hash_file()

    def discard(self) -> None:
        """See ``Aside``."""
        shutil.rmtree(self._folder, ignore_errors=True)
        super().discard()

    def _flush(self) -> None:
        path = self._folder / f"{len(self._parts):08d}.parquet"
        empty = self._polars.DataFrame(schema=self._schema)
        try:
            self._polars.concat([empty, *self._waiting]).write_parquet(path, compression="lz4", statistics=False)
        except OSError as error:
            raise self._refused(error) from None
        self._parts.append(path)
        self._waiting, self._rows = [], 0

    def _make_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir()
        except OSError as error:
            raise self._refused(error) from None

    def _types(self) -> dict[str, Any]:
        pl = self._polars
        paper = {
            name: pl.Float64 if name in _SECONDS else pl.String if name in _NAMES else pl.Int64
            for name in self._form.columns
        }
        kinds = {
            ColumnType.TIME: pl.Datetime("us", "UTC"),
            ColumnType.COUNT: pl.Int64,
            ColumnType.FLAG: pl.Boolean,
            ColumnType.CODED: pl.String,
            ColumnType.UNIQUE: pl.String,
        }
        return paper | {"service": pl.String} | {column.name: kinds[column.type] for column in _OTHERS}


def read_batches(path: Path) -> Iterator[dict[str, list[Any]]]:
    """Return the file's rows in order, ``ROW_GROUP`` at a time, as ``typed`` made them.

    Raises ``OperatorError`` for anything that is not Parquet.
    """
    pl = load_polars()
    try:
        frame = pl.scan_parquet(path)
        schema = frame.collect_schema()
        total = frame.select(pl.len()).collect().item()
        times = [name for name, kind in schema.items() if isinstance(kind, pl.Datetime)]
        frame = frame.with_columns(pl.col(name).dt.timestamp("us") for name in times)
        for start in range(0, total, ROW_GROUP):
            yield frame.slice(start, ROW_GROUP).collect().to_dict(as_series=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise OperatorError(f"{path} is no Parquet file that can be read: {str(error).splitlines()[0]}") from None
