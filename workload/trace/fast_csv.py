"""BurstGPT and Azure CSV read as typed columns by polars; None where only the row readers are exact."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.schema.columns import COUNT_MAX, TIME_US_MAX, is_token
from collector.schema.trace_rows import AZURE, LOG_TYPES
from workload.trace.columns import UNKNOWN, Int32s, Int64s, Labels, Trace

_COUNT_MAX = min(COUNT_MAX, 2**31 - 1)
_EXACT_S = 4e8  # up to here (12 years) a float of seconds is exact enough to tell a seventh digit, which is cut
_OFF_US = 0.05  # a float of six decimals is this near to a whole microsecond, up to ``_EXACT_S``
_CHUNK = 1 << 15
_BURSTGPT = {
    "Timestamp": pl.Float64,
    "Session ID": pl.Categorical,
    "Elapsed time": pl.Float64,
    "Model": pl.Categorical,
    "Request tokens": pl.Int32,
    "Response tokens": pl.Int32,
    "Log Type": pl.Categorical,
}
_AZURE = {"TIMESTAMP": pl.String, "ContextTokens": pl.Int32, "GeneratedTokens": pl.Int32}


def read_fast(path: Path, names: list[str]) -> Trace | None:
    """Return the rows of the file in its order; ``names`` are its header's. None: read it row by row.

    Raises ``OSError``.
    """
    absolute = set(AZURE) <= set(names)
    wanted = _AZURE if absolute else {name: kind for name, kind in _BURSTGPT.items() if name in names}
    if len(set(names)) < len(names):
        return None
    try:
        frame = pl.read_csv(path, columns=list(wanted), schema_overrides=wanted)
        if not frame.height or (frame[frame.columns[-1]].null_count() and not _even(path, len(names))):
            return None
        return _azure(frame) if absolute else _burstgpt(frame)
    except (pl.exceptions.PolarsError, _NotExactError):
        return None


class _NotExactError(Exception):
    """A value that the row readers must judge."""


def _burstgpt(frame: pl.DataFrame) -> Trace:
    unknown = np.broadcast_to(np.int64(UNKNOWN), frame.height)
    response = _counts(frame, "Response tokens")
    log_type = _labels(frame, "Log Type")
    if not LOG_TYPES.issuperset(log_type.names):
        raise _NotExactError
    return Trace.build(
        _microseconds(frame, "Timestamp", nulls=False),
        elapsed_us=_microseconds(frame, "Elapsed time", nulls=True) if "Elapsed time" in frame.columns else unknown,
        request_tokens=_counts(frame, "Request tokens"),
        response_tokens=response,
        outcome=(response == 0).astype(np.int8),
        model=_labels(frame, "Model"),
        log_type=log_type,
        session=_labels(frame, "Session ID") if "Session ID" in frame.columns else Labels.absent(frame.height),
    )


def _azure(frame: pl.DataFrame) -> Trace:
    stamps = frame["TIMESTAMP"]
    if stamps.null_count():
        raise _NotExactError
    nanoseconds = stamps.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=True).cast(pl.Int64)
    submitted_us = nanoseconds.to_numpy() // 1000
    if int(submitted_us.min()) < 0:
        raise _NotExactError
    response = _counts(frame, "GeneratedTokens")
    return Trace.build(
        submitted_us, request_tokens=_counts(frame, "ContextTokens"), response_tokens=response, absolute=True
    )


def _microseconds(frame: pl.DataFrame, name: str, *, nulls: bool) -> Int64s:
    column = frame[name]
    missing = column.null_count()
    if missing and not nulls:
        raise _NotExactError
    seconds = column.fill_null(0.0).to_numpy()
    if not (seconds.min() >= 0 and seconds.max() <= min(_EXACT_S, TIME_US_MAX / 1e6)):  # NaN is neither
        raise _NotExactError
    result = np.empty(len(seconds), np.int64)
    for start in range(0, len(seconds), _CHUNK):  # what is worked with stays in the processor's cache
        microseconds = seconds[start : start + _CHUNK] * 1e6
        whole = np.rint(microseconds)
        result[start : start + _CHUNK] = whole
        microseconds -= whole
        if max(float(microseconds.max()), -float(microseconds.min())) > _OFF_US:
            raise _NotExactError
    if missing:
        result[column.is_null().to_numpy()] = UNKNOWN
    return result


def _counts(frame: pl.DataFrame, name: str) -> Int32s:
    column = frame[name]
    lowest, greatest = column.min(), column.max()
    if lowest is not None and not (lowest >= 0 and greatest <= _COUNT_MAX):  # type: ignore[operator]
        raise _NotExactError
    counts: Int32s = column.fill_null(UNKNOWN).to_numpy().astype(np.int32, copy=False)
    return counts


def _labels(frame: pl.DataFrame, name: str) -> Labels:
    """Return a text column; names in order of first use."""
    column = frame[name]
    used = column.unique(maintain_order=True).drop_nulls()
    names = tuple(used.cast(pl.String).to_list())
    if not all(map(is_token if name != "Log Type" else bool, names)):
        raise _NotExactError
    physical = used.to_physical().to_numpy()
    places = np.full(int(physical.max(initial=0)) + 2, UNKNOWN, np.int32)
    places[physical] = np.arange(len(names), dtype=np.int32)
    codes = column.to_physical().fill_null(len(places) - 1).to_numpy()
    return Labels(places[codes], names)


def _even(path: Path, columns: int) -> bool:
    """True if every line has as many commas as the header: polars fills short lines with nulls, silently."""
    data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")
    commas = lines = 0
    for start in range(0, len(data), 1 << 24):
        part = data[start : start + (1 << 24)]
        commas += int(np.count_nonzero(part == ord(",")))
        lines += int(np.count_nonzero(part == ord("\n")))
    lines += int(data[-1] != ord("\n"))
    return commas == lines * (columns - 1)
