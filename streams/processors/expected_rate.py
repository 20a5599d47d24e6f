"""How many arrivals are to be expected? A slowly learned level, its over-dispersion, and the time of day. Pure.

Per full 10-s block of the event-time grid:

- Level m and dispersion phi: level.py. Without a profile of the day, m is what is expected.
- Time of day: m is the mean of the last quarter of an hour, so what it should have been is S, the same mean of the
  profile p. Today's level relative to other days is a Gamma-Poisson estimate, (m + k)/(S + k), with a prior
  that takes today for a usual day give or take 45 % (k = 5 phi / 90 arrivals: 90 blocks are remembered). Since S
  runs ahead of m where the day begins a little later than usual, the greatest estimate of now, and 5, 10 and
  15 minutes ago counts. Then E = max(m, that times the greatest p within 5 minutes).
  The profile only ever raises E above m: it may keep a rise that comes every day from being called a burst; where
  it is wrong (a flat Sunday) it cannot make a burst of ordinary traffic, only hide a small one around the hour at
  which the day usually begins.
- The profile learns each block as it came, but not those that are masked as above; when a burst lasts beyond 300 s,
  its blocks were a level and are learned after all. So a batch job that floods the service for a minute every
  night stays a burst every night, while the working day's start is learned although it sounds as a burst at first.
"""

from dataclasses import dataclass
from typing import Any

from streams.processors.bursts import BLOCK_S
from streams.processors.daily_profile import BIN_S, DailyProfile
from streams.processors.level import LEVEL_S, Level, masked

_PRIOR = 5 / 90


@dataclass(frozen=True, slots=True)
class Block:
    """A full 10-s block of the grid: its first second, its arrivals, and how long a burst has been on at its end."""

    second: int
    arrivals: int
    burst_s: int | None


class ExpectedRate:
    """What is expected of one service.

    Attributes:
        expected: arrivals expected in the block that is going on; None until there is a baseline.
        level: what the last blocks held, since the service woke up.
    """

    def __init__(self, profile: DailyProfile) -> None:
        self._profile = profile
        self.forget()

    def forget(self) -> None:
        """Forget the level; the time of day stays known."""
        self.expected: float | None = None
        self.level = Level()
        self._usual: float | None = None  # what the mean would be on the usual day
        self._levels = (0.0, 0.0, 0.0)  # today's level relative to other days, 5, 10 and 15 minutes ago
        self._pending: list[tuple[int, int]] = []  # blocks of a burst that may yet prove to be a level

    def learn(self, block: Block) -> None:
        """Take the block that just ended and work out what to expect of the next."""
        expected = self.expected or 0.0
        in_burst = masked(block.arrivals, expected, block.burst_s)
        self._teach(block, masked=in_burst)
        gain = self.level.learn(float(block.arrivals), expected, masked=in_burst)
        if self._profile.ready:
            usual = self._profile.at(block.second)
            self._usual = usual if self._usual is None else self._usual + gain * (usual - self._usual)
        self._look_ahead(block.second + BLOCK_S)

    def _teach(self, block: Block, *, masked: bool) -> None:
        """Let the profile learn the block, or keep it until it is known whether it was a burst."""
        if block.burst_s is None:
            self._pending.clear()
        elif masked:
            self._pending.append((block.second, block.arrivals))
            return
        elif block.burst_s >= LEVEL_S:
            for second, arrivals in self._pending:
                self._profile.add(second, arrivals)
            self._pending.clear()
        self._profile.add(block.second, block.arrivals)

    def _look_ahead(self, second: int) -> None:
        mean = self.level.mean or 0.0
        self.expected = mean
        if self._usual is not None:
            prior = _PRIOR * self.level.dispersion
            level = (mean + prior) / (self._usual + prior)
            self.expected = max(mean, self._profile.highest(second + BLOCK_S / 2) * max(level, *self._levels))
            if second % BIN_S == 0:
                self._levels = (level, *self._levels[:2])

    def start_over(self) -> None:
        """Forget the level and where event time stood."""
        self.forget()
        self._profile.start_over()

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "expected": self.expected,
            "level": self.level.dump(),
            "usual": self._usual,
            "levels": list(self._levels),
            "pending": [list(block) for block in self._pending],
            "profile": self._profile.dump(),
        }

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        self.expected, self._usual = facts["expected"], facts["usual"]
        self.level.load(facts["level"])
        newest, older, oldest = facts["levels"]
        self._levels = (newest, older, oldest)
        self._pending = [(int(second), int(arrivals)) for second, arrivals in facts["pending"]]
        self._profile.load(facts["profile"])
