"""A message's columns as numpy arrays. The batch was validated when it was decoded; nothing is checked again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.codec import Batch, Coded


def numbers(batch: Batch, name: str) -> NDArray[np.int64]:
    """Return an integer column; absent values are 0."""
    values = batch.columns.get(name)
    if values is None:
        return np.zeros(batch.n, np.int64)
    plain = values_of(values)
    try:
        return np.fromiter(plain, np.int64, batch.n)
    except TypeError:  # a None among them: rare, so the fast way is tried first
        return np.fromiter((value or 0 for value in plain), np.int64, batch.n)


def endings(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when each completion ended (``ended_at``, else ``submitted_at``) and how long it took, both in us.

    The duration is -1 where it is not known: no ``ended_at``, or one before the submission.
    """
    submitted, column = numbers(batch, "submitted_at"), batch.columns.get("ended_at")
    if column is None:
        return submitted, np.full(batch.n, -1, np.int64)
    try:
        ended = at = np.fromiter(values_of(column), np.int64, batch.n)
    except TypeError:  # a None among them
        ended = np.fromiter((-1 if value is None else value for value in values_of(column)), np.int64, batch.n)
        at = np.where(ended < 0, submitted, ended)
    return at, np.maximum(ended - submitted, -1)


def codes(batch: Batch, name: str) -> tuple[Sequence[str], NDArray[np.intp]]:
    """Return a coded column's dictionary and codes; absent values have the code ``len(dictionary)``."""
    column = batch.columns.get(name)
    if not isinstance(column, Coded):
        return (), np.zeros(batch.n, np.intp)
    try:
        # bytes() takes 0..255 and reads a list of small integers three times faster than numpy does.
        return column.values, np.frombuffer(bytes(column.codes), np.uint8).astype(np.intp)
    except ValueError:
        found = np.fromiter(column.codes, np.intp, batch.n)
        found[found < 0] = len(column.values)
        return column.values, found


def values_of(column: Coded | Sequence[Any]) -> Sequence[Any]:
    """Return a plain column's values (a coded one has none: the schema keeps them apart)."""
    return () if isinstance(column, Coded) else column
