"""Does a manifest say what its own rows, and its segments, say? Every part of it that can be made again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import orjson

from streams.capture import manifest
from streams.capture.findings import Findings
from streams.capture.manifest import RowCounts, Source
from streams.capture.privacy import Privacy
from streams.capture.publication import Publication
from streams.capture.rows import Only, Row
from streams.capture.trace_format import TraceFormat

VERSION = version("burstwatch")  # another one may define these parts otherwise
_OF_BUILD = {"burstwatch", "schema"}  # who made it, not what is in it
_GONE_ON = "the counts over the whole capture are not compared"


@dataclass(slots=True)
class Recount:
    """The manifest's counts made again from the sidecar's rows; ``add`` gets them in order."""

    counts: RowCounts
    privacy: Privacy

    def add(self, rows: Sequence[Row]) -> None:
        """Count rows."""
        self.counts.add(rows)
        self.privacy.add(rows)

    def check(self, about: Mapping[str, Any], form: TraceFormat, only: Only, found: Findings) -> None:
        """Tell what the manifest ``about`` says otherwise than the rows; ``form`` has made the table of them."""
        _compare("rows", about["rows"], self.counts.summary(sum(form.left_out.values()), form.left_out), found)
        if (maker := about.get("burstwatch")) != VERSION:
            found.note(
                f"made by version {_short(maker)}, this is {VERSION}: only files, rows and their counts compared"
            )
            return
        head = {name: v for name, v in manifest.head(form, self.counts, only).items() if name not in _OF_BUILD}
        _compare("", {name: about.get(name) for name in head}, head, found)
        # Its words may be another version's; its numbers may not.
        report = self.privacy.report(Publication().facts())
        _compare("privacy", _numbers(_part(about, "privacy", "columns")), _numbers(report["columns"]), found)


def check_source(about: Mapping[str, Any], source: Source, found: Findings) -> None:
    """Tell what the manifest says otherwise than the folder: messages, losses, completeness, open requests.

    ``source`` holds the segments that the trace was made from, or, for a range of time, all of the folder. Where the
    capture or its retention have gone on since, these counts cannot be made again, which is a note.
    """
    if about.get("burstwatch") != VERSION:
        return  # told by then
    again, only = _plain(source.facts()), source.only
    if _part(about, "removed_by_retention", "offsets") != again["removed_by_retention"]["offsets"]:
        found.note(f"retention has removed segments since the trace was made: {_GONE_ON}")
        return
    ranged = only.from_us is not None or only.to_us is not None
    if ranged and _part(about, "messages", "total") != again["messages"]["total"]:
        found.note(f"the capture has gone on since the trace was made: {_GONE_ON}")
        return
    if only.service is not None:  # a trace split by service counts the repetitions of all
        again["messages"].pop("duplicates_dropped")
    for name, facts in again.items():
        said = about.get(name)
        if name == "messages" and isinstance(said, dict):
            said = {key: value for key, value in said.items() if key in facts}
        if isinstance(facts, dict):
            _compare(name, said, facts, found)
        elif said != facts:
            found.problem(f"manifest: {name} is not what the segments say")


def _compare(part: str, said: object, again: Mapping[str, Any], found: Findings) -> None:
    there = said if isinstance(said, dict) else {}
    facts = _plain(again)
    for name in sorted(there.keys() | facts.keys()):
        if there.get(name) != facts.get(name):
            path = f"{part}.{name}" if part else name
            found.problem(f"manifest: {path} is {_short(there.get(name))}, not {_short(facts.get(name))}")


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(orjson.dumps(facts))
    return plain


def _part(about: Mapping[str, Any], *path: str) -> object:
    at: object = about
    for name in path:
        at = at.get(name) if isinstance(at, dict) else None
    return at


def _numbers(columns: object) -> dict[str, Any]:
    found = columns.items() if isinstance(columns, dict) else ()
    return {
        column: {name: value for name, value in facts.items() if not isinstance(value, str | None)}
        for column, facts in found
        if isinstance(facts, dict)
    }


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."
