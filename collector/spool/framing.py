"""Records in bytes: ``[length u32][crc32 u32][seq u64][payload]``, big-endian; the CRC covers seq and payload.

This file never touches a disk. A scan of any bytes ends, yields only records whose CRC holds, and finds the next
intact record behind damage: sequence numbers are the landmarks, their high bytes being the same all over a file.
"""

import struct
import zlib
from dataclasses import dataclass

HEADER = struct.Struct(">IIQ")
RECORD_BYTES_MAX = 64 * 1024 * 1024
# The five high bytes of a sequence number: shared by 2**24 neighbours, and never part of JSON text (NULs).
_LANDMARK_BYTES = 5
_LANDMARK_SPAN = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An intact record; ``end`` is the offset behind it, ``skipped`` the damaged bytes in front of it."""

    seq: int
    payload: bytes
    end: int
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """No intact record from ``offset`` on: a record not written to its end yet, or damage, or nothing at all."""

    offset: int


def frame(seq: int, payload: bytes) -> bytes:
    """Return one record."""
    crc = zlib.crc32(payload, zlib.crc32(seq.to_bytes(8)))
    return HEADER.pack(len(payload), crc, seq) + payload


def next_record(data: bytes, offset: int, after: int, *, final: bool) -> Record | Pending:
    """Return the first intact record at or behind ``offset`` with a sequence number above ``after``.

    An unfinished record at the end of ``data`` is waited for (``Pending``) unless ``final`` says that no
    bytes will follow: then it is damage too, and what lies behind its header is searched.
    """
    record = _record_at(data, offset, after)
    if isinstance(record, Record):
        return record
    if record is None and not final:
        return Pending(offset=offset)
    found = _resync(data, offset + 1, after)
    if found is None:
        return Pending(offset=offset)
    return Record(seq=found.seq, payload=found.payload, end=found.end, skipped=found_start(found) - offset)


def found_start(record: Record) -> int:
    """Return the offset at which ``record`` begins."""
    return record.end - len(record.payload) - HEADER.size


def _record_at(data: bytes, offset: int, after: int) -> Record | bool | None:
    """Return the record at ``offset``, None if its bytes are not all there, False if it is damaged."""
    if offset + HEADER.size > len(data):
        return None
    length, crc, seq = HEADER.unpack_from(data, offset)
    # A writer counts up by one; a gap can only come from records that were dropped by damage or deletion.
    if length > RECORD_BYTES_MAX or not after < seq:
        return False
    start = offset + HEADER.size
    end = start + length
    if end > len(data):
        return None
    payload = data[start:end]
    if zlib.crc32(payload, zlib.crc32(data[offset + 8 : start])) != crc:
        return False
    return Record(seq=seq, payload=payload, end=end)


def _resync(data: bytes, offset: int, after: int) -> Record | None:
    best: Record | None = None
    base = (after + 1) // _LANDMARK_SPAN
    for high in (base, base + 1):
        landmark = (high * _LANDMARK_SPAN).to_bytes(8)[:_LANDMARK_BYTES]
        stop = len(data) if best is None else found_start(best) + 8
        at = data.find(landmark, offset + 8, stop)
        while at >= 0:
            record = _record_at(data, at - 8, after)
            if isinstance(record, Record):
                best = record
                break
            at = data.find(landmark, at + 1, stop)
    return best
