"""A BurstGPT-8 CSV written by polars."""

from pathlib import Path

import numpy as np
import polars as pl

from collector.schema.trace_rows import BURSTGPT_8
from workload.trace.columns import UNKNOWN, Int64s, Labels, Trace
from workload.trace.write import response_cells

_CHUNK = 1 << 20


def write_fast(trace: Trace, path: Path) -> None:
    """Write ``trace`` to ``path``. Raises ``OSError``."""
    with path.open("wb") as file:
        for start in range(0, max(len(trace), 1), _CHUNK):
            part = trace.take(slice(start, start + _CHUNK))
            _frame(part).write_csv(file, include_header=not start)


def _frame(trace: Trace) -> pl.DataFrame:
    request, response = _known(trace.request_tokens), _known(response_cells(trace))
    cells = (
        _seconds(trace.submitted_us),
        _texts(trace.session),
        _seconds(trace.elapsed_us),
        _texts(trace.model),
        request,
        response,
        request.cast(pl.Int64) + response,
        _texts(trace.log_type),
    )
    return pl.DataFrame(dict(zip(BURSTGPT_8, cells, strict=True)))


def _known(column: "np.ndarray[tuple[int], np.dtype[np.int32 | np.int64]]") -> pl.Series:
    series = pl.Series(np.ascontiguousarray(column))
    return series.set(series == UNKNOWN, None)


def _seconds(microseconds: Int64s) -> pl.Series:
    """Return decimal seconds without trailing zeros, as whole numbers where all of them are."""
    us = _known(microseconds)
    if not np.any(microseconds[microseconds != UNKNOWN] % 1_000_000):
        return us // 1_000_000
    frame = pl.DataFrame({"us": us})
    fraction = (pl.col("us") % 1_000_000).cast(pl.String).str.zfill(6)
    text = pl.concat_str((pl.col("us") // 1_000_000).cast(pl.String), pl.lit("."), fraction)
    return frame.select(text.str.strip_chars_end("0").str.strip_chars_end("."))["us"]


def _texts(labels: Labels) -> pl.Series:
    names = pl.Series("names", labels.names, dtype=pl.String)
    return (
        names.gather(_known(labels.codes)) if labels.names else pl.Series([None] * len(labels.codes), dtype=pl.String)
    )
