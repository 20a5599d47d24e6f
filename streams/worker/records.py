"""What the worker writes besides results: changelog keys and the partition record, and dead letters. Pure."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from collector.schema.topics import REQUESTS

RECORD_VERSION = 2
LETTER_VERSION = 1
_RECORD_BYTES_MAX = 1 << 26

# Why a message went to the dead-letter topic, besides the codec's own reasons (BadMessage.REASONS).
EMPTY = "empty"  # a tombstone
WRONG_KEY = "wrong_key"  # the Kafka key is not the key inside: ordering per key would be lost
WRONG_KIND = "wrong_kind"  # requests among the readings of nodes
PROCESSOR_ERROR = "processor_error"  # our own fault; the log has the traceback of the first of each kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRecord:
    """How far one partition's snapshots reach together.

    Attributes:
        low: every message up to this source offset is contained in the services' snapshots; -1 for none.
        roster: who had a state of its own when the record was written (``Roster.dump``); what lies between ``low``
            and the offset decided there is in some of the snapshots.
        saved: the offset each service's snapshot had when the record was written; services without one are absent.
    """

    low: int
    roster: dict[str, Any]
    saved: Mapping[str, int] = field(default_factory=dict)


def partition_key(partition: int) -> bytes:
    """Return the changelog key of a partition's record."""
    return b"p:%d" % partition


def service_key(partition: int, service: str) -> bytes:
    """Return the changelog key of a service's snapshot. The partition is in it: a key has one writer."""
    return b"s:%d:%b" % (partition, service.encode())


def services_in(partition: int, keys: Iterable[bytes]) -> list[str]:
    """Return the services of ``partition`` that have a snapshot among the changelog ``keys``."""
    prefix = b"s:%d:" % partition
    return sorted(key[len(prefix) :].decode() for key in keys if key.startswith(prefix))


def format_record(record: PartitionRecord) -> bytes:
    """Return the record as the changelog keeps it: compressed, it names every service."""
    facts = {"low": record.low, "roster": record.roster, "saved": dict(record.saved)}
    return bytes([RECORD_VERSION]) + zlib.compress(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS), 1)


def parse_record(body: bytes | None) -> PartitionRecord | None:
    """Return the record, or None for anything that is not one: the partition is then read from its start."""
    if not body or body[0] != RECORD_VERSION:
        return None
    try:
        raw = orjson.loads(zlib.decompressobj().decompress(body[1:], _RECORD_BYTES_MAX))
        saved = {str(name): int(offset) for name, offset in raw["saved"].items()}
        return PartitionRecord(low=int(raw["low"]), roster=dict(raw["roster"]), saved=saved)
    except (zlib.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that could not be used: where it is and why, never what it says."""

    topic: str = REQUESTS
    partition: int
    offset: int
    reason: str
    detail: str
    body: bytes = field(repr=False)


def format_dead_letter(letter: DeadLetter) -> bytes:
    """Return the dead-letter message: size and SHA-256 of the payload instead of the payload."""
    return orjson.dumps(
        {
            "v": LETTER_VERSION,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "reason": letter.reason,
            "detail": letter.detail[:200],
            "bytes": len(letter.body),
            "sha256": hashlib.sha256(letter.body).hexdigest(),
        }
    )
