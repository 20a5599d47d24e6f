r"""The binary body: a JSON header, then the columns' raw buffers. Schema v1; all integers little-endian, unsigned.

Byte by byte::

    0   4  magic: 89 42 57 43 ("\x89BWC"; no JSON and no UTF-8 text begins so)
    4   4  length of the header
    8   -  header: the JSON body's object, but "columns" is a list of [NAME, ...] as below, in the order of the buffers
    -   -  buffers, end to end, without padding; nothing after them

    times, counts   [NAME, WIDTH, BASE, NULLS]       n x WIDTH bytes
    coded text      [NAME, WIDTH, BASE, DICTIONARY]  n x WIDTH bytes: codes, -1 (so BASE is -1) for absent
    ids             [NAME, WIDTH, BASE, SIZE]        n x WIDTH bytes: lengths; then SIZE bytes: the ids end to end
    flags           [NAME]                           n bytes: 0 absent, 1 false, 2 true
    ratios          [NAME]                           n x 8 bytes: float64, NaN for absent

A stored integer is the difference from BASE (frame-of-reference coding), WIDTH is 0 (all are BASE), 1, 2, 4 or 8
bytes; with NULLS true, 0 is absent and k is BASE + k - 1. So a value costs a byte or two, times four, and where BASE
and WIDTH alone keep a column in range no value needs a look. Columns without a value are left out.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Any

import orjson

from collector.schema.batch import Batch, Coded
from collector.schema.checks import NUMBER_MAX, TOKEN_BYTES, check_dictionary, check_names, check_range, is_whole
from collector.schema.codec_json import batch_of, envelope, parse
from collector.schema.columns import COLUMNS, TOKEN_LEN_MAX, Column, ColumnType
from collector.schema.errors import BadMessage
from collector.schema.packed import FLAGS, FORMATS, Flags, Packed, Texts

MAGIC = b"\x89BWC"
_PREFIX = struct.Struct("<4sI")
_BYTES = bytes(range(256))
_SPAN = {0: 0, **{width: 256**width - 1 for width in FORMATS}}  # what a width can add to its base

Entry = list[Any]
Written = tuple[Entry, list[bytes]]


def dump(batch: Batch) -> bytes:
    """Return a valid batch, its columns lists, as a binary body (not checked again)."""
    entries: list[Entry] = []
    buffers: list[bytes] = []
    for spec in COLUMNS[batch.kind]:
        values = batch.columns.get(spec.name)
        if values is None or _is_empty(values):
            continue
        entry, data = _WRITERS[spec.type](values)
        entries.append([spec.name, *entry])
        buffers += data
    header = orjson.dumps(envelope(batch) | {"columns": entries})
    return b"".join([_PREFIX.pack(MAGIC, len(header)), header, *buffers])


def load(body: bytes) -> Batch:
    """Return the batch in ``body``, which begins with ``MAGIC``. Raises ``BadMessage`` and nothing else."""
    if len(body) < _PREFIX.size:
        raise BadMessage("layout", "it is cut off in the prefix")
    _, size = _PREFIX.unpack_from(body)
    buffers = _Buffers(body, _PREFIX.size)
    raw = parse(buffers.take(size))
    if not isinstance(raw["columns"], list):
        raise BadMessage("columns", "must be a list")
    columns: dict[str, Coded | Sequence[Any]] = {}
    batch = batch_of(raw, columns)
    buffers.n = batch.n
    places = _PLACES[batch.kind]
    for entry in raw["columns"]:
        spec, size, read = _place(places, entry)
        if spec.name in columns:
            raise BadMessage("columns", f"{spec.name} comes twice")
        if len(entry) != size:
            raise BadMessage("columns", f"{spec.name} is described by the wrong number of values")
        columns[spec.name] = read(buffers, spec, entry)
    check_names(batch)
    if buffers.at != len(body):
        raise BadMessage("layout", f"{len(body) - buffers.at} bytes too many")
    return batch


# -- out


def _is_empty(values: Coded | Sequence[Any]) -> bool:
    if isinstance(values, Coded):
        return not values.codes or set(values.codes) == {-1}
    return values.count(None) == len(values)


def _packed(numbers: Sequence[int], base: int, most: int) -> tuple[int, bytes]:
    """Return width and buffer of ``numbers``, none below ``base``, none above ``most``."""
    spread = most - base
    if not spread:
        return 0, b""
    width = next(width for width in FORMATS if spread < 256**width)
    stored = [number - base for number in numbers] if base else numbers
    return width, struct.pack(f"<{len(stored)}{FORMATS[width]}", *stored)


def _write_numbers(values: Any) -> Written:  # noqa: ANN401 - the checks have seen to the types
    nulls = None in values
    present = [value for value in values if value is not None] if nulls else values
    base, most = min(present), max(present)
    stored = [base if value is None else value + 1 for value in values] if nulls else values
    width, data = _packed(stored, base, most + nulls)
    return [width, base, nulls], [data]


def _write_coded(column: Any) -> Written:  # noqa: ANN401 - same
    base = min(column.codes)
    width, data = _packed(column.codes, base, max(column.codes))
    return [width, base, column.values], [data]


def _write_texts(texts: Any) -> Written:  # noqa: ANN401 - same
    lengths = list(map(len, texts))
    base = min(lengths)
    width, data = _packed(lengths, base, max(lengths))
    text = "".join(texts).encode("ascii")
    return [width, base, len(text)], [data, text]


def _write_flags(values: Any) -> Written:  # noqa: ANN401 - same
    return [], [bytes(map(FLAGS.index, values))]


def _write_ratios(values: Any) -> Written:  # noqa: ANN401 - same
    numbers = [float("nan") if value is None else value for value in values]
    return [], [struct.pack(f"<{len(numbers)}d", *numbers)]


_WRITERS: dict[ColumnType, Callable[[Any], Written]] = {
    ColumnType.TIME: _write_numbers,
    ColumnType.COUNT: _write_numbers,
    ColumnType.RATIO: _write_ratios,
    ColumnType.FLAG: _write_flags,
    ColumnType.CODED: _write_coded,
    ColumnType.UNIQUE: _write_texts,
}

# -- in


class _Buffers:
    """The body, taken piece by piece; ``n`` events."""

    __slots__ = ("at", "body", "n")

    def __init__(self, body: bytes, at: int) -> None:
        self.body = body
        self.at = at
        self.n = 0

    def take(self, size: int) -> bytes:
        start = self.at
        self.at = end = start + size
        if end > len(self.body):
            raise BadMessage("layout", f"it is cut off: {end - len(self.body)} bytes are missing")
        return self.body[start:end]


def _place(places: "Mapping[str, Place]", entry: object) -> "Place":
    if not isinstance(entry, list) or not entry or not isinstance(entry[0], str):
        raise BadMessage("columns", "each must be a list that begins with a name")
    place = places.get(entry[0])
    if place is None:
        raise BadMessage("columns", f"{entry[0][:64]!a} is not a column of this kind")
    return place


def _bad(spec: Column) -> BadMessage:
    return BadMessage("columns", f"{spec.name} is described by values that make no sense")


def _read_numbers(buffers: _Buffers, spec: Column, entry: Entry) -> Packed:
    _, width, base, nulls = entry
    most = NUMBER_MAX[spec.type]
    if not (type(width) is int and width in _SPAN and type(nulls) is bool):
        raise _bad(spec)
    if not is_whole(base, most) or (nulls and not (width and spec.nullable)):
        raise _bad(spec)
    column = Packed(buffers.n, width, base, buffers.take(buffers.n * width), nulls)
    if base + _SPAN[width] > most:  # else no value can be out of range
        check_range(spec, [value for value in column if value is not None])
    return column


def _read_coded(buffers: _Buffers, spec: Column, entry: Entry) -> Coded:
    _, width, base, values = entry
    if not (type(width) is int and width in _SPAN and type(base) is int and isinstance(values, list)):
        raise _bad(spec)
    check_dictionary(spec, values)
    room = len(values) - base
    column = Packed(buffers.n, width, base, buffers.take(buffers.n * width))
    if base < (-1 if spec.nullable else 0) or not _below(column, room):
        raise BadMessage("value", f"{spec.name} has a code outside its dictionary")
    return Coded(values, column)


def _below(column: Packed, bound: int) -> bool:
    """True if every stored number is below ``bound``, as in a column without any."""
    if not column.n:
        return True
    if column.width == 1 and bound < 256:
        return bound > 0 and not column.data.translate(None, _BYTES[:bound])
    return _SPAN[column.width] < bound or max(column.stored()) < bound


def _read_texts(buffers: _Buffers, spec: Column, entry: Entry) -> Texts:
    _, width, base, size = entry
    if not (type(width) is int and width in _SPAN and is_whole(base, TOKEN_LEN_MAX) and is_whole(size, 2**32)):
        raise _bad(spec)
    lengths = Packed(buffers.n, width, base, buffers.take(buffers.n * width))
    text = buffers.take(size)
    if not _below(lengths, TOKEN_LEN_MAX + 1 - base):
        raise BadMessage("value", f"{spec.name} must be 1-128 printable ASCII characters without spaces")
    if not base or sum(lengths.data if width == 1 else lengths.stored()) + base * lengths.n != size:
        raise BadMessage("layout", f"the lengths of {spec.name} do not add up")
    if text.translate(None, TOKEN_BYTES):
        raise BadMessage("value", f"{spec.name} must be 1-128 printable ASCII characters without spaces")
    return Texts(lengths, text)


def _read_flags(buffers: _Buffers, spec: Column, _entry: Entry) -> Flags:
    data = buffers.take(buffers.n)
    if data.translate(None, _BYTES[0 if spec.nullable else 1 : len(FLAGS)]):
        raise BadMessage("value", f"{spec.name} must hold {spec.type.value} values")
    return Flags(data)


def _read_ratios(buffers: _Buffers, spec: Column, _entry: Entry) -> list[float | None]:
    numbers = struct.unpack(f"<{buffers.n}d", buffers.take(buffers.n * 8))
    present = [number for number in numbers if not isnan(number)]
    if not spec.nullable and len(present) < buffers.n:
        raise BadMessage("value", f"{spec.name} must hold {spec.type.value} values")
    check_range(spec, present)
    return [None if isnan(number) else number for number in numbers]


Reader = Callable[[_Buffers, Column, Entry], Coded | Sequence[Any]]
Place = tuple[Column, int, Reader]  # how many values an entry of the column has, and what reads it

_READERS: dict[ColumnType, tuple[int, Reader]] = {
    ColumnType.TIME: (4, _read_numbers),
    ColumnType.COUNT: (4, _read_numbers),
    ColumnType.RATIO: (1, _read_ratios),
    ColumnType.FLAG: (1, _read_flags),
    ColumnType.CODED: (4, _read_coded),
    ColumnType.UNIQUE: (4, _read_texts),
}
_PLACES = {kind: {spec.name: (spec, *_READERS[spec.type]) for spec in specs} for kind, specs in COLUMNS.items()}
