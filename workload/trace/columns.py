"""Requests as columns. Pure: numpy and nothing else; millions of rows cost arrays, not objects.

A value that is not known is ``UNKNOWN`` (-1) in number columns and code -1 in text columns, never 0 or "".
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Int8s = NDArray[np.int8]

UNKNOWN = -1


class OutcomeCode(IntEnum):
    """How a request ended, as the number in ``Trace.outcome``. A plain BurstGPT file tells OK and FAILED only."""

    OK = 0
    FAILED = 1
    CANCELLED = 2


@dataclass(frozen=True, slots=True)
class Labels:
    """A text column: for each row the index of its value in ``names``, or -1 where there is none.

    ``names`` are distinct; names that no row uses may be among them.
    """

    codes: Int32s
    names: tuple[str, ...]

    @classmethod
    def absent(cls, n: int) -> Self:
        """Return a column of ``n`` rows without values (read-only: it takes no memory)."""
        return cls(np.broadcast_to(np.int32(UNKNOWN), n), ())

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Self:
        """Return the column of these values; names in order of first use."""
        places: dict[str, int] = {}
        codes = [UNKNOWN if v is None else places.setdefault(v, len(places)) for v in values]
        return cls(np.asarray(codes, np.int32), tuple(places))

    def values(self) -> list[str | None]:
        """Return the column as one text (or None) a row."""
        return [None if code < 0 else self.names[code] for code in self.codes.tolist()]

    def is_in(self, *names: str) -> NDArray[np.bool_]:
        """Return, for each row, whether its value is one of ``names``."""
        wanted = [i for i, name in enumerate(self.names) if name in names]
        if len(wanted) == 1:
            single: NDArray[np.bool_] = self.codes == wanted[0]
            return single
        return np.isin(self.codes, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """``n`` requests, by time of submission (``sorted_by_time`` makes it so). Every array has shape (n,).

    Attributes:
        submitted_us: microseconds since the trace's origin; since the epoch if ``absolute``.
        elapsed_us: submission to complete response, UNKNOWN if not told.
        first_token_us: submission to first token, UNKNOWN if not told.
        request_tokens, response_tokens: UNKNOWN if not told; a failed request has 0 response tokens.
        outcome: an ``OutcomeCode`` a row.
        model, log_type, session, service, reason: text columns; reason is why a request failed.
        resolution_us: the clock's step: 1,000,000 where all times are whole seconds, else 1.
        absolute: times are calendar times (Azure, sidecars), not seconds since an unknown day.
    """

    submitted_us: Int64s
    elapsed_us: Int64s
    first_token_us: Int64s
    request_tokens: Int32s
    response_tokens: Int32s
    outcome: Int8s
    model: Labels
    log_type: Labels
    session: Labels
    service: Labels
    reason: Labels
    resolution_us: int = 1
    absolute: bool = False

    @classmethod
    def build(cls, submitted_us: Int64s, **columns: Any) -> Self:  # noqa: ANN401 - the fields' own types
        """Return a trace from the columns that are known; the others hold UNKNOWN (read-only, without memory).

        Without ``outcome``, zero response tokens mean a failure, as in BurstGPT. Without ``resolution_us``, it is
        found from the times.
        """
        n = len(submitted_us)
        response = columns.get("response_tokens")
        known: dict[str, Any] = {
            "elapsed_us": np.broadcast_to(np.int64(UNKNOWN), n),
            "first_token_us": np.broadcast_to(np.int64(UNKNOWN), n),
            "request_tokens": np.broadcast_to(np.int32(UNKNOWN), n),
            "response_tokens": np.broadcast_to(np.int32(UNKNOWN), n),
            "outcome": np.zeros(n, np.int8) if response is None else (response == 0).astype(np.int8),
            **{name: Labels.absent(n) for name in LABELS},
            "resolution_us": resolution_of(submitted_us),
        }
        return cls(submitted_us=submitted_us, **{**known, **columns})

    def __len__(self) -> int:
        return len(self.submitted_us)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which requests failed (cancelled ones did not)."""
        failed: NDArray[np.bool_] = self.outcome == OutcomeCode.FAILED
        return failed

    @property
    def span_s(self) -> float:
        """Seconds from the first submission to the last; 0 for fewer than two requests."""
        return float(self.submitted_us[-1] - self.submitted_us[0]) / 1e6 if len(self) else 0.0

    def take(self, rows: NDArray[Any] | slice) -> Self:
        """Return the rows named by a mask, by indices or by a slice, in that order."""
        picked: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Labels):
                picked[field.name] = Labels(value.codes[rows], value.names)
            elif isinstance(value, np.ndarray):
                picked[field.name] = value[rows]
        return replace(self, **picked)

    def sorted_by_time(self) -> Self:
        """Return the trace in order of submission; rows of one time keep their order."""
        if bool(np.all(self.submitted_us[1:] >= self.submitted_us[:-1])):
            return self
        return self.take(np.argsort(self.submitted_us, kind="stable"))


def steps_back(times_us: Int64s) -> tuple[int, int]:
    """Return how many rows of a file lie before the row above them, and by how many microseconds at most.

    >>> steps_back(np.array([5, 9, 2, 2, 1])), steps_back(np.array([5, 5]))
    ((2, 7), (0, 0))
    """
    back = np.flatnonzero(times_us[1:] < times_us[:-1])
    return len(back), int((times_us[back] - times_us[back + 1]).max(initial=0))


LABELS = ("model", "log_type", "session", "service", "reason")


def resolution_of(submitted_us: Int64s) -> int:
    """Return the clock's step: 1,000,000 if all times are whole seconds (and there are any), else 1."""
    return 1_000_000 if len(submitted_us) and not np.any(submitted_us % 1_000_000) else 1


def concatenate(traces: Sequence[Trace]) -> Trace:
    """Return the rows of all ``traces`` one after the other (not sorted). Raises ``ValueError`` for none of them."""
    if not traces:
        raise ValueError("at least one trace is needed")
    joined: dict[str, Any] = {}
    for field in fields(Trace):
        parts = [getattr(trace, field.name) for trace in traces]
        if isinstance(parts[0], Labels):
            joined[field.name] = _join(parts)
        elif isinstance(parts[0], np.ndarray):
            joined[field.name] = np.concatenate(parts)
    return replace(traces[0], **joined, resolution_us=min(trace.resolution_us for trace in traces))


def _join(parts: Sequence[Labels]) -> Labels:
    places: dict[str, int] = {}
    codes = []
    for part in parts:
        moved = np.asarray([places.setdefault(name, len(places)) for name in part.names] + [UNKNOWN], np.int32)
        codes.append(moved[part.codes])  # code -1 picks the last entry: UNKNOWN
    return Labels(np.concatenate(codes), tuple(places))
