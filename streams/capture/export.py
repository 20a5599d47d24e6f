"""Segments of a folder into a trace: CSV, sidecar and manifest, each complete under its name or not there."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import orjson

from collector.schema.errors import OperatorError
from collector.schema.events import SCHEMA_VERSION
from collector.schema.topics import REQUESTS
from streams.capture import manifest
from streams.capture.files import LOCK_NAME, last_line
from streams.capture.output import Output, side_path
from streams.capture.rows import Dedupe, Listed, Only, Row, merged
from streams.capture.segments import BadSegment, Segment, SegmentName, parse_footer, parse_name, read_segment
from streams.capture.trace_format import TraceFormat, day_start, sidecar_lines

Progress = Callable[[int], None]

_MEND = "move that file out of the folder to export the rest (the manifest will name the hole)"
_RUN_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to export, and how: ``origin_us`` None means 0:00 UTC of the first day."""

    columns: tuple[str, ...]
    whole_seconds: bool = False
    origin_us: int | None = None
    only: Only = field(default_factory=Only)


def list_segments(folder: Path) -> list[Listed]:
    """Return the finished segments of a capture folder. Raises ``OperatorError`` if it is not one."""
    try:
        names = [name for entry in folder.iterdir() if (name := parse_name(entry.name)) is not None]
    except OSError as error:
        raise OperatorError(
            f"cannot read {folder}: {error.strerror}; give the --out folder of `burstwatch capture`"
        ) from None
    if not names and not (folder / LOCK_NAME).exists():
        raise OperatorError(f"{folder} holds no captured segments; give the --out folder of `burstwatch capture`")
    return [_listed(folder, name) for name in sorted(names) if name.topic == REQUESTS]


def _listed(folder: Path, name: SegmentName) -> Listed:
    try:
        return Listed(name=name, footer=parse_footer(last_line(folder / str(name))))
    except (BadSegment, OSError) as error:
        raise OperatorError(f"segment {name} is damaged: {error}; {_MEND}") from None


@dataclass(slots=True)
class _Reader:
    """Reads and verifies segments of a folder, keeping their hashes for the manifest."""

    folder: Path
    hashes: dict[str, str] = field(default_factory=dict)

    def read(self, name: SegmentName) -> Segment:
        try:
            with (self.folder / str(name)).open("rb") as lines:
                segment = read_segment(name, lines)
        except (BadSegment, OSError) as error:
            raise OperatorError(f"segment {name} is damaged: {error}; {_MEND}") from None
        self.hashes[str(name)] = segment.sha256
        return segment


def export(
    listed: list[Listed], folder: Path, out: Path, wanted: Wanted, *, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Write ``out``, its sidecar and its manifest; return the manifest. ``progress`` is told rows written.

    Raises ``OperatorError`` for a segment, an origin or an output path that cannot be used; then none of
    the three files has changed.
    """
    reader = _Reader(folder)
    dedupe = Dedupe()
    counts = manifest.RowCounts()
    names = [out, side_path(out, ".sidecar.jsonl"), side_path(out, ".manifest.json")]
    with Output(names[0]) as table, Output(names[1]) as sidecar, Output(names[2]) as last:
        runs = _counted(merged(listed, reader.read, wanted.only, dedupe), counts, progress)
        origin_us = _write(table, sidecar, wanted, runs)
        about = {
            **_about(wanted, origin_us, counts),
            "messages": manifest.message_counts(listed, dedupe.duplicates),
            "loss": manifest.loss(listed, wanted.only),
            "offset_holes": manifest.offset_holes(listed),
            "segments": manifest.segment_list(listed, reader.hashes),
            "files": {"trace": table.facts(), "sidecar": sidecar.facts()},
        }
        last.write(orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        for file in (table, sidecar, last):
            file.seal()
        for file in (table, sidecar, last):
            file.publish()
    return about


def _about(wanted: Wanted, origin_us: int, counts: manifest.RowCounts) -> dict[str, Any]:
    return {
        "burstwatch": version("burstwatch"),
        "schema": {"events": SCHEMA_VERSION, "trace": "BurstGPT", "columns": list(wanted.columns)},
        "topic": REQUESTS,
        "service": wanted.only.service,
        "agent": wanted.only.agent,
        "origin": manifest.iso(origin_us),
        "clock": "UTC, by the agents' wall clocks; Timestamp is seconds since origin",
        "resolution": "1 s" if wanted.whole_seconds else "1 us",
        "time_range": {"first": manifest.iso(counts.first_us), "last": manifest.iso(counts.last_us)},
        "rows": counts.summary(),
    }


def _counted(runs: Iterable[list[Row]], counts: manifest.RowCounts, progress: Progress) -> Iterator[list[Row]]:
    for run in runs:
        for start in range(0, len(run), _RUN_ROWS):
            part = run[start : start + _RUN_ROWS]
            counts.add(part)
            yield part
            progress(counts.rows)


def _write(table: Output, sidecar: Output, wanted: Wanted, runs: Iterator[list[Row]]) -> int:
    """Write all rows; return the origin, which `auto` takes from the first row (1970 if there is none)."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(wanted.columns)
    form: TraceFormat | None = None
    for run in runs:
        if form is None:
            origin_us = day_start(run[0][0]) if wanted.origin_us is None else wanted.origin_us
            form = TraceFormat(columns=wanted.columns, origin_us=origin_us, whole_seconds=wanted.whole_seconds)
        writer.writerows(map(form.cells, run))
        table.write(text.getvalue().encode("ascii"))
        text.seek(0)
        text.truncate()
        sidecar.write(sidecar_lines(run))
    table.write(text.getvalue().encode("ascii"))
    return form.origin_us if form else wanted.origin_us or 0
