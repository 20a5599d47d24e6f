"""What a service's traffic is like at this time of day: arrivals per 10-s block in 288 bins of 5 minutes of UTC.

- Each bin is a slowly moving mean over days: the first days weigh alike, later ones 1/7, so that a week is
  remembered. It takes only whole days' worth of bins: nothing is said before so many days are known.
- A night without arrivals counts as zeros. A silence of a day or more counts as nothing: the service was off.
- A bin says no more than it has seen: it is shrunk towards the day's mean as if ``_PRIOR_ARRIVALS`` arrivals had
  come at that mean.
- Between the centres of bins the profile is interpolated. ``highest`` is the greatest value within 5 minutes: a
  working day that begins like a step does not begin to the second, nor at a bin's edge.

The time is UTC: where clocks change, the profile is an hour off for a few days after the change and follows with
its memory of a week. It is a profile of days, not of weeks: on a Sunday it expects a Monday's shape at Sunday's level.
On a day three times as busy as usual, or a third, the bins learned today and those still to be learned differ by up
to a third: what is expected may be that much too high, never too low (see expected_rate.py).

Values are whole thousandths of an arrival per block: sums are exact and a snapshot is small.
"""

from math import ceil, floor
from typing import Any

from streams.processors.bursts import BLOCK_S

DAY_S = 86_400
BIN_S = 300
_BINS = DAY_S // BIN_S
_BLOCKS = BIN_S // BLOCK_S
_UNIT = 1000
_MEMORY_DAYS = 7
_PRIOR_ARRIVALS = 5
_OPEN_S = 600  # blocks of a burst that proves to be a level come up to 5 minutes late
_GAP_S = 3600  # blocks missing for longer than any burst hides them: the service slept


class DailyProfile:
    """The profile of one service; ``days_min`` days must be known before it says anything."""

    def __init__(self, days_min: int) -> None:
        self._days_min = days_min
        self._bins = [0] * _BINS
        self._sum = 0
        self._learned = 0  # bins learned so far, over all days
        self._forget()

    def _forget(self) -> None:
        self._open: dict[int, list[int]] = {}  # bins since the epoch not yet learned: [arrivals, blocks]
        self._end = 0  # end of the newest block seen (s)

    @property
    def ready(self) -> bool:
        """True once enough days are known."""
        return self._days_min > 0 and self._learned >= self._days_min * _BINS

    def add(self, second: int, arrivals: int) -> None:
        """Take the block that begins with ``second``. Blocks of bursts are left out, or come late."""
        if self._end and second - self._end >= _GAP_S:
            self._sleep(self._end, second)
        arrived = self._open.setdefault(second // BIN_S, [0, 0])
        arrived[0] += arrivals
        arrived[1] += 1
        if second + BLOCK_S > self._end:
            self._end = second + BLOCK_S
            if len(self._open) > 1:
                self._close((self._end - _OPEN_S) // BIN_S)

    def _sleep(self, start: int, until: int) -> None:
        self._close(until // BIN_S)
        if until - start < DAY_S:
            for number in range(start // BIN_S + 1, until // BIN_S):
                self._learn(number, 0)

    def _close(self, before: int) -> None:
        for number in sorted(number for number in self._open if number < before):
            arrivals, blocks = self._open.pop(number)
            if 2 * blocks >= _BLOCKS:
                self._learn(number, round(arrivals * _UNIT / blocks))

    def _learn(self, number: int, value: int) -> None:
        place, days = number % _BINS, self._learned // _BINS
        change = round((value - self._bins[place]) / min(days + 1, _MEMORY_DAYS))
        self._bins[place] += change
        self._sum += change
        self._learned += 1

    def at(self, second: float) -> float:
        """Return the arrivals per block that are usual at ``second`` (0 where nothing is known)."""
        place = second % DAY_S / BIN_S - 0.5
        low = int(place // 1)
        share = place - low
        return (1 - share) * self._bin(low) + share * self._bin(low + 1)

    def highest(self, second: float) -> float:
        """Return the greatest of what is usual from a bin's length before ``second`` to a bin's length after."""
        # Linear between centres: the greatest value is at an end of the span or at a centre within it.
        place = second % DAY_S / BIN_S - 0.5
        centres = (self._bin(number) for number in range(ceil(place - 1), floor(place + 1) + 1))
        return max(self.at(second - BIN_S), self.at(second + BIN_S), *centres)

    def _bin(self, place: int) -> float:
        value, mean = self._bins[place % _BINS], self._sum / _BINS
        days = min(self._learned // _BINS, _MEMORY_DAYS)
        seen = days * _BLOCKS * (value + mean) / 2
        weight = seen / (seen + _PRIOR_ARRIVALS * _UNIT)
        return (mean + weight * (value - mean)) / _UNIT

    def start_over(self) -> None:
        """Forget where event time stood, keep what is known of the day."""
        self._forget()

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        bins = self._bins if self._learned else []
        return {"bins": list(bins), "learned": self._learned, "open": dict(self._open), "end": self._end}

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        bins = [int(value) for value in facts["bins"]] or [0] * _BINS
        if len(bins) != _BINS:
            raise ValueError(f"a day has {_BINS} bins")
        self._bins, self._sum = bins, sum(bins)
        self._learned, self._end = int(facts["learned"]), int(facts["end"])
        self._open = {int(number): [int(a), int(b)] for number, (a, b) in facts["open"].items()}
