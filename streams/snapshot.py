"""State <-> bytes: a JSON header and raw array buffers, compressed and checksummed. Pure.

Layout: magic, version, CRC-32 of all that follows; three lengths; zlib level 1 of (header, byte planes); plain
byte planes.
Integers travel in the narrowest type that holds them, and every array as byte planes (all first bytes, then all
second bytes, ...), which zlib packs smaller and faster. The low six planes of floats are noise to zlib: plain.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

VERSION = 2
_MAGIC = b"BWSS"
_PREFIX = struct.Struct("<4sBI")  # magic, version, CRC-32
_LENGTHS = struct.Struct("<III")  # header, packed part, packed part when unpacked
_SIZES = {"u1": 1, "u2": 2, "u4": 4, "u8": 8, "i8": 8, "f8": 8}
_FLOAT_NOISE = 6
_SIZE_MAX = 1 << 30


class BadSnapshot(Exception):  # noqa: N818 - named for what it is, like BadMessage
    """Bytes that are not a snapshot of this version; the message says why, never what they hold."""


def encode(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Return ``facts`` (what orjson takes, whole-number keys too) and ``arrays`` (integers or floats) as bytes."""
    index, planes, plain = [], [], []
    for name, array in arrays.items():
        kind = _kind(array)
        index.append([name, kind, list(array.shape)])
        noise, other = _split(array, kind)
        plain.append(noise)
        planes.append(other)
    header = orjson.dumps({"facts": facts, "arrays": index}, option=orjson.OPT_NON_STR_KEYS)
    body = b"".join([header, *planes])
    packed = zlib.compress(body, 1)
    rest = b"".join([_LENGTHS.pack(len(header), len(packed), len(body)), packed, *plain])
    return _PREFIX.pack(_MAGIC, VERSION, zlib.crc32(rest)) + rest


def decode(body: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the facts and arrays in ``body``, integers widened to 64 bits. Raises ``BadSnapshot``."""
    start = _PREFIX.size + _LENGTHS.size
    if len(body) < start:
        raise BadSnapshot(f"{len(body)} bytes are too few")
    magic, version, crc = _PREFIX.unpack_from(body)
    if magic != _MAGIC or version != VERSION:
        raise BadSnapshot(f"not a version-{VERSION} snapshot")
    if zlib.crc32(memoryview(body)[_PREFIX.size :]) != crc:
        raise BadSnapshot("checksum does not match")
    header_len, packed_len, size = _LENGTHS.unpack_from(body, _PREFIX.size)
    rest = body[start:]
    try:
        unpacked = zlib.decompressobj().decompress(rest[:packed_len], min(size, _SIZE_MAX) + 1)
        if len(unpacked) != size:
            raise BadSnapshot("length does not match")
        header = orjson.loads(unpacked[:header_len])
        return header["facts"], _joined(header["arrays"], unpacked[header_len:], rest[packed_len:])
    except (zlib.error, ValueError, LookupError, TypeError) as error:
        raise BadSnapshot(f"malformed: {type(error).__name__}") from None


def _kind(array: NDArray[Any]) -> str:
    if array.dtype.kind == "f":
        return "f8"
    if not array.size:
        return "u1"
    if array.min() < 0:
        return "i8"
    return f"u{np.min_scalar_type(array.max()).itemsize}"


def _split(array: NDArray[Any], kind: str) -> tuple[bytes, bytes]:
    """Return the byte planes of ``array``: those zlib can do nothing with, and the others."""
    narrow = np.ascontiguousarray(array, dtype=f"<{kind}")
    planes = narrow.reshape(-1).view(np.uint8).reshape(-1, narrow.itemsize).T
    noise = _FLOAT_NOISE if kind == "f8" else 0
    return planes[:noise].tobytes(), planes[noise:].tobytes()


def _joined(index: list[tuple[str, str, list[int]]], packed: bytes, plain: bytes) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    in_packed = in_plain = 0
    for name, kind, shape in index:
        width, count = _SIZES[kind], int(np.prod(shape, dtype=np.int64))
        noise = _FLOAT_NOISE if kind == "f8" else 0
        parts = [
            np.frombuffer(plain, np.uint8, noise * count, in_plain),
            np.frombuffer(packed, np.uint8, (width - noise) * count, in_packed),
        ]
        in_plain += noise * count
        in_packed += (width - noise) * count
        planes = np.concatenate(parts).reshape(width, count).T
        array = np.ascontiguousarray(planes).view(f"<{kind}").reshape(shape)
        # Narrow unsigned types come back signed, so that differences of them are what they seem.
        arrays[name] = array.astype({"f8": np.float64, "u8": np.uint64}.get(kind, np.int64))
    return arrays
