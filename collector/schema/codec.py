"""Batch <-> bytes: one agent's events of one kind for one key, in one of two bodies, schema v1.

Any bytes decode to a valid ``Batch`` or raise ``BadMessage`` naming what is wrong; nothing else is raised.
Encoding validates too, so what one side sends the other accepts, and round trips are exact.
A body says by its first bytes what it is; the content type in the Kafka header says the same to whoever looks there.
"""

from dataclasses import replace
from enum import StrEnum

from collector.schema import codec_binary, codec_json
from collector.schema.batch import Batch, Coded, columns_of, events_of
from collector.schema.checks import EVENTS_MAX, check_columns, check_envelope
from collector.schema.errors import BadMessage

__all__ = [
    "CONTENT_TYPES",
    "EVENTS_MAX",
    "MESSAGE_BYTES_MAX",
    "Batch",
    "Coded",
    "Encoding",
    "columns_of",
    "decode",
    "encode",
    "encoding_of",
    "events_of",
]

MESSAGE_BYTES_MAX = 16 * 1024 * 1024


class Encoding(StrEnum):
    """How the columns travel."""

    JSON = "json"
    BINARY = "binary"


CONTENT_TYPES = {
    Encoding.JSON: "application/vnd.burstwatch.columns+json",
    Encoding.BINARY: "application/vnd.burstwatch.columns",
}


def encoding_of(body: bytes) -> Encoding:
    """Return which body these bytes are, or claim to be."""
    return Encoding.BINARY if body.startswith(codec_binary.MAGIC) else Encoding.JSON


def encode(batch: Batch, encoding: Encoding = Encoding.JSON) -> bytes:
    """Return the message body. Raises ``BadMessage`` if the batch breaks the schema."""
    columns = {
        n: replace(c, codes=list(c.codes)) if isinstance(c, Coded) else list(c) for n, c in batch.columns.items()
    }
    batch = replace(batch, columns=columns)
    check_envelope(batch)
    check_columns(batch)
    return codec_binary.dump(batch) if encoding is Encoding.BINARY else codec_json.dump(batch)


def decode(body: bytes) -> Batch:
    """Return the batch in ``body``. Raises ``BadMessage`` (and nothing else) for any other bytes."""
    if len(body) > MESSAGE_BYTES_MAX:
        raise BadMessage("too_large", f"{len(body)} bytes, at most {MESSAGE_BYTES_MAX}")
    return codec_binary.load(body) if encoding_of(body) is Encoding.BINARY else codec_json.load(body)
