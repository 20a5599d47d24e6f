"""What is in a capture folder, from the segments' last lines alone: no row is read. Pure but for the listing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streams.capture import manifest
from streams.capture.completeness import completeness, open_requests
from streams.capture.footer import Footer
from streams.capture.ledger import Removed
from streams.capture.listing import Reader, file_names, folder_state, list_segments, open_segments
from streams.capture.privacy import Privacy
from streams.capture.publication import Publication
from streams.capture.rows import Dedupe, Listed, Only, merged


def folder_info(folder: Path) -> dict[str, Any]:
    """Return the facts about a capture folder. Raises ``OperatorError`` if it is none, or a last line is damaged."""
    listed, removed = folder_state(folder)
    texts = file_names(folder)
    loss = manifest.loss(listed, Only(), removed)
    footers = [item.footer for item in listed]
    return {
        "folder": str(folder),
        "segments": len(listed),
        "bytes": sum(_size(folder / str(item.name)) for item in listed),
        "partitions": len({item.name.partition for item in listed}),
        "rows": sum(footer.rows for footer in footers),
        "time_range": {
            "first": manifest.iso(min(_known(footers, "first_submitted_at"), default=None)),
            "last": manifest.iso(max(_known(footers, "last_submitted_at"), default=None)),
        },
        "services": services(listed),
        "agents": sorted({stream.agent for footer in footers for stream in footer.streams}),
        "messages": manifest.message_counts(listed, 0) | {"duplicates_dropped": None},
        "loss": {name: value for name, value in loss.items() if name != "streams"}
        | {"streams_with_loss": [s for s in loss["streams"] if s["missing_messages"] or s["dropped_events"]]},
        "offset_holes": manifest.offset_holes(listed, removed),
        "open_requests": open_requests(listed, removed, Only()),
        "completeness": completeness(listed, Only()),
        "removed_by_retention": manifest.removed_facts(removed),
        "open_segments": {name: _size(folder / name) for name in open_segments(folder)},
        "damaged_files": [text for text in texts if text.endswith(".damaged")],
        "next_offsets": next_offsets(listed, removed),
    }


def services(listed: Sequence[Listed]) -> dict[str, Any]:
    """Return, by service: rows by outcome, reason and model, repeated messages included; None where unknown.

    ``older_segments`` counts segments of versions that did not count by service: their rows are missing here.
    """
    found: dict[str, dict[str, Counter[str]]] = {}
    older = 0
    for item in listed:
        older += item.footer.services is None and item.footer.rows > 0
        for key, seen in (item.footer.services or {}).items():
            counts = found.setdefault(key, {"by_outcome": Counter(), "by_reason": Counter(), "by_model": Counter()})
            counts["by_outcome"].update(seen.outcomes)
            counts["by_reason"].update(seen.reasons)
            counts["by_model"].update(seen.models)
    by_name = {
        key: {"rows": counts["by_outcome"].total(), **{name: dict(c.most_common()) for name, c in counts.items()}}
        for key, counts in sorted(found.items())
    }
    return {"by_name": by_name, "older_segments": older}


def privacy_of(folder: Path) -> dict[str, Any]:
    """Return the privacy report of all rows as captured. Reads every segment; raises ``OperatorError``."""
    privacy = Privacy()
    for rows in merged(list_segments(folder), Reader(folder).read, Only(), Dedupe()):
        privacy.add(rows)
    return privacy.report(Publication().facts())


def next_offsets(listed: Sequence[Listed], removed: Removed) -> dict[str, int]:
    """Return, by partition, where a capture of this folder goes on."""
    found = removed.next_offsets()
    for item in listed:
        found[item.name.partition] = max(found.get(item.name.partition, 0), item.name.last + 1)
    return {str(partition): offset for partition, offset in sorted(found.items())}


def _known(footers: Sequence[Footer], name: str) -> list[int]:
    return [value for footer in footers if (value := getattr(footer, name)) is not None]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # finished or removed meanwhile
        return 0
