"""Which day a trace's second 0 was: as the operator says, or the manifest beside an exported trace."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from workload.trace.columns import Trace


def moment_of(text: str) -> datetime:
    """Return an ISO 8601 date or time, in UTC where it names no zone. Raises ``ValueError``.

    >>> moment_of("2023-11-01").isoformat(), moment_of("2026-11-01T08:00+08:00").isoformat()
    ('2023-11-01T00:00:00+00:00', '2026-11-01T08:00:00+08:00')
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def told_origin(path: Path) -> datetime | None:
    """Return the origin that the manifest beside a trace names; None without one, or for another file."""
    try:
        manifest = orjson.loads(path.with_name(f"{path.stem}.manifest.json").read_bytes())
        return moment_of(manifest["origin"]) if manifest["files"]["trace"]["name"] == path.name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a file of that name that is no manifest of ours


def dated(trace: Trace, origin: datetime | None) -> Trace:
    """Return the trace in calendar times if its second 0 is known; one that has them already, unchanged."""
    if origin is None or trace.absolute:
        return trace
    origin_us = round(origin.timestamp()) * 1_000_000
    return replace(trace, submitted_us=trace.submitted_us + origin_us, absolute=True)
