"""A message's columns as numpy arrays. The batch was validated when it was decoded; nothing is checked again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.batch import Batch, Coded
from collector.schema.packed import Packed

_STORED = {width: np.dtype(f"<u{width}") for width in (1, 2, 4, 8)}

Codes = tuple[Sequence[str], NDArray[np.intp]]  # a dictionary, and each event's place in it


def numbers(batch: Batch, name: str, *, absent: int = 0) -> NDArray[np.int64]:
    """Return an integer column, ``absent`` where there is no value."""
    values = batch.columns.get(name)
    if values is None:
        return np.full(batch.n, absent, np.int64)
    return _integers(values_of(values), absent)


def codes(batch: Batch, name: str) -> Codes:
    """Return a coded column's dictionary and codes; absent values have the code ``len(dictionary)``."""
    column = batch.columns.get(name)
    if not isinstance(column, Coded):
        return (), np.zeros(batch.n, np.intp)
    if isinstance(column.codes, Packed):
        found = _unpacked(column.codes, -1)
        if column.codes.base < 0:
            found[found < 0] = len(column.values)
        return column.values, found
    try:
        # bytes() takes 0..255 and reads a list of small integers three times faster than numpy does.
        return column.values, np.frombuffer(bytes(column.codes), np.uint8).astype(np.intp)
    except ValueError:
        found = np.fromiter(column.codes, np.intp, batch.n)
        found[found < 0] = len(column.values)
        return column.values, found


def _integers(values: Sequence[Any], absent: int) -> NDArray[np.int64]:
    if isinstance(values, Packed):
        return _unpacked(values, absent)
    try:
        return np.fromiter(values, np.int64, len(values))
    except TypeError:  # a None among them: rare, so the fast way is tried first
        return np.fromiter((absent if value is None else value for value in values), np.int64, len(values))


def _unpacked(column: Packed, absent: int) -> NDArray[np.int64]:
    if not column.width:
        return np.full(column.n, column.base, np.int64)
    stored = np.frombuffer(column.data, _STORED[column.width])
    found: NDArray[np.int64] = stored.astype(np.int64)
    if base := column.base - column.nulls:
        found += base
    if column.nulls:
        found[stored == 0] = absent
    return found


def values_of(column: Coded | Sequence[Any]) -> Sequence[Any]:
    """Return a plain column's values (a coded one has none: the schema keeps them apart)."""
    return () if isinstance(column, Coded) else column
