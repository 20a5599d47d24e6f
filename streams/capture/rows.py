"""Completion batches as rows in submission order: merged over segments, each message once. Pure.

Memory holds only segments that overlap in time: a segment is read when the merge reaches its first submission.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from collector.schema.codec import Batch, Coded
from collector.schema.columns import COLUMNS, TIME_US_MAX
from collector.schema.events import Kind
from streams.capture.footer import Footer
from streams.capture.segments import Segment, SegmentName
from streams.capture.seqs import SeqRanges

# A row is a tuple: the sort key (submitted_at, id, partition, offset, index), the service, then these columns.
FIELDS = tuple(column.name for column in COLUMNS[Kind.COMPLETION])
SERVICE_AT = 5
FIELDS_AT = 6
AT = {name: FIELDS_AT + i for i, name in enumerate(FIELDS)}

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A finished segment as found in a folder: its name and the footer it claims, both not yet verified."""

    name: SegmentName
    footer: Footer


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which rows are wanted: one service's, one agent's, those submitted in [``from_us``, ``to_us``); None: all."""

    service: str | None = None
    agent: str | None = None
    from_us: int | None = None
    to_us: int | None = None

    def wants(self, agent: str, key: str) -> bool:
        """True if messages of this agent and key are wanted."""
        return self.wants_key(key) and self.agent in {None, agent}

    def wants_key(self, key: str) -> bool:
        """True if this service is wanted."""
        return self.service in {None, key}

    def wants_segment(self, footer: Footer) -> bool:
        """False if none of a segment's rows can lie in the wanted time."""
        first, last = footer.first_submitted_at, footer.last_submitted_at
        if first is None or last is None:
            return True
        return (self.to_us is None or first < self.to_us) and (self.from_us is None or last >= self.from_us)

    def in_time(self, rows: Iterable[Row]) -> Iterable[Row]:
        """Return those of ``rows`` that were submitted in the wanted time."""
        if self.from_us is None and self.to_us is None:
            return rows
        low, high = self.from_us or 0, TIME_US_MAX + 1 if self.to_us is None else self.to_us
        return [row for row in rows if low <= row[0] < high]


@dataclass(slots=True)
class Dedupe:
    """Remembers which messages were seen, by (agent, boot, key) and seq; counts those that came again."""

    seen: dict[tuple[str, str, str], SeqRanges] = field(default_factory=dict)
    duplicates: int = 0

    def is_new(self, batch: Batch) -> bool:
        """True the first time a message's identity is shown, False ever after."""
        new = self.seen.setdefault((batch.agent, batch.boot, batch.key), SeqRanges()).add(batch.seq)
        self.duplicates += not new
        return new


def rows_of(batch: Batch, partition: int, offset: int) -> Iterator[Row]:
    """Return one row per event of a completion batch."""
    none = [None] * batch.n
    columns = [_values(batch.columns.get(name, none)) for name in FIELDS]
    submitted = columns[FIELDS.index("submitted_at")]
    ids = columns[FIELDS.index("id")]
    same = ((partition,) * batch.n, (offset,) * batch.n, range(batch.n), (batch.key,) * batch.n)
    return zip(submitted, ids, *same, *columns, strict=True)


def merged(
    listed: Sequence[Listed], read: Callable[[SegmentName], Segment], only: Only, dedupe: Dedupe
) -> Iterator[list[Row]]:
    """Return all rows, sorted, in runs; ``read`` brings a segment's verified contents.

    Only rows that are wanted. A message whose identity was seen before is dropped, so an agent that sends
    twice changes nothing.
    """
    waiting: list[Row] = []
    for item in sorted((item for item in listed if only.wants_segment(item.footer)), key=_first_submission):
        bound = item.footer.first_submitted_at
        if bound is not None:
            done = _count_before(waiting, bound)
            if done:
                yield waiting[:done]
                del waiting[:done]
        # Also segments without rows are read: their hash is verified and named in the manifest.
        for offset, batch in read(item.name).batches:
            if only.wants(batch.agent, batch.key) and dedupe.is_new(batch):
                waiting.extend(only.in_time(rows_of(batch, item.name.partition, offset)))
        waiting.sort()
    if waiting:
        yield waiting


def _first_submission(item: Listed) -> tuple[int, SegmentName]:
    first = item.footer.first_submitted_at
    return (-1 if first is None else first, item.name)


def _count_before(rows: list[Row], bound: int) -> int:
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle][0] < bound:
            low = middle + 1
        else:
            high = middle
    return low


def _values(column: Coded | Sequence[Any]) -> Sequence[Any]:
    return column.texts() if isinstance(column, Coded) else column
