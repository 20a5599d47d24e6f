"""What retention has removed from a folder: one small file, always there before the first segment goes. Pure.

Segments are named in it before they are removed, so at any instant a segment is either a file of the folder or in the
ledger; one that is both (the process died in between) counts as removed. It keeps what later questions need: which
offsets, how many rows, and the streams' sequence numbers, so that what was removed is not told as lost.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from streams.capture.footer import Footer, StreamSeen, stream_of
from streams.capture.segments import SegmentName
from streams.capture.seqs import SeqRanges

FORMAT = "burstwatch-removed"
VERSION = 1

Ranges = Sequence[tuple[int, int]]


class BadLedger(Exception):  # noqa: N818 - named for what it is, like BadSegment
    """Bytes that are not a whole ledger; the message says what is wrong with them."""


def ledger_name(topic: str) -> str:
    """Return the name of a topic's ledger in a capture folder."""
    return f"{topic}.removed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The sum of all removed segments.

    Attributes:
        partitions: offsets of removed segments, as ranges, by partition.
        first_submitted_at: with ``last_submitted_at``: between which submissions the removed rows lie (us).
        streams: what the removed segments saw of each stream.
    """

    partitions: Mapping[int, Ranges] = field(default_factory=dict)
    segments: int = 0
    rows: int = 0
    bytes: int = 0
    messages: int = 0
    first_submitted_at: int | None = None
    last_submitted_at: int | None = None
    streams: Sequence[StreamSeen] = ()

    def covers(self, name: SegmentName) -> bool:
        """True if that segment was removed, or was about to be."""
        return any(low <= name.first and name.last <= high for low, high in self.partitions.get(name.partition, ()))

    def next_offsets(self) -> dict[int, int]:
        """Return, by partition, the offset after the last removed one."""
        return {partition: ranges[-1][1] + 1 for partition, ranges in self.partitions.items() if ranges}

    def plus(self, segments: Sequence[tuple[SegmentName, Footer, int]]) -> "Removed":
        """Return the sum with these segments (name, footer, size in bytes)."""
        ranges = {partition: SeqRanges(old) for partition, old in self.partitions.items()}
        for name, _, _ in segments:
            ranges.setdefault(name.partition, SeqRanges()).add_range(name.first, name.last)
        footers = [footer for _, footer, _ in segments]
        return Removed(
            partitions={partition: seqs.ranges() for partition, seqs in sorted(ranges.items())},
            segments=self.segments + len(segments),
            rows=self.rows + sum(footer.rows for footer in footers),
            bytes=self.bytes + sum(size for _, _, size in segments),
            messages=self.messages + sum(footer.messages for footer in footers),
            first_submitted_at=_least([self.first_submitted_at, *(f.first_submitted_at for f in footers)], min),
            last_submitted_at=_least([self.last_submitted_at, *(f.last_submitted_at for f in footers)], max),
            streams=joined([self.streams, *(footer.streams for footer in footers)]),
        )


def joined(parts: Sequence[Sequence[StreamSeen]]) -> list[StreamSeen]:
    """Return each stream once: seqs united, drops the most, events added; unknown counts stay unknown.

    Events of a message that lies in two parts are added twice: see ``overlap``.
    """
    found: dict[tuple[str, str, str], StreamSeen] = {}
    for stream in (one for part in parts for one in part):
        key = (stream.agent, stream.boot, stream.key)
        held = found.get(key)
        found[key] = stream if held is None else _sum(held, stream)
    return list(found.values())


def _sum(one: StreamSeen, other: StreamSeen) -> StreamSeen:
    ranges = SeqRanges(one.seqs)
    for low, high in other.seqs:
        ranges.add_range(low, high)
    return StreamSeen(
        agent=one.agent,
        boot=one.boot,
        key=one.key,
        seqs=ranges.ranges(),
        dropped=max(one.dropped, other.dropped),
        arrivals=_added(one.arrivals, other.arrivals),
        completions=_added(one.completions, other.completions),
    )


def _added(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _least(values: Sequence[int | None], choose: Any) -> int | None:  # noqa: ANN401 - min or max
    return choose((value for value in values if value is not None), default=None)  # type: ignore[no-any-return]


def dump(topic: str, removed: Removed) -> bytes:
    """Return the ledger as its file: one JSON text and a line with its sha256."""
    facts = {"format": FORMAT, "v": VERSION, "topic": topic, **asdict(removed)}
    text = orjson.dumps(facts, option=orjson.OPT_NON_STR_KEYS)
    return b"%b\nsha256 %b\n" % (text, hashlib.sha256(text).hexdigest().encode())


def load(topic: str, data: bytes) -> Removed:
    """Return what ``dump`` wrote down. Raises ``BadLedger``."""
    text, _, end = data.partition(b"\n")
    if end != b"sha256 %b\n" % hashlib.sha256(text).hexdigest().encode():
        raise BadLedger("its sha256 differs from what was written")
    try:
        raw = orjson.loads(text)
        if (raw.pop("format"), raw.pop("v"), raw.pop("topic")) != (FORMAT, VERSION, topic):
            raise BadLedger("it is of another format, version or topic")
        partitions = {
            int(partition): [(int(low), int(high)) for low, high in ranges]
            for partition, ranges in raw.pop("partitions").items()
        }
        return Removed(**{**raw, "streams": [stream_of(s) for s in raw["streams"]], "partitions": partitions})
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError, AttributeError):
        raise BadLedger("it does not parse") from None
