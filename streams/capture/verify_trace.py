"""Is an exported trace what its manifest says, row by row, and exactly what the segments give?"""

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from collector.schema.columns import COLUMNS, ColumnType
from collector.schema.errors import OperatorError
from collector.schema.events import Kind, Outcome
from collector.schema.trace_profiles import PROFILES
from collector.schema.trace_rows import BURSTGPT_8
from streams.capture.export import Wanted
from streams.capture.findings import Findings
from streams.capture.manifest import RowCounts
from streams.capture.output import side_path
from streams.capture.parquet import ROW_GROUP, read_batches, typed
from streams.capture.privacy import Privacy
from streams.capture.publication import Publication
from streams.capture.rows import AT, FIELDS, Only, Row
from streams.capture.trace_format import TraceFormat
from streams.capture.verify_manifest import Recount

Progress = Callable[[int, int], None]

_BLOCK = 1 << 20
_KEYS = ("service", *FIELDS)
_OUTCOMES = frozenset(Outcome)
_PYTHON = {ColumnType.TIME: int, ColumnType.COUNT: int, ColumnType.FLAG: bool}
_COLUMNS = COLUMNS[Kind.COMPLETION]
_TYPES: list[set[type]] = [
    {str},
    *({_PYTHON.get(c.type, str)} | ({type(None)} if c.nullable else set()) for c in _COLUMNS),
]


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported trace: its table, its sidecar, what its manifest says and how it was asked for."""

    table: Path
    sidecar: Path
    about: dict[str, Any]
    wanted: Wanted
    origin_us: int


def open_trace(table: Path) -> Exported:
    """Return the trace whose table this is. Raises ``OperatorError`` if there is no manifest that can be read."""
    path = side_path(table, ".manifest.json")
    try:
        about = orjson.loads(path.read_bytes())
        made = about["made_as"]
        wanted = Wanted(
            columns=tuple(made["columns"]),
            whole_seconds=made["whole_seconds"],
            only=Only(service=about["service"], agent=about["agent"], from_us=made["from_us"], to_us=made["to_us"]),
            profile=None if made["profile"] is None else PROFILES[made["profile"]],
            parquet=made["format"] == "parquet",
            publication=Publication(without_sessions=made["publication"]["sessions"] == "left out"),
        )
        _check_shape(about)
        return Exported(table, side_path(table, ".sidecar.jsonl"), about, wanted, int(made["origin_us"]))
    except FileNotFoundError:
        raise OperatorError(f"there is no {path}; name the table that `burstwatch trace export` wrote") from None
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OperatorError(f"{path} is no manifest of this version of `burstwatch trace export`") from None


def _check_shape(about: dict[str, Any]) -> None:
    """Raise ``ValueError``, ``KeyError``, ``TypeError`` or ``AttributeError`` where later steps would."""
    sound = isinstance(about["rows"]["total"], int) and isinstance(about["time_range"], dict)
    for role in ("trace", "sidecar"):
        facts = about["files"][role]
        sound &= (type(facts["name"]), type(facts["bytes"]), type(facts["sha256"])) == (str, int, str)
    sound &= all((type(item["name"]), type(item["sha256"])) == (str, str) for item in about["segments"])
    made, publication = about["made_as"], about["made_as"]["publication"]
    sound &= publication["request_ids"] is not None and isinstance(publication["key_fingerprint"], str | None)
    sound &= bool(made["columns"]) and set(made["columns"]) <= set(BURSTGPT_8) and made["format"] in {"csv", "parquet"}
    sound &= isinstance(made["whole_seconds"], bool) and type(made["origin_us"]) is int
    sound &= isinstance(made["from_us"], int | None) and isinstance(made["to_us"], int | None)
    sound &= isinstance(about["service"], str | None) and isinstance(about["agent"], str | None)
    if not sound:
        raise ValueError


def verify_trace(trace: Exported, progress: Progress = lambda *_: None) -> Findings:
    """Return what is wrong with the trace by itself: files, rows, order, counts. ``progress``: rows done, of all."""
    found = Findings()
    for role, path in (("trace", trace.table), ("sidecar", trace.sidecar)):
        _check_file(path, trace.about["files"][role], found)
    if found.proven:
        _check_rows(trace, found, progress)
    return found


def _check_file(path: Path, said: dict[str, Any], found: Findings) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        found.problem(f"{path.name}: cannot be read: {error.strerror}")
        return
    if said["name"] != path.name:
        found.note(f"{path.name}: the manifest calls it {said['name']}")
    if size != said["bytes"] or digest.hexdigest() != said["sha256"]:
        found.problem(f"{path.name}: its sha256 differs from the manifest's ({size:,} bytes, {said['bytes']:,} there)")


def _check_rows(trace: Exported, found: Findings, progress: Progress) -> None:
    form = trace.wanted.form(trace.origin_us)
    again = Recount(RowCounts(), Privacy(whole_seconds=trace.wanted.whole_seconds))
    total = trace.about["rows"]["total"]
    table = _ParquetRows(trace.table, form) if trace.wanted.parquet else _CsvRows(trace.table, form)
    by_id = trace.about["made_as"]["publication"]["request_ids"] == "as captured"
    before: tuple[int, str] = (-1, "")
    try:
        table.begin(found)
        for rows in sidecar_rows(trace.sidecar, found):
            for row in rows:
                place = (row[0], row[1] if by_id else "")
                if place < before:
                    found.problem(f"{trace.sidecar.name}: request {row[1]} stands after one submitted later")
                before = place
            again.add(rows)
            table.compare(rows, found)
            progress(again.counts.rows, total)
        table.end(found)
    except OperatorError as error:  # a table that is no table, a row before the origin
        found.problem(f"{trace.table.name}: {error}")
        return
    found.checked["rows"] = again.counts.rows
    again.check(trace.about, form, trace.wanted.only, found)
    if form.origin_us != trace.origin_us:
        found.problem(f"manifest: made_as.origin_us is {trace.origin_us}, the first row in the table says otherwise")


def sidecar_rows(path: Path, found: Findings) -> Iterator[list[Row]]:
    """Return the rows of a sidecar, ``ROW_GROUP`` at a time; a line that is none is a problem and ends it."""
    rows: list[Row] = []
    sound: set[tuple[type, ...]] = set()  # combinations found right before; a trace has few
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            row = _row(line, sound)
            if row is None:
                found.problem(f"{path.name}: line {number} is not a request")
                break
            rows.append(row)
            if len(rows) == ROW_GROUP:
                yield rows
                rows = []
    if rows:
        yield rows


def _row(line: bytes, sound: set[tuple[type, ...]]) -> Row | None:
    try:
        raw = orjson.loads(line)
        values = tuple(raw[key] for key in _KEYS)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    types = tuple(map(type, values))
    if types not in sound:
        if len(raw) != len(_KEYS) or not all(kind in allowed for kind, allowed in zip(types, _TYPES, strict=True)):
            return None
        sound.add(types)
    row = (raw["submitted_at"], raw["id"], 0, 0, 0, *values)
    return row if len(raw) == len(_KEYS) and row[AT["outcome"]] in _OUTCOMES else None


class _CsvRows:
    """A CSV table, compared with what the sidecar's rows give."""

    def __init__(self, path: Path, form: TraceFormat) -> None:
        self._name = path.name
        self._form = form
        self._rows = self._read(path)
        self._number = 1

    @staticmethod
    def _read(path: Path) -> Iterator[list[str]]:
        with path.open(encoding="ascii", errors="backslashreplace", newline="") as lines:
            try:
                yield from csv.reader(lines, strict=True)
            except csv.Error as error:
                raise OperatorError(f"it is no CSV: {error}") from None

    def begin(self, found: Findings) -> None:
        header = next(self._rows, None)
        if header != list(self._form.columns):
            found.problem(f"{self._name}: its header is {header}, the manifest says {list(self._form.columns)}")

    def compare(self, rows: list[Row], found: Findings) -> None:
        wanted = [list(map(str, cells)) for cells in self._form.cells(rows)]
        there = list(islice(self._rows, len(wanted)))
        if there != wanted:
            for mine, theirs in zip(wanted, there, strict=False):
                self._number += 1
                if mine != theirs:
                    found.problem(f"{self._name}: row {self._number} is {theirs}, the sidecar gives {mine}")
            if len(there) < len(wanted):
                found.problem(f"{self._name}: it ends after row {self._number}, the sidecar goes on")
            return
        self._number += len(wanted)

    def end(self, found: Findings) -> None:
        if more := sum(1 for _ in self._rows):
            found.problem(f"{self._name}: it has {more:,} rows more than the sidecar")


class _ParquetRows:
    """A Parquet table, compared with what the sidecar's rows give."""

    def __init__(self, path: Path, form: TraceFormat) -> None:
        self._name = path.name
        self._form = form
        self._batches = read_batches(path)
        self._number = 0

    def begin(self, found: Findings) -> None:
        """Nothing: every batch has its columns."""

    def compare(self, rows: list[Row], found: Findings) -> None:
        wanted, there = typed(self._form, rows), next(self._batches, {})
        if there.keys() != wanted.keys():
            found.problem(f"{self._name}: it has the columns {list(there)}, not {list(wanted)}, or ends early")
        for name in wanted.keys() & there.keys():
            if wanted[name] != there[name]:
                pairs = enumerate(zip(wanted[name], there[name], strict=False))
                at, mine, theirs = next(((i, a, b) for i, (a, b) in pairs if a != b), (len(rows), "one row", "none"))
                found.problem(f"{self._name}: {name} of row {self._number + at} is {theirs}, the sidecar gives {mine}")
        self._number += len(rows)

    def end(self, found: Findings) -> None:
        if next(self._batches, None) is not None:
            found.problem(f"{self._name}: it has more rows than the sidecar")
