"""State <-> bytes: a JSON header and raw array buffers, compressed and checksummed. Pure."""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

VERSION = 1
_MAGIC = b"BWSS"
_PREFIX = struct.Struct("<4sBII")  # magic, version, CRC-32 of the body, length of the header
_TYPES = frozenset({"<i8", "<u8", "<f8", "|u1", "<u2", "<u4"})


class BadSnapshot(Exception):  # noqa: N818 - named for what it is, like BadMessage
    """Bytes that are not a snapshot of this version; the message says why, never what they hold."""


def encode(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Return ``facts`` (plain JSON types) and ``arrays`` (unsigned, 64-bit signed or float) as bytes."""
    # Integers travel in the narrowest type that holds them: it halves what zlib has to look at.
    packed = {name: _narrowed(array) for name, array in arrays.items()}
    index = [[name, a.dtype.str, list(a.shape)] for name, a in packed.items()]
    header = orjson.dumps({"facts": facts, "arrays": index})
    body = zlib.compress(b"".join([header, *(a.tobytes() for a in packed.values())]), 1)
    return _PREFIX.pack(_MAGIC, VERSION, zlib.crc32(body), len(header)) + body


def decode(body: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the facts and arrays in ``body``, integers widened to 64 bits. Raises ``BadSnapshot``."""
    if len(body) < _PREFIX.size:
        raise BadSnapshot(f"{len(body)} bytes are too few")
    magic, version, crc, header_len = _PREFIX.unpack_from(body)
    if magic != _MAGIC or version != VERSION:
        raise BadSnapshot("not a version-1 snapshot")
    packed = body[_PREFIX.size :]
    if zlib.crc32(packed) != crc:
        raise BadSnapshot("checksum does not match")
    try:
        plain = zlib.decompress(packed)
        header = orjson.loads(plain[:header_len])
        return header["facts"], _arrays(header["arrays"], memoryview(plain)[header_len:])
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise BadSnapshot(f"malformed: {type(error).__name__}") from None


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f" or not array.size:
        return array
    if array.min() < 0:
        return array.astype("<i8", copy=False)
    return array.astype(np.min_scalar_type(array.max()).newbyteorder("<"), copy=False)


def _arrays(index: list[tuple[str, str, list[int]]], buffer: memoryview) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for name, kind, shape in index:
        if kind not in _TYPES:
            raise BadSnapshot("unknown array type")
        dtype = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(buffer, dtype, count, at).reshape(shape)
        at += array.nbytes
        wide = np.float64 if dtype.kind == "f" else np.uint64 if kind == "<u8" else np.int64
        arrays[name] = array.astype(wide)
    return arrays
