"""What a trace is worth: where it comes from, what is in it, and what is known to be missing. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from collector.schema.columns import TIME_US_MAX
from collector.schema.events import SCHEMA_VERSION
from collector.schema.topics import REQUESTS
from streams.capture.completeness import completeness, open_requests
from streams.capture.ledger import Removed
from streams.capture.rows import AT, Listed, Only, Row
from streams.capture.seqs import SeqRanges
from streams.capture.trace_format import TraceFormat

MODELS_MAX = 1000

_OUTCOME = AT["outcome"]
_REASON = AT["reason"]
_LOG_TYPE = AT["log_type"]
_MODEL = AT["model"]
_ENDED = AT["ended_at"]
_REQUEST = AT["request_tokens"]
_RESPONSE = AT["response_tokens"]


@dataclass(slots=True)
class RowCounts:
    """Counts over exported rows, by what a reader would ask for first."""

    rows: int = 0
    first_us: int | None = None
    last_us: int | None = None
    outcome: Counter[str] = field(default_factory=Counter)
    reason: Counter[str] = field(default_factory=Counter)
    log_type: Counter[str] = field(default_factory=Counter)
    model: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Sequence[Row]) -> None:
        """Count a run of rows; runs come in order of submission."""
        if not rows:
            return
        self.rows += len(rows)
        self.first_us = rows[0][0] if self.first_us is None else self.first_us
        self.last_us = rows[-1][0]
        self.outcome.update(row[_OUTCOME] for row in rows)
        self.reason.update(row[_REASON] for row in rows if row[_REASON] is not None)
        self.log_type.update(row[_LOG_TYPE] for row in rows)
        self.model.update(row[_MODEL] for row in rows if row[_MODEL] is not None)
        columns = {"model": _MODEL, "ended_at": _ENDED, "request_tokens": _REQUEST, "response_tokens": _RESPONSE}
        for name, at in columns.items():
            self.unknown[name] += sum(row[at] is None for row in rows)

    def summary(self, left_out: int, why: Mapping[str, int]) -> dict[str, Any]:
        """Return the counts for the manifest; beyond 1,000 models the rest is summed as ``other``.

        All count what the sidecar holds; the table lacks the ``left_out`` rows that its profile refused.
        """
        models = dict(self.model.most_common(MODELS_MAX))
        if len(self.model) > MODELS_MAX:
            models["other"] = self.model.total() - sum(models.values())
        return {
            "total": self.rows,
            "in_table": self.rows - left_out,
            "left_out": dict(why),
            "by_outcome": dict(self.outcome),
            "by_reason": dict(self.reason),
            "by_log_type": dict(self.log_type),
            "by_model": models,
            "unknown": {name: n for name, n in self.unknown.items() if n},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a trace was made from: a folder's segments, the hashes of those read, and what retention had removed."""

    listed: Sequence[Listed]
    hashes: Mapping[str, str]
    removed: Removed
    only: Only
    duplicates: int

    def facts(self) -> dict[str, Any]:
        """Return the manifest's part about where the rows come from and what is missing.

        With a time range the segments outside it were not read: they are not listed, but all counts of messages,
        losses, open requests and completeness are of the whole capture.
        """
        return {
            "messages": message_counts(self.listed, self.duplicates),
            "loss": loss(self.listed, self.only, self.removed),
            "open_requests": open_requests(self.listed, self.removed, self.only),
            "completeness": completeness(self.listed, self.only),
            "offset_holes": offset_holes(self.listed, self.removed),
            "removed_by_retention": removed_facts(self.removed),
            "segments": segment_list([i for i in self.listed if str(i.name) in self.hashes], self.hashes),
        }


def head(form: TraceFormat, counts: RowCounts, only: Only) -> dict[str, Any]:
    """Return the manifest's first part: what the trace is and how its times are to be read."""
    return {
        "burstwatch": version("burstwatch"),
        "schema": {"events": SCHEMA_VERSION, "trace": "BurstGPT", "columns": list(form.columns)},
        "topic": REQUESTS,
        "service": only.service,
        "agent": only.agent,
        "asked_range": {"from": iso(only.from_us), "to": iso(only.to_us)},
        "origin": iso(form.origin_us),
        "clock": "UTC, by the agents' wall clocks; Timestamp is seconds since origin",
        "resolution": "1 s" if form.whole_seconds else "1 us",
        "time_range": {"first": iso(counts.first_us), "last": iso(counts.last_us)},
    }


def loss(listed: Iterable[Listed], only: Only, removed: Removed) -> dict[str, Any]:
    """Return what is known to be missing: sequence holes and counted drops, per (agent, boot, key).

    ``missing_messages`` are numbers between the first and the last one seen: lost, or not arrived yet.
    ``messages_before_capture`` are numbers below the first one seen: sent before this folder began.
    ``dropped_events`` is what agents say they had to drop. What retention removed was seen.
    """
    seqs: dict[tuple[str, str, str], SeqRanges] = {}
    dropped: Counter[tuple[str, str, str]] = Counter()
    for seen in (stream for part in (removed.streams, *(item.footer.streams for item in listed)) for stream in part):
        if not only.wants(seen.agent, seen.key):
            continue
        stream = (seen.agent, seen.boot, seen.key)
        ranges = seqs.setdefault(stream, SeqRanges())
        for low, high in seen.seqs:
            ranges.add_range(low, high)
        dropped[stream] = max(dropped[stream], seen.dropped)
    streams = [_stream(stream, ranges, dropped[stream]) for stream, ranges in sorted(seqs.items())]
    totals = ("missing_messages", "messages_before_capture", "dropped_events")
    return {**{name: sum(s[name] for s in streams) for name in totals}, "streams": streams}


def _stream(stream: tuple[str, str, str], seqs: SeqRanges, dropped: int) -> dict[str, Any]:
    holes = seqs.holes()
    ranges = seqs.ranges()
    return {
        "agent": stream[0],
        "boot": stream[1],
        "key": stream[2],
        "first_seq": ranges[0][0],
        "last_seq": ranges[-1][1],
        "missing": holes,
        "missing_messages": sum(high - low + 1 for low, high in holes),
        "messages_before_capture": ranges[0][0],
        "dropped_events": dropped,
    }


def offset_holes(listed: Iterable[Listed], removed: Removed) -> list[dict[str, int]]:
    """Return the offsets between the first and the last captured one that neither a segment nor the ledger names."""
    return [
        {"partition": partition, "first": low, "last": high}
        for partition, ranges in sorted(covered_offsets(listed, removed).items())
        for low, high in ranges.holes()
    ]


def covered_offsets(listed: Iterable[Listed], removed: Removed) -> dict[int, SeqRanges]:
    """Return, by partition, the offsets that a segment or the ledger names."""
    covered = {partition: SeqRanges(ranges) for partition, ranges in removed.partitions.items()}
    for item in listed:
        covered.setdefault(item.name.partition, SeqRanges()).add_range(item.name.first, item.name.last)
    return covered


def message_counts(listed: Iterable[Listed], duplicates: int) -> dict[str, Any]:
    """Return how many messages the segments saw, by kind, and which of them could not be read."""
    kinds: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    total = 0
    for item in listed:
        total += item.footer.messages
        kinds.update(item.footer.kinds)
        bad.update(item.footer.bad)
    return {
        "total": total,
        "by_kind": dict(kinds),
        "undecodable": dict(bad),
        "duplicates_dropped": duplicates,
    }


def segment_list(listed: Iterable[Listed], hashes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return each segment's name, rows and sha256 (of the whole file), by name."""
    return [
        {"name": str(item.name), "rows": item.footer.rows, "sha256": hashes[str(item.name)]}
        for item in sorted(listed, key=lambda item: item.name)
    ]


def removed_facts(removed: Removed) -> dict[str, Any]:
    """Return what retention removed: not lost, but not in the folder any more."""
    return {
        "segments": removed.segments,
        "rows": removed.rows,
        "bytes": removed.bytes,
        "first_submitted": iso(removed.first_submitted_at),
        "last_submitted": iso(removed.last_submitted_at),
        "offsets": [
            {"partition": partition, "first": low, "last": high}
            for partition, ranges in sorted(removed.partitions.items())
            for low, high in ranges
        ],
    }


def iso(time_us: int | None) -> str | None:
    """Return an instant as ISO 8601 in UTC with microseconds, None for None.

    >>> iso(0)
    '1970-01-01T00:00:00.000000+00:00'
    """
    if time_us is None:
        return None
    # The schema allows times up to the year 10000 itself, which the calendar does not.
    seconds, fraction = divmod(min(time_us, TIME_US_MAX - 1), 1_000_000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=fraction).isoformat(timespec="microseconds")
