"""Counts of requests in bins, kept as the bins that have any: 110 days in tenths of a second are 95 million bins."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streams.stats.allan import allan_factor
from streams.stats.dispersion import index_of_dispersion
from workload.analyse.arrivals import Arrivals
from workload.analyse.sums import dot

SCALES_MS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
BINS_MIN = 30
_CHUNK = 1 << 15
MOMENTS = ("bins", "mean", "idc", "allan")


@dataclass(frozen=True, slots=True)
class SparseCounts:
    """Bins that hold requests, ascending, and how many each holds; bin 0 begins at the first request."""

    bins: NDArray[Any]
    counts: NDArray[Any]

    @classmethod
    def of(cls, arrivals: Arrivals, width: int) -> Self:
        """Return the counts in bins of ``width`` units of the arrivals' clock."""
        finest = cls(arrivals.at, arrivals.counts)
        return finest.coarser(width) if width > 1 else finest

    def coarser(self, factor: int) -> Self:
        """Return the counts in bins ``factor`` times as long."""
        places = self.bins // factor
        if not len(places):
            return self
        starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
        return type(self)(places[starts], np.add.reduceat(self.counts, starts))

    def dispersion(self, bins: int) -> tuple[float | None, float | None]:
        """Return the index of dispersion and the Allan factor of the first ``bins`` bins, the empty ones included."""
        upto = int(np.searchsorted(self.bins, bins))
        places, counts = self.bins[:upto], self.counts[:upto]
        if not upto or bins < 2:
            return None, None
        total, squares, products = _sums(places, counts)
        steps = 2 * squares - 2 * products
        # Every square is in two steps, but those of the first and of the last bin.
        steps -= int(counts[0]) ** 2 if places[0] == 0 else 0
        steps -= int(counts[-1]) ** 2 if places[-1] == bins - 1 else 0
        return index_of_dispersion(bins, total, squares), allan_factor(bins, total, steps)

    def events(self, bins: int) -> int:
        """Return the requests in the first ``bins`` bins."""
        return int(self.counts[: int(np.searchsorted(self.bins, bins))].sum())


def _sums(places: NDArray[Any], counts: NDArray[Any]) -> tuple[int, int, int]:
    """Return the sum of counts, of their squares, and of the products of neighbouring bins' counts."""
    total = squares = products = 0
    for low in range(0, len(counts), _CHUNK):  # floats hold these sums exactly, and are quick
        real = counts[low : low + _CHUNK + 1].astype(np.float64)
        beside = np.diff(places[low : low + _CHUNK + 1]) == 1
        products += int(dot(real[1:] * beside, real[:-1]))
        real = real[:_CHUNK]
        total += int(real.sum())
        squares += int(dot(real, real))
    return total, squares, products


def scales_of(arrivals: Arrivals) -> dict[str, list[float | int | None]]:
    """Return ``scale_s``, ``bins``, ``mean``, ``idc`` and ``allan`` at 0.1 to 1,000 s.

    Only whole bins from the first request on count. Scales finer than the clock's step, and those with fewer than
    ``BINS_MIN`` bins, are left out.
    """
    found: dict[str, list[float | int | None]] = {"scale_s": [], **{name: [] for name in MOMENTS}}
    nested: dict[int, SparseCounts] = {}  # by width in ms: each scale is made of the coarsest that divides it
    for scale_ms in SCALES_MS:
        bins = whole_bins(arrivals, scale_ms * 1000)
        if scale_ms * 1000 < arrivals.unit_us or bins < BINS_MIN:
            continue
        finer = max((width for width in nested if scale_ms % width == 0), default=None)
        if finer is None:
            counts = SparseCounts.of(arrivals, scale_ms * 1000 // arrivals.unit_us)
        else:
            counts = nested[finer].coarser(scale_ms // finer)
        nested[scale_ms] = counts
        idc, allan = counts.dispersion(bins)
        row = (scale_ms / 1000, bins, counts.events(bins) / bins, idc, allan)
        for column, value in zip(found.values(), row, strict=True):
            column.append(value)
    return found


def whole_bins(arrivals: Arrivals, width_us: int) -> int:
    """Return how many bins fit between the first request and the last (the last second of whole ones is complete)."""
    span = arrivals.span + (1 if arrivals.whole and arrivals.n else 0)
    return span * arrivals.unit_us // width_us
