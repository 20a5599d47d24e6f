r"""One segment file: a run of a partition's offsets, with the completion messages found in it. Pure.

Layout, one JSON text per line (readable with ``less``, ``grep`` and ``jq``)::

    {"format":"burstwatch-segment","v":1,"topic":"llm.requests","partition":0,"first_offset":12}
    12 {"v":1,"agent":...}          a completion batch, after its offset: as it lay in Kafka, or put in JSON
    15 {"v":1,"agent":...}
    end <sha256> {"last_offset":19,"messages":8,...}

The file speaks for every offset from its first to its last: arrivals, heartbeats and undecodable messages
between them are counted in the footer and stored nowhere. The hash covers all bytes before it and the footer.
The name carries the offsets, so that a folder listing alone says where to go on.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from collector.schema import codec_json
from collector.schema.codec import Batch, Encoding, decode, encoding_of
from collector.schema.errors import BadMessage
from collector.schema.events import Kind
from streams.capture.footer import Footer, ServiceTally, StreamTally, clock_time, event_time, footer_of

FORMAT = "burstwatch-segment"
VERSION = 1

_NAME = re.compile(r"([a-zA-Z0-9._-]{1,249})-(0|[1-9]\d{0,9})-(\d{20})-(\d{20})\.seg")


class BadSegment(Exception):  # noqa: N818 - named for what it is, like BadMessage
    """Bytes that are not a whole, undamaged segment; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SegmentName:
    """Which offsets of which partition a finished segment holds, both ends included."""

    topic: str
    partition: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.first:020d}-{self.last:020d}.seg"


def parse_name(text: str) -> SegmentName | None:
    """Return what a file name says, or None if it is not a finished segment's name."""
    found = _NAME.fullmatch(text)
    if found is None or int(found[3]) > int(found[4]):
        return None
    return SegmentName(topic=found[1], partition=int(found[2]), first=int(found[3]), last=int(found[4]))


def temporary_name(topic: str, partition: int, first: int) -> str:
    """Return the name a segment has while it is written; no reader looks at it."""
    return f"{topic}-{partition}-{first:020d}.seg.tmp"


class SegmentBuilder:
    """A segment in the making: give it every message of its partition, in order; write what it returns."""

    def __init__(self, topic: str, partition: int, first: int) -> None:
        self.topic = topic
        self.partition = partition
        self.first = first
        self.last = first - 1
        self.messages = 0
        self.unreadable = 0
        self.rows = 0
        self.bytes = 0
        self._earliest: int | None = None
        self._latest: int | None = None
        self._kinds: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._streams: dict[tuple[str, str, str], StreamTally] = {}
        self._services: dict[str, ServiceTally] = {}
        self._hash = hashlib.sha256()

    def header(self) -> bytes:
        """Return the first line."""
        head = {"format": FORMAT, "v": VERSION, "topic": self.topic, "partition": self.partition}
        return self._count(orjson.dumps({**head, "first_offset": self.first}) + b"\n")

    def add(self, offset: int, body: bytes) -> bytes:
        """Return the line to write for this message: empty if only its offset counts. Raises nothing."""
        self.last = offset
        self.messages += 1
        try:
            batch = decode(body)
        except BadMessage as error:
            self._bad[error.reason] += 1
            self.unreadable += 1
            return b""
        self._kinds["heartbeat" if not batch.n else batch.kind.value] += 1
        self._note(batch)
        if batch.kind is not Kind.COMPLETION or not batch.n:
            return b""
        self.rows += batch.n
        self._note_times(batch.columns["submitted_at"])
        if encoding_of(body) is Encoding.BINARY:
            body = codec_json.dump(batch)
        # Raw line breaks can only be white space between JSON tokens; blanks mean the same there.
        line = body.replace(b"\n", b" ").replace(b"\r", b" ")
        return self._count(b"%d %b\n" % (offset, line))

    def footer(self) -> bytes:
        """Return the last line; nothing may be added after it."""
        text = orjson.dumps(asdict(self.summary()))
        self._hash.update(text)
        return b"end %b %b\n" % (self._hash.hexdigest().encode(), text)

    def summary(self) -> Footer:
        """Return what the footer will say."""
        return Footer(
            last_offset=self.last,
            messages=self.messages,
            rows=self.rows,
            first_submitted_at=self._earliest,
            last_submitted_at=self._latest,
            kinds=dict(self._kinds),
            bad=dict(self._bad),
            streams=[tally.seen(stream) for stream, tally in self._streams.items()],
            services={key: tally.seen() for key, tally in self._services.items()},
        )

    def span_us(self) -> int:
        """Return how much event time the segment covers: the widest of its agents' own clocks."""
        return max((stream.span_us() for stream in self._streams.values()), default=0)

    def has_news(self) -> bool:
        """Return whether an export would say something else with this segment: of requests, or engines' counters."""
        return (
            self.rows > 0
            or any(stream.arrivals for stream in self._streams.values())
            or any(service.rose() for service in self._services.values())
        )

    def _note(self, batch: Batch) -> None:
        stream = self._streams.setdefault((batch.agent, batch.boot, batch.key), StreamTally())
        if stream.add(batch, clock_time(batch)):
            self._services.setdefault(batch.key, ServiceTally()).add(batch, event_time(batch))

    def _note_times(self, submitted: Any) -> None:  # noqa: ANN401 - decode has checked: a list of integers
        earliest, latest = min(submitted), max(submitted)
        self._earliest = earliest if self._earliest is None else min(self._earliest, earliest)
        self._latest = latest if self._latest is None else max(self._latest, latest)

    def _count(self, line: bytes) -> bytes:
        self._hash.update(line)
        self.bytes += len(line)
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A whole, verified segment: its messages with their offsets, and the sha256 of the file."""

    footer: Footer
    batches: list[tuple[int, Batch]]
    sha256: str


def read_segment(name: SegmentName, lines: Iterable[bytes]) -> Segment:
    """Return the verified contents of a segment file. Raises ``BadSegment`` for any other bytes."""
    inner, whole = hashlib.sha256(), hashlib.sha256()
    batches: list[tuple[int, Batch]] = []
    footer: Footer | None = None
    for number, line in enumerate(lines):
        whole.update(line)
        if footer is not None:
            raise BadSegment("there is something after its last line")
        if number == 0:
            _check_header(name, line)
        elif line.startswith(b"end "):
            footer = _verified_footer(inner, line)
            continue
        else:
            batches.append(_message(line))
        inner.update(line)
    if footer is None:
        raise BadSegment("it is cut off: no last line")
    if footer.last_offset != name.last:
        raise BadSegment(f"it ends at offset {footer.last_offset}, its name says {name.last}")
    return Segment(footer=footer, batches=batches, sha256=whole.hexdigest())


def parse_footer(line: bytes) -> Footer:
    """Return the footer in a segment's last line, its hash unchecked. Raises ``BadSegment``."""
    parts = line.rstrip(b"\n").split(b" ", 2)
    if len(parts) != 3 or parts[0] != b"end":
        raise BadSegment("it is cut off: no last line")
    try:
        return footer_of(orjson.loads(parts[2]))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError, AttributeError):
        raise BadSegment("its last line does not parse") from None


def _check_header(name: SegmentName, line: bytes) -> None:
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadSegment("its first line does not parse") from None
    wanted = {"format": FORMAT, "v": VERSION, "topic": name.topic, "partition": name.partition}
    if raw != {**wanted, "first_offset": name.first}:
        raise BadSegment("its first line does not match its name")


def _verified_footer(inner: Any, line: bytes) -> Footer:  # noqa: ANN401 - hashlib's type has no public name
    footer = parse_footer(line)
    _, digest, text = line.rstrip(b"\n").split(b" ", 2)
    inner.update(text)
    if inner.hexdigest().encode() != digest or not line.endswith(b"\n"):
        raise BadSegment("its sha256 differs from what was written")
    return footer


def _message(line: bytes) -> tuple[int, Batch]:
    offset, _, body = line.rstrip(b"\n").partition(b" ")
    if not offset.isdigit():
        raise BadSegment("a line has no offset")
    try:
        # Not codec.decode: what fits into a message as binary may be larger than one as JSON.
        return int(offset), codec_json.load(body)
    except BadMessage as error:
        raise BadSegment(f"the message at offset {int(offset)} does not decode ({error})") from None
