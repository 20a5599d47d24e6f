"""Compaction: a closed segment loses the batches whose every record has a newer one with the same key.

Whole batches go, so what stays keeps its bytes and its offsets. The newest value of each key always stays; the
file size is bounded by the number of keys and the newest segment. This file never reads a clock.
"""

from collections.abc import Sequence
from pathlib import Path

from burstwatch.broker.batches import Record, records_of
from burstwatch.broker.partition_log import PartitionLog
from burstwatch.broker.segment import Segment


def is_due(log: PartitionLog) -> bool:
    """True if enough closed bytes have come since the last compaction (min.cleanable.dirty.ratio)."""
    closed = log.segments[:-1]
    dirty = sum(segment.size for segment in closed if segment.base >= log.cleaned_to)
    return log.configs.compacts and dirty > 0 and dirty >= log.configs.dirty_ratio * sum(s.size for s in closed)


def rewrite(segments: Sequence[Segment], *, oldest_tombstone_ms: int) -> list[tuple[Segment, Path]]:
    """Write compacted copies beside those closed segments that shrink. The last segment given is not touched.

    Reads files only, so it may run beside appends: those can only make more of what is read here obsolete.
    """
    needed = _needed(segments, oldest_tombstone_ms)
    copies = []
    for segment in segments[:-1]:
        kept = [batch for head, batch in segment.batches() if head.base_offset in needed]
        if sum(map(len, kept)) < segment.size:
            copy = segment.path.with_suffix(".compacted")
            copy.write_bytes(b"".join(kept))
            copies.append((segment, copy))
    return copies


def swap(log: PartitionLog, copies: Sequence[tuple[Segment, Path]], *, cleaned_to: int) -> None:
    """Put the copies in place; segments that retention deleted meanwhile stay deleted."""
    for segment, copy in copies:
        if segment not in log.segments:
            copy.unlink()
            continue
        segment.replace(copy)
        if segment.size == 0:
            log.segments.remove(segment)
            segment.path.unlink()
    log.cleaned_to = cleaned_to


def _needed(segments: Sequence[Segment], oldest_tombstone_ms: int) -> set[int]:
    """Return the base offsets of the batches to keep."""
    newest: dict[bytes, tuple[int, Record]] = {}
    needed = set()
    for segment in segments:
        for head, batch in segment.batches():
            try:
                records = records_of(batch)
            except ValueError:
                needed.add(head.base_offset)  # what cannot be read is not ours to judge
                continue
            for record in records:
                if record.key is None:
                    needed.add(head.base_offset)  # from before the topic was compacted
                else:
                    newest[record.key] = (head.base_offset, record)
    return needed | {
        base for base, record in newest.values() if not record.is_tombstone or record.timestamp >= oldest_tombstone_ms
    }
