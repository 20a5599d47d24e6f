"""Segments of a folder into traces: table, sidecar and manifest, each complete under its name or not there."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from collector.schema.errors import OperatorError
from collector.schema.trace_profiles import Profile
from streams.capture import manifest
from streams.capture.listing import Reader, list_segments, removed_from, services_of
from streams.capture.output import Output, side_path
from streams.capture.parquet import ParquetTable
from streams.capture.privacy import Privacy
from streams.capture.publication import Publication
from streams.capture.rows import SERVICE_AT, Dedupe, Listed, Only, Row, merged
from streams.capture.trace_format import TraceFormat, day_start, has_rules, sidecar_lines

__all__ = ["SERVICES_MAX", "Wanted", "export", "list_segments", "path_of_service"]

Progress = Callable[[int], None]

SERVICES_MAX = 200  # two open files each
_RUN_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to export, and how: ``origin_us`` None means 0:00 UTC of the first day.

    Attributes:
        split: one trace for each service, named after it, instead of one for all; all with the same origin.
        parquet: the table is Parquet, not CSV; not with a profile that has rules.
        publication: what is done to sessions and ids.
    """

    columns: tuple[str, ...]
    whole_seconds: bool = False
    origin_us: int | None = None
    only: Only = field(default_factory=Only)
    profile: Profile | None = None
    parquet: bool = False
    split: bool = False
    publication: Publication = field(default_factory=Publication)

    def form(self, origin_us: int) -> TraceFormat:
        """Return how rows become this trace's table."""
        profile = None if self.profile is None else replace(self.profile, whole_seconds=self.whole_seconds)
        return TraceFormat(columns=self.columns, origin_us=origin_us, whole_seconds=self.whole_seconds, profile=profile)

    def facts(self) -> dict[str, Any]:
        """Return how it was asked for, for the manifest: what `trace verify` needs to make it again."""
        return {
            "format": "parquet" if self.parquet else "csv",
            "columns": list(self.columns),
            "profile": None if self.profile is None else self.profile.name,
            "whole_seconds": self.whole_seconds,
            "from_us": self.only.from_us,
            "to_us": self.only.to_us,
            "publication": self.publication.facts(),
        }


class CsvTable(Output):
    """The trace's table as CSV."""

    def __init__(self, path: Path, form: TraceFormat) -> None:
        super().__init__(path)
        self._form = form
        self._text = StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(form.columns)

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._writer.writerows(self._form.cells(rows))
        self.write(self._text.getvalue().encode("ascii"))
        self._text.seek(0)
        self._text.truncate()

    def close(self) -> None:
        """Write what is left; nothing may be added after it."""
        self.write(self._text.getvalue().encode("ascii"))


class _Trace:
    """One trace in the making: its three files and what their manifest will say."""

    def __init__(self, out: Path, wanted: Wanted, origin_us: int, stack: ExitStack) -> None:
        _check_side_files(out)
        self.wanted = wanted
        self.counts = manifest.RowCounts()
        self.privacy = Privacy(whole_seconds=wanted.whole_seconds)
        self.form = wanted.form(origin_us)
        self.table: ParquetTable | CsvTable = (ParquetTable if wanted.parquet else CsvTable)(out, self.form)
        stack.enter_context(self.table)
        self.sidecar = stack.enter_context(Output(side_path(out, ".sidecar.jsonl")))
        self.last = stack.enter_context(Output(side_path(out, ".manifest.json")))

    def add(self, rows: Sequence[Row]) -> None:
        rows = self.wanted.publication.apply(rows)
        self.table.add(rows)
        self.sidecar.write(sidecar_lines(rows))
        self.counts.add(rows)
        self.privacy.add(rows)

    def finish(self, about: Callable[["_Trace"], dict[str, Any]]) -> dict[str, Any]:
        """Write the manifest; return it."""
        self.table.close()
        facts = about(self)
        self.last.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        for file in (self.table, self.sidecar, self.last):
            file.seal()
        return facts

    def publish(self) -> None:
        for file in (self.table, self.sidecar, self.last):
            file.publish()


def _check_side_files(out: Path) -> None:
    """Raise ``OperatorError`` if another table's manifest would be replaced, which then could be verified no more.

    trace.csv and trace.parquet in one folder would share their manifest and sidecar.
    """
    path = side_path(out, ".manifest.json")
    try:
        name = orjson.loads(path.read_bytes())["files"]["trace"]["name"]
        other = name != out.name and out.with_name(name).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return  # none there, or none of ours
    if other:
        raise OperatorError(f"{path} is the manifest of {name}; give {out.name} another name than {out.stem}")


def path_of_service(out: Path, service: str) -> Path:
    """Return the file of one service of a split trace; what a file name cannot hold is percent-encoded.

    >>> path_of_service(Path("trace.csv"), "a/b").name
    'trace.a%2Fb.csv'
    """
    return out.with_name(f"{out.stem}.{quote(service, safe='')}{out.suffix}")


def export(
    listed: list[Listed], folder: Path, out: Path, wanted: Wanted, *, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Write ``out``, its sidecar and its manifest; return the manifest. ``progress`` is told rows read.

    With ``wanted.split`` there are three files for each service, and the result holds their manifests by service
    under ``traces``. Raises ``OperatorError`` for a segment, an origin or an output path that cannot be used (then
    none of the files has changed), ``Vanished`` for a segment that retention removed meanwhile.
    """
    if wanted.parquet and wanted.profile is not None and has_rules(wanted.profile):
        raise OperatorError(f"the profile {wanted.profile.name} is for a tool that reads CSV; leave --format out")
    if wanted.split and len(services_of(listed)) > SERVICES_MAX:
        raise OperatorError(
            f"there are {len(services_of(listed)):,} services, --split takes {SERVICES_MAX} at most; name one with "
            "--service"
        )
    reader, dedupe = Reader(folder), Dedupe()
    removed = removed_from(folder)
    # What retention removed since they were listed: each segment counts on one side only.
    listed = [item for item in listed if not removed.covers(item.name)]
    with ExitStack() as stack:
        traces = _Traces(out, wanted, stack)
        for rows in _parts(merged(listed, reader.read, wanted.only, dedupe), progress):
            traces.add(rows)

        def about(trace: _Trace) -> dict[str, Any]:
            source = manifest.Source(
                listed=listed,
                hashes=reader.hashes,
                removed=removed,
                only=trace.wanted.only,
                duplicates=dedupe.duplicates,
            )
            return {
                **manifest.head(trace.form, trace.counts, trace.wanted.only),
                "made_as": trace.wanted.facts() | {"origin_us": trace.form.origin_us},
                "rows": trace.counts.summary(sum(trace.form.left_out.values()), trace.form.left_out),
                **source.facts(),
                "privacy": trace.privacy.report(trace.wanted.publication.facts()),
                "files": {"trace": trace.table.facts(), "sidecar": trace.sidecar.facts()},
            }

        found = {service: trace.finish(about) for service, trace in traces.all().items()}
        for trace in traces.all().values():
            trace.publish()
    return {"traces": found} if wanted.split else found[None]


class _Traces:
    """One trace for all rows, or one for each service, begun with its first row."""

    def __init__(self, out: Path, wanted: Wanted, stack: ExitStack) -> None:
        self._out = out
        self._wanted = wanted
        self._stack = stack
        self._origin_us = wanted.origin_us
        self._traces: dict[str | None, _Trace] = {}

    def add(self, rows: list[Row]) -> None:
        if self._origin_us is None:
            self._origin_us = day_start(rows[0][0])
        if not self._wanted.split:
            self._trace(None).add(rows)
            return
        by_service: dict[str, list[Row]] = {}
        for row in rows:
            by_service.setdefault(row[SERVICE_AT], []).append(row)
        for service, part in by_service.items():
            self._trace(service).add(part)

    def all(self) -> dict[str | None, _Trace]:
        """Return the traces; the one for all rows exists also without any."""
        if not self._wanted.split:
            self._trace(None)
        return self._traces

    def _trace(self, service: str | None) -> _Trace:
        found = self._traces.get(service)
        if found is None:
            out, wanted = self._out, self._wanted
            if service is not None:
                out = path_of_service(out, service)
                wanted = replace(wanted, only=replace(wanted.only, service=service))
            found = self._traces[service] = _Trace(out, wanted, self._origin_us or 0, self._stack)
        return found


def _parts(runs: Iterator[list[Row]], progress: Progress) -> Iterator[list[Row]]:
    done = 0
    for run in runs:
        for start in range(0, len(run), _RUN_ROWS):
            part = run[start : start + _RUN_ROWS]
            yield part
            done += len(part)
            progress(done)
