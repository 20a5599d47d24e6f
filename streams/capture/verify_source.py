"""Is an exported trace exactly what the segments of a capture folder give?"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from collector.schema.errors import OperatorError
from streams.capture.findings import Findings
from streams.capture.ledger import Removed
from streams.capture.listing import Reader, folder_state
from streams.capture.manifest import Source
from streams.capture.publication import Publication, fingerprint
from streams.capture.rows import AT, Dedupe, Row, merged
from streams.capture.segments import SegmentName, parse_name
from streams.capture.trace_format import sidecar_lines
from streams.capture.verify_manifest import check_source
from streams.capture.verify_trace import Exported, sidecar_rows

_HIDDEN = (1, AT["id"], AT["session"])
_SESSION = AT["session"]


def verify_source(
    trace: Exported, folder: Path, key: bytes | None, found: Findings, progress: Callable[[int, int], None]
) -> None:
    """Add what differs between the trace and the segments it was made from.

    ``key`` is the publication's, where it has one that somebody kept; without it, everything but ids and sessions is
    compared, and that sessions were replaced one for one. Raises ``OperatorError`` for a folder or a key that is not
    the trace's.
    """
    publication = _publication(trace, key)
    said = {name: segment for segment in trace.about["segments"] if (name := parse_name(segment["name"])) is not None}
    listed, removed = folder_state(folder)
    there = {item.name for item in listed}
    _missing(removed, said.keys() - there, found)
    if (more := len(there - said.keys())) and trace.wanted.only.from_us is trace.wanted.only.to_us is None:
        found.note(f"{folder} has {more:,} segments more, finished after the trace was made")
    if said.keys() - there:
        return
    reader, dedupe, only = Reader(folder), Dedupe(), trace.wanted.only
    used = [item for item in listed if item.name in said]
    rows = merged(used, reader.read, only, dedupe)
    try:
        if publication is None:
            _compare_but_for_names(trace, rows, found)
        else:
            _compare(trace, rows, publication, found, progress)
        for name, segment in said.items():
            if reader.hashes.get(str(name)) != segment["sha256"]:
                found.problem(f"{name}: its sha256 differs from the manifest's")
        whole = used if only.from_us is only.to_us is None else listed
        check_source(
            trace.about,
            Source(listed=whole, hashes=reader.hashes, removed=removed, only=only, duplicates=dedupe.duplicates),
            found,
        )
    except OperatorError as error:  # a damaged segment
        found.problem(str(error))
    found.checked["segments"] = len(said)


def _publication(trace: Exported, key: bytes | None) -> Publication | None:
    """Return what to do to rows before they are compared; None if nobody can."""
    said = trace.about["made_as"]["publication"]
    if said["key_fingerprint"] is None:
        return trace.wanted.publication
    if key is None:
        return None
    if fingerprint(key) != said["key_fingerprint"]:
        raise OperatorError("--rekey names another key than the one this trace was published with")
    return replace(trace.wanted.publication, key=key)


def _missing(removed: Removed, missing: set[SegmentName], found: Findings) -> None:
    for name in sorted(missing):
        why = "retention has removed it since" if removed.covers(name) else "it is not there"
        found.problem(f"{name}: the trace was made from it, but {why}")


def _compare(
    trace: Exported,
    runs: Iterator[list[Row]],
    publication: Publication,
    found: Findings,
    progress: Callable[[int, int], None],
) -> None:
    digest, rows = hashlib.sha256(), 0
    for run in runs:
        digest.update(sidecar_lines(publication.apply(run)))
        rows += len(run)
        progress(rows, trace.about["rows"]["total"])
    if digest.hexdigest() != trace.about["files"]["sidecar"]["sha256"]:
        found.problem(f"{trace.sidecar.name}: the segments give another one ({rows:,} rows)")


def _compare_but_for_names(trace: Exported, runs: Iterator[list[Row]], found: Findings) -> None:
    found.note("the publication's key is not given (--rekey FILE): ids and sessions compared only one for one")
    there = (row for rows in sidecar_rows(trace.sidecar, found) for row in rows)
    sessions: dict[str | None, str | None] = {}
    for row in (row for run in runs for row in run):
        other = next(there, None)
        if other is None or _rest(row) != _rest(other):
            found.problem(f"{trace.sidecar.name}: it differs from the segments at the request submitted at {row[0]}")
            return
        if sessions.setdefault(row[_SESSION], other[_SESSION]) != other[_SESSION]:
            found.problem(f"{trace.sidecar.name}: one session has two tags at the request submitted at {row[0]}")
            return
    if next(there, None) is not None:
        found.problem(f"{trace.sidecar.name}: it has more rows than the segments give")
    tags = [tag for tag in sessions.values() if tag is not None]
    if len(set(tags)) != len(tags):
        found.problem(f"{trace.sidecar.name}: two sessions have one tag")


def _rest(row: Row) -> Row:
    return tuple(value for at, value in enumerate(row) if at >= 5 and at not in _HIDDEN)
