"""Facts as JSON can hold them, and the names of what is neither a number nor a text."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, Any]  # names to lists or arrays of one length: a table without the cost of objects
Quantiles = dict[str, float]  # by name, "p50"; empty where there is nothing to take them of


def plain(value: object) -> Any:  # noqa: ANN401 - what JSON can hold
    """Return dataclasses, arrays and numpy numbers as dicts, lists and numbers; NaN and infinities as None."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _listed(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not isfinite(value) else value


def _listed(array: NDArray[Any]) -> list[Any]:
    if array.dtype.kind == "O":
        return [plain(item) for item in array.tolist()]
    if array.dtype.kind != "f" or (known := np.isfinite(array)).all():
        found: list[Any] = array.tolist()
        return found
    objects = array.astype(object)
    objects[~known] = None
    listed: list[Any] = objects.tolist()
    return listed
