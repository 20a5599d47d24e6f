"""Durations in bounded memory: log-bucket histograms. Pure."""

import math
from collections import Counter

BUCKET_RATIO = 1.01  # quantiles are within half a per cent
SMALLEST_S = 1e-6
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Durations:
    """A histogram of seconds with 1 % buckets: a million values cost as little as a thousand."""

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration; below a microsecond is a microsecond."""
        self.count += 1
        self.max_s = max(self.max_s, seconds)
        self._buckets[int(math.log(max(seconds, SMALLEST_S) / SMALLEST_S) / math.log(BUCKET_RATIO))] += 1

    def quantile(self, share: float) -> float | None:
        """Return the ``share`` quantile in seconds (nearest rank), None if nothing was counted."""
        rank = max(1, math.ceil(share * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(float(SMALLEST_S * BUCKET_RATIO ** (bucket + 0.5)), self.max_s)
        return None

    def summary(self) -> dict[str, float] | None:
        """Return p50, p90, p99 and the maximum, None if nothing was counted."""
        if not self.count:
            return None
        figures = {name: round(self.quantile(share) or 0.0, 6) for name, share in QUANTILES.items()}
        return {**figures, "max": round(self.max_s, 6)}
