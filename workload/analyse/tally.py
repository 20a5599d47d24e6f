"""A column of numbers as its distinct values and how often each occurs: what a million rows say, in a few thousand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import LogNormal, Numbers
from workload.analyse.log_gamma import normal_cdf
from workload.analyse.plain import Columns
from workload.analyse.quantiles import LONG
from workload.analyse.zipf import zipf

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TABLE_MAX = 1 << 22  # whole numbers up to here are counted in a table, others are sorted
_BINS = 60
_DECADES = 1e6  # a histogram reaches this far below the greatest value


@dataclass(frozen=True, slots=True)
class Tally:
    """Distinct values, ascending, and their counts (above zero)."""

    values: Floats
    counts: Ints

    @classmethod
    def of(cls, values: NDArray[Any], per_unit: int = 1) -> Self:
        """Return the tally of ``values``, each over ``per_unit``. Whole numbers are fastest."""
        if values.dtype.kind == "i" and len(values) and values.min() >= 0 and values.max() < _TABLE_MAX:
            table = np.bincount(values)
            seen = np.flatnonzero(table)
            return cls(seen / per_unit, table[seen])
        found, counts = np.unique(values, return_counts=True)
        return cls(found / per_unit, counts)

    @property
    def n(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """The mean; None without values."""
        return float(self.values @ self.counts) / self.n if len(self.values) else None

    def positive(self) -> Self:
        """Return the values above zero."""
        start = int(np.searchsorted(self.values, 0, "right"))
        return type(self)(self.values[start:], self.counts[start:])

    def percentiles(self, percents: Iterable[float]) -> dict[str, float]:
        """Return percentiles by name, interpolated as numpy does by default; nothing without values."""
        if not len(self.values):
            return {}
        upto = np.cumsum(self.counts)
        found = {}
        for percent in percents:
            place = (int(upto[-1]) - 1) * percent / 100
            below = int(place)
            low, high = self.values[np.searchsorted(upto, [below, min(below + 1, int(upto[-1]) - 1)], "right")]
            found[f"p{percent:g}"] = float(low + (place - below) * (high - low))
        return found

    def numbers(self, *, law: bool = False, whole: bool = False) -> Numbers:
        """Return all facts; ``law``: with the Zipf law (whole numbers), ``whole``: with whole histogram edges."""
        n = self.n
        mean = float(self.values @ self.counts) / n if n else 0.0
        sd = float(np.sqrt((self.values - mean) ** 2 @ self.counts / (n - 1))) if n > 1 else None
        positive = self.positive()
        return Numbers(
            n=n,
            zeros=int(self.counts[self.values == 0].sum()),
            mean=mean if n else None,
            sd=sd,
            cv=sd / mean if sd is not None and mean > 0 else None,
            min=float(self.values[0]) if n else None,
            max=float(self.values[-1]) if n else None,
            quantiles=self.percentiles(LONG),
            histogram=self._histogram(positive, whole=whole),
            zipf=zipf(positive.values.astype(np.int64), positive.counts) if law else None,
            lognormal=positive.lognormal(),
        )

    def _histogram(self, positive: "Tally", *, whole: bool) -> Columns:
        if not len(self.values):
            return {"edges": [], "counts": []}
        greatest = float(self.values[-1])
        if not len(positive.values):  # zeros only (or less)
            return {"edges": [float(self.values[0]), 1.0], "counts": [self.n]}
        least = max(float(positive.values[0]), greatest / _DECADES)
        edges = np.geomspace(least, greatest, _BINS) if greatest > least else np.array([least])
        edges = np.unique(np.ceil(edges)) if whole else edges
        edges = np.concatenate(
            [[min(0.0, float(self.values[0]))], edges, [greatest + 1 if whole else greatest * 1.0001]]
        )
        upto = np.concatenate([[0], np.cumsum(self.counts)])
        counts = np.diff(upto[np.searchsorted(self.values, edges)])
        return {"edges": edges.tolist(), "counts": counts.tolist()}

    def lognormal(self) -> LogNormal | None:
        """Return the log-normal law of values, all above zero; None for fewer than two different ones."""
        if len(self.values) < 2:
            return None
        n, logs = self.n, np.log(self.values)
        mu = float(logs @ self.counts) / n
        sigma = float(np.sqrt((logs - mu) ** 2 @ self.counts / n))
        upto = np.cumsum(self.counts)
        model = normal_cdf((logs - mu) / sigma)
        off = np.maximum(upto / n - model, model - (upto - self.counts) / n)
        value = -n * (np.log(sigma) + 0.5 * np.log(2 * np.pi) + 0.5) - n * mu
        return LogNormal(mu=mu, sigma=sigma, ks=float(off.max()), log_likelihood=float(value))


def merged(parts: Sequence[Tally]) -> Tally:
    """Return the tally of all parts' values together; there is one at least."""
    values, place = np.unique(np.concatenate([part.values for part in parts]), return_inverse=True)
    counts = np.bincount(place, np.concatenate([part.counts for part in parts]), len(values))
    return Tally(values, counts.astype(np.int64))


def two_sample_ks(a: Tally, b: Tally) -> float | None:
    """Return the greatest distance of two empirical distribution functions; None if one is empty."""
    if not len(a.values) or not len(b.values):
        return None
    at = np.union1d(a.values, b.values)
    shares = [np.concatenate([[0], np.cumsum(t.counts)])[np.searchsorted(t.values, at, "right")] / t.n for t in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())
