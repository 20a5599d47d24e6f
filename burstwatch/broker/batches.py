"""Record batches (Kafka's format v2): the head is read and checked, the records stay opaque bytes.

This file never reads a clock or a file.
"""

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from crc32c import crc32c

from burstwatch.broker.codes import Code, Refused

# base offset, length, leader epoch, magic, crc | attributes, last offset delta, first and last timestamp,
# producer id, producer epoch, base sequence, record count. The crc covers everything behind itself.
_HEAD = struct.Struct(">qiibIhiqqqhii")
_LENGTH_ENDS_AT = 12
_CRC_AT = 17
_BODY_AT = 21
_MAX_TIMESTAMP_AT = 35
_LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x08, 0x10, 0x20
_MAX_SEQUENCE = 2**31 - 1
HEAD_BYTES = _HEAD.size

Buffer = bytes | mmap


class Head(NamedTuple):
    """What the broker needs to know of one batch."""

    base_offset: int
    last_offset: int
    records: int  # how many, by the head's own word
    size: int  # bytes, head included
    crc: int
    attributes: int
    max_timestamp: int  # ms since the epoch
    producer_id: int  # -1: not idempotent
    producer_epoch: int
    first_sequence: int
    last_sequence: int


class Record(NamedTuple):
    """One record of a decoded batch."""

    offset: int
    timestamp: int
    key: bytes | None
    is_tombstone: bool


def head_at(buffer: Buffer, at: int) -> Head | None:
    """Return the head of the batch that starts at `at`; None if there cannot be one.

    The batch's body may reach past the end of the buffer; compare `at + head.size`.
    """
    if len(buffer) - at < HEAD_BYTES:
        return None
    fields = _HEAD.unpack_from(buffer, at)
    base, length, _, magic, crc, attributes, delta, _, max_timestamp, producer, epoch, sequence, count = fields
    if magic != 2 or length < HEAD_BYTES - _LENGTH_ENDS_AT or delta < 0 or count < 0:
        return None
    last = sequence if sequence < 0 else advance(sequence, delta)
    size, end = length + _LENGTH_ENDS_AT, base + delta
    return Head(base, end, count, size, crc, attributes, max_timestamp, producer, epoch, sequence, last)


def heads(buffer: Buffer) -> Iterator[tuple[int, Head]]:
    """Yield (position, head) of the batches in a buffer, the last of which may be cut off."""
    at = 0
    while (head := head_at(buffer, at)) is not None:
        yield at, head
        at += head.size


def advance(sequence: int, by: int) -> int:
    """Return a producer's sequence number `by` records later; after 2^31-1 comes 0."""
    return (sequence + by) & _MAX_SEQUENCE


def crc_matches(batch: bytes, head: Head) -> bool:
    """True if the whole batch is there and its checksum is right."""
    return len(batch) == head.size and crc32c(batch[_BODY_AT:]) == head.crc


def checked(records: bytes | None, *, max_bytes: int) -> Head:
    """Return the head of the one batch a producer sent for one partition.

    Raises:
        Refused: not exactly one intact batch of format v2, larger than `max_bytes`, or part of a transaction.
    """
    if not records or len(records) < HEAD_BYTES:
        raise Refused(Code.INVALID_RECORD, "no record batch")
    if records[16] != 2:
        raise Refused(Code.UNSUPPORTED_FOR_MESSAGE_FORMAT, "only record batches of format v2 are stored")
    head = head_at(records, 0)
    if head is None or len(records) < head.size:
        raise Refused(Code.CORRUPT_MESSAGE, "the record batch is cut off")
    if len(records) > head.size:
        raise Refused(Code.INVALID_RECORD, "more than one record batch for a partition")
    if head.records != head.last_offset - head.base_offset + 1:
        raise Refused(Code.INVALID_RECORD, "the batch's records and its offsets do not agree")
    if head.size > max_bytes:
        raise Refused(Code.MESSAGE_TOO_LARGE, f"{head.size} bytes, max.message.bytes is {max_bytes}")
    if not crc_matches(records, head):
        raise Refused(Code.CORRUPT_MESSAGE, "the record batch's checksum is wrong")
    if head.attributes & (_TRANSACTIONAL | _CONTROL):
        raise Refused(Code.INVALID_RECORD, "transactions are not offered")
    return head


def placed(records: bytes, base_offset: int, *, append_time_ms: int | None = None) -> bytes:
    """Return the batch as it is stored: with its offset, and its time if the topic wants the log's own time.

    Base offset and leader epoch lie outside the checksum, so an ordinary batch is not touched otherwise.
    """
    batch = bytearray(records)
    struct.pack_into(">q", batch, 0, base_offset)
    struct.pack_into(">i", batch, _LENGTH_ENDS_AT, 0)
    if append_time_ms is not None:
        attributes = struct.unpack_from(">h", batch, _BODY_AT)[0] | _LOG_APPEND_TIME
        struct.pack_into(">h", batch, _BODY_AT, attributes)
        struct.pack_into(">q", batch, _MAX_TIMESTAMP_AT, append_time_ms)
        struct.pack_into(">I", batch, _CRC_AT, crc32c(batch[_BODY_AT:]))
    return bytes(batch)


def records_of(batch: bytes) -> list[Record]:
    """Return the records of a stored batch, decompressed. Raises ValueError if they cannot be read."""
    # Imported when first needed (compaction, offsets by time): it costs start-up time and memory.
    from aiokafka.record.memory_records import MemoryRecords  # noqa: PLC0415

    try:
        decoded = MemoryRecords(batch).next_batch()
        return [Record(r.offset, r.timestamp, r.key, r.value is None) for r in decoded]
    except Exception as error:  # a codec may raise anything on bytes a client made up
        raise ValueError(f"unreadable record batch: {type(error).__name__}") from error
