"""Everything counted in one window, for all columns and for one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.processors.count_panes import CountSums
from streams.processors.failure_reasons import ByColumn
from streams.processors.percentiles import Percentiles
from streams.stats.gap_panes import GapSums
from streams.stats.sparse_panes import CellSums


class WindowSums(NamedTuple):
    """Everything counted in one window."""

    counts: CountSums
    gaps: GapSums
    reasons: ByColumn
    percentiles: Mapping[int, Percentiles]  # by column; nothing for a column without values


class ColumnSums(NamedTuple):
    """One column of ``WindowSums``, as plain numbers; ``tenths`` for the total only.

    ``seconds`` is the histogram of whole-second gaps of all columns, None where it is not kept.
    """

    column: int
    panes: int
    counts: Sequence[int]
    tenths: Sequence[int] | None
    exact: Sequence[int]
    logs: Sequence[float]
    last_gap: int
    seconds: CellSums | None
    reasons: Mapping[str, int]
    percentiles: Percentiles


def column_sums(sums: WindowSums, used: int) -> list[ColumnSums]:
    """Return the first ``used`` columns, one by one."""
    counts, gaps = sums.counts, sums.gaps
    by_column = counts.counts[:, :used].T.tolist()
    exact, logs = gaps.exact[:, :used].T.tolist(), gaps.logs[:, :used].T.tolist()
    last_gaps = gaps.last_gap[:used].tolist()
    return [
        ColumnSums(
            column=column,
            panes=counts.panes,
            counts=by_column[column],
            tenths=None if column else counts.tenths.tolist(),
            exact=exact[column],
            logs=logs[column],
            last_gap=last_gaps[column],
            seconds=gaps.seconds,
            reasons=sums.reasons.get(column, {}),
            percentiles=sums.percentiles.get(column, {}),
        )
        for column in range(used)
    ]
