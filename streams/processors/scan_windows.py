"""The last minute's arrivals in windows of 1 to 60 s that all end now, and how surprising each is. Pure."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from streams.processors.bursts import BLOCK_S
from streams.stats.anscombe import burst_count, burst_score

SPANS_S = (1, 2, 5, 10, 20, 60)
LONGEST_S = SPANS_S[-1]
_SLOTS = 64  # a power of two above the longest window
_LAST = _SLOTS - 1
_EXPECTED_MIN = 1e-3  # below one arrival in 10,000 s the square roots say nothing more


@dataclass(frozen=True, slots=True)
class Surprise:
    """A window that ends now: its length, its score, and the arrivals in it."""

    span_s: int
    z: float
    arrivals: int


class ScanWindows:
    """Cumulative arrivals of the last seconds; a window is a difference of two.

    ``threshold`` is the score that alarms, ``tolerance`` the baseline's tolerated relative error; ``newest`` is the
    second the windows end with.
    """

    def __init__(self, threshold: float, tolerance: float) -> None:
        self._threshold = threshold
        self._tolerance = tolerance
        self.clear(0)

    def clear(self, second: int) -> None:
        """Forget all arrivals, and what was expected; windows may reach back to ``second``."""
        self._totals = [0] * _SLOTS  # arrivals up to and with a second, at second % 64
        self._total = 0
        self.newest = second - 1
        self._start = second
        self._reach = 0  # how far back from the newest second windows may go; set with the expectation
        self._expected = 0.0
        self._dispersion = 1.0
        self._limits: tuple[tuple[int, float], ...] = ()

    def restart(self, second: int) -> None:
        """Let no window reach back before ``second``; holds from the next ``expect`` on."""
        self._start = second

    def push(self, second: int, count: int) -> None:
        """Take the arrivals of the next second."""
        self.newest = second
        self._total += count
        self._totals[second & _LAST] = self._total

    def skip(self, seconds: int) -> None:
        """Take ``seconds`` silent seconds after a silent minute: all totals are alike and stay so."""
        self.newest += seconds

    def expect(self, per_block: float, dispersion: float) -> None:
        """Say what is expected from the next second on."""
        self._expected, self._dispersion = max(per_block, _EXPECTED_MIN), dispersion
        self._reach = min(self.newest + 2 - self._start, LONGEST_S)
        self._limit_all()

    def _limit_all(self) -> None:
        self._limits = tuple((span, self._limit(span)) for span in SPANS_S if span <= self._reach)

    def _limit(self, span: int) -> float:
        expected = self._expected * span / BLOCK_S
        return burst_count(self._threshold, expected, self._dispersion, self._tolerance)

    @property
    def alarming(self) -> bool:
        """True if any window's score reaches the threshold."""
        total, totals, newest = self._total, self._totals, self.newest
        for span, limit in self._limits:  # noqa: SIM110 - twice as fast as any() in every second
            if total - totals[newest - span & _LAST] >= limit:
                return True
        return False

    def arrivals(self, span: int) -> int:
        """Return the arrivals of the last ``span`` seconds (60 at most)."""
        return self._total - self._totals[self.newest - span & _LAST]

    def score(self, span: int) -> float:
        """Return the score of the last ``span`` seconds (60 at most)."""
        expected = self._expected * span / BLOCK_S
        return burst_score(self.arrivals(span), expected, self._dispersion, self._tolerance)

    def greatest(self) -> float:
        """Return the greatest score of the windows in use."""
        return max(self.score(span) for span, _ in self._limits or ((1, 0.0),))

    def rise(self) -> Surprise:
        """Return the most surprising of all spans that end now: it begins with the second the counts rose."""
        reach = max(min(self.newest + 1 - self._start, LONGEST_S), 1)
        span = max(range(1, reach + 1), key=self.score)
        return Surprise(span, self.score(span), self.arrivals(span))

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        totals = [self._totals[(self.newest - back) & _LAST] for back in range(_LAST, -1, -1)]
        return {
            "recent": [after - before for before, after in pairwise(totals)],
            "newest": self.newest,
            "start": self._start,
            "reach": self._reach,
            "expected": self._expected,
            "dispersion": self._dispersion,
        }

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        recent, newest = facts["recent"], facts["newest"]
        if len(recent) != _LAST:
            raise ValueError(f"recent arrivals must be {_LAST}")
        self.clear(facts["start"])
        for back, count in zip(range(_LAST - 1, -1, -1), recent, strict=True):
            self.push(newest - back, int(count))
        self._reach, self._expected, self._dispersion = facts["reach"], facts["expected"], facts["dispersion"]
        self._limit_all()
