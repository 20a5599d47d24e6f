"""Columns as a binary body holds them: read as sequences when somebody asks for values, else left as bytes.

The stream side makes arrays of the bytes directly. All buffers are little-endian.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
FLAGS = (None, False, True)


class _Unpacked(Sequence[Any]):
    """A sequence that works its values out when they are asked for."""

    __slots__ = ()

    def _all(self) -> Sequence[Any]:
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - int or slice, as for a list
        return self._all()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())


@dataclass(frozen=True, slots=True)
class Packed(_Unpacked):
    """``n`` integers as differences from ``base``, ``width`` bytes each (0: all are ``base``).

    With ``nulls``, a stored 0 is an absent value and a stored k is base + k - 1: every bit pattern means something.

    >>> list(Packed(3, 1, 200, bytes([0, 5, 0]))), list(Packed(3, 1, 200, bytes([0, 1, 6]), True))
    ([200, 205, 200], [None, 200, 205])
    """

    n: int
    width: int
    base: int
    data: bytes
    nulls: bool = False

    def __len__(self) -> int:
        return self.n

    def stored(self) -> Sequence[int]:
        """Return the unsigned integers as they are stored; of a column of width 0 as many zeros."""
        return struct.unpack(f"<{self.n}{FORMATS[self.width]}", self.data) if self.width else (0,) * self.n

    def _all(self) -> Sequence[Any]:
        base = self.base
        if self.nulls:
            return [base + k - 1 if k else None for k in self.stored()]
        return [base + k for k in self.stored()] if base or not self.width else self.stored()


@dataclass(frozen=True, slots=True)
class Flags(_Unpacked):
    """One byte each: 0 absent, 1 false, 2 true."""

    data: bytes

    def __len__(self) -> int:
        return len(self.data)

    def _all(self) -> Sequence[Any]:
        return [FLAGS[k] for k in self.data]


@dataclass(frozen=True, slots=True)
class Texts(_Unpacked):
    """ASCII texts end to end, with their lengths."""

    lengths: Packed
    data: bytes

    def __len__(self) -> int:
        return len(self.lengths)

    def _all(self) -> Sequence[Any]:
        text = self.data.decode("ascii")
        return [text[start:end] for start, end in pairwise(accumulate(self.lengths, initial=0))]
