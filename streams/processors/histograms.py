"""How the tokens and latencies of all requests ever are distributed: counts up to powers of two, exact for ever.

These become Prometheus histograms, from which any window can be worked out later. They are kept per service: a
histogram is some 18 series, so four of them for each of up to 50 classes would be more than all else together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.processors.measures import MEASURES, Observed
from streams.processors.totals import SUM_MAX
from streams.stats.log_sketch import GREATEST, PER_OCTAVE, ZERO

_OCTAVES = (GREATEST - ZERO) // PER_OCTAVE + 2
_ONE = -ZERO // PER_OCTAVE  # the place of values in (1/2, 1]; place 0 is that of zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One measure's values: ``counts[i]`` of them at most ``bounds[i]``, ``count`` in all, and their ``sum``."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    sum: float


class Histograms:
    """Counts per measure and octave, and sums.

    Attributes:
        negative: completions whose times contradict each other (see measures.py).
    """

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros((len(MEASURES), _OCTAVES), np.int64)
        self._sums = [0] * len(MEASURES)
        self.negative = 0

    def add(self, observed: Observed) -> None:
        """Count what was observed, late or not."""
        octave = (observed.bucket - ZERO + PER_OCTAVE - 1) // PER_OCTAVE
        flat = np.bincount(observed.measure * _OCTAVES + octave, minlength=self._counts.size)
        self._counts += flat.reshape(self._counts.shape)
        self._sums = [min(sum(pair), SUM_MAX) for pair in zip(self._sums, observed.sums, strict=True)]
        self.negative += observed.negative

    def of(self, measure: str, octaves: range) -> Distribution:
        """Return the values of ``measure`` up to each 2^k for k in ``octaves``; times are in seconds."""
        place = MEASURES.index(measure)
        upto = np.cumsum(self._counts[place])
        total = self._sums[place]
        return Distribution(
            bounds=tuple(2.0**k for k in octaves),
            counts=tuple(int(upto[k + _ONE]) for k in octaves),
            count=int(upto[-1]),
            sum=total / 1e6 if measure.endswith("_s") else float(total),
        )

    def dump(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the state as plain values and arrays."""
        return {"sums": self._sums, "negative": self.negative}, {"octaves": self._counts}

    def load(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        if arrays["octaves"].shape != self._counts.shape or len(facts["sums"]) != len(self._sums):
            raise ValueError("histograms have the wrong shape")
        self._counts = arrays["octaves"].astype(np.int64)
        self._sums, self.negative = list(facts["sums"]), facts["negative"]
