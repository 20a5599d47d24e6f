"""Which day a trace's second 0 was: as the operator says, or the manifest beside an exported trace."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from workload.formats.manifest import told_manifest
from workload.trace.columns import Trace


def moment_of(text: str) -> datetime:
    """Return an ISO 8601 date or time, in UTC where it names no zone. Raises ``ValueError``.

    >>> moment_of("2023-11-01").isoformat(), moment_of("2026-11-01T08:00+08:00").isoformat()
    ('2023-11-01T00:00:00+00:00', '2026-11-01T08:00:00+08:00')
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def told_origin(path: Path) -> datetime | None:
    """Return the origin that the manifest beside a trace names; None without one, or for another file.

    A manifest of the file as it was before somebody wrote over it is told on stderr, and not used.
    """
    manifest = told_manifest(path)
    try:
        return moment_of(manifest.origin) if manifest and manifest.origin else None
    except ValueError:
        return None


def dated(trace: Trace, origin: datetime | None) -> Trace:
    """Return the trace in calendar times if its second 0 is known; one that has them already, unchanged."""
    if origin is None or trace.absolute:
        return trace
    origin_us = round(origin.timestamp()) * 1_000_000
    return replace(trace, submitted_us=trace.submitted_us + origin_us, absolute=True)
