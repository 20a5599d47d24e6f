"""Counts of requests in bins, kept as the bins that have any: 110 days in tenths of a second are 95 million bins."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streams.stats.allan import allan_factor
from streams.stats.dispersion import index_of_dispersion
from workload.trace.columns import Int64s

SCALES_MS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
BINS_MIN = 30
MOMENTS = ("bins", "mean", "idc", "allan")


@dataclass(frozen=True, slots=True)
class SparseCounts:
    """Bins that hold requests, ascending, and how many each holds; bin 0 begins at the first request."""

    bins: Int64s
    counts: Int64s

    @classmethod
    def of(cls, since_first: NDArray[np.int64], width: int) -> Self:
        """Return the counts of sorted times, in bins of ``width`` of their unit."""
        places = since_first // width if width > 1 else since_first
        starts = _starts(places)
        return cls(places[starts].astype(np.int64), np.diff(starts, append=len(places)))

    def coarser(self, factor: int) -> Self:
        """Return the counts in bins ``factor`` times as long."""
        places = self.bins // factor
        starts = _starts(places)
        return type(self)(places[starts], np.add.reduceat(self.counts, starts) if len(starts) else self.counts)

    def dispersion(self, bins: int) -> tuple[float | None, float | None]:
        """Return the index of dispersion and the Allan factor of the first ``bins`` bins, the empty ones included."""
        upto = int(np.searchsorted(self.bins, bins))
        places, counts = self.bins[:upto], self.counts[:upto]
        if not upto or bins < 2:
            return None, None
        total, squares = int(counts.sum()), int(counts @ counts)
        beside = np.flatnonzero(places[1:] == places[:-1] + 1)
        steps = 2 * squares - 2 * int(counts[beside] @ counts[beside + 1])
        # Every square is in two steps, but those of the first and of the last bin.
        steps -= int(counts[0]) ** 2 if places[0] == 0 else 0
        steps -= int(counts[-1]) ** 2 if places[-1] == bins - 1 else 0
        return index_of_dispersion(bins, total, squares), allan_factor(bins, total, steps)

    def events(self, bins: int) -> int:
        """Return the requests in the first ``bins`` bins."""
        return int(self.counts[: int(np.searchsorted(self.bins, bins))].sum())


def _starts(places: NDArray[np.int64]) -> Int64s:
    if not len(places):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(places[1:] != places[:-1]) + 1]).astype(np.int64)


def scales_of(times_us: Int64s, resolution_us: int) -> dict[str, list[float | int | None]]:
    """Return ``scale_s``, ``bins``, ``mean``, ``idc`` and ``allan`` at 0.1 to 1,000 s, of sorted times.

    Only whole bins from the first request on count. Scales finer than the clock's step, and those with fewer than
    ``BINS_MIN`` bins, are left out.
    """
    found: dict[str, list[float | int | None]] = {"scale_s": [], **{name: [] for name in MOMENTS}}
    if len(times_us) < 2:
        return found
    span_us = int(times_us[-1] - times_us[0]) + (resolution_us if resolution_us > 1 else 0)
    counts: SparseCounts | None = None
    nested: dict[int, SparseCounts] = {}  # by width in ms: each scale is made of the coarsest that divides it
    for scale_ms in SCALES_MS:
        bins = span_us // (scale_ms * 1000)
        if scale_ms * 1000 < resolution_us or bins < BINS_MIN:
            continue
        finer = max((width for width in nested if scale_ms % width == 0), default=None)
        if finer is None:
            counts = SparseCounts.of(times_us - times_us[0], scale_ms * 1000)
        else:
            counts = nested[finer].coarser(scale_ms // finer)
        nested[scale_ms] = counts
        idc, allan = counts.dispersion(bins)
        row = (scale_ms / 1000, bins, counts.events(bins) / bins, idc, allan)
        for column, value in zip(found.values(), row, strict=True):
            column.append(value)
    return found
