"""When does a service burst? The simple detector: the 10-s score against a slowly learned, over-dispersed baseline.

Input: arrivals per second of event time, each second once, in order. Rules (an
over-dispersed expectation-based scan with one window; Neill 2009; Zhang, Zhang and Lin 2012):

- Baseline: level.py, of which as much is expected as it says. A second is scored against the blocks before its own.
  A burst in the warm-up masks as any other, silently.
- Score: z of the last 10 s (``anscombe.burst_score``), every second.
- Onset: z >= threshold, not within the warm-up after the first event. The burst is said to begin with the trailing
  1..10 s whose own score is greatest: the second in which the counts rose.
- End: z < 2 for 30 s; the burst is said to end with its last second at z >= 2 (at most 10 s after the fact, which
  is the score's memory).
- After an hour without arrivals nothing is known about the service any more: it starts anew, with a warm-up.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from streams.processors.bursts import BLOCK_S, CLEAR_S, CLEAR_SCORE, SECOND_US, SILENCE_S, BurstStatus, ended
from streams.processors.level import BLOCKS_PLAIN, Level, masked
from streams.processors.outputs import Episode
from streams.processors.settings import AnalysisSettings
from streams.stats.anscombe import burst_score


class TenSecondScore:
    """The ``BurstDetector`` described at the top of this file."""

    def __init__(self, service: str, settings: AnalysisSettings) -> None:
        self._service = service
        self._settings = settings
        self._next = -1  # the next second to be fed
        self._episodes = 0
        self._forget()

    def _forget(self) -> None:
        self._first: int | None = None  # first second with an arrival
        self._newest = 0  # newest second with an arrival
        self._recent = [0] * BLOCK_S  # counts of the last ten seconds, at second % 10
        self._sum = 0
        self._level = Level()
        self._z: float | None = None
        self._burst: Episode | None = None
        self._silent = False  # the burst began in the warm-up: it masks, but nobody is told
        self._quiet = 0  # seconds below the clearing score in a burst, and the arrivals in them
        self._quiet_arrivals = 0

    @property
    def active(self) -> bool:
        """True while a burst lasts."""
        return self._burst is not None and not self._silent

    @property
    def status(self) -> BurstStatus:
        """Where the detector stands."""
        return BurstStatus(
            active=self.active,
            z=self._z,
            baseline_rate=None if self._level.mean is None else self._level.mean / BLOCK_S,
            rate_10s=self._sum / BLOCK_S,
            episodes_total=self._episodes,
            onset=self._burst.onset if self._burst and not self._silent else None,
            threshold=self._settings.burst_threshold,
        )

    def feed(self, second: int, counts: Sequence[int]) -> list[Episode]:
        """See ``BurstDetector.feed``."""
        found: list[Episode] = []
        while self._first is not None and self._next < second:
            self._step(self._next, 0, found)
            self._next += 1
        self._next = max(self._next, second)
        for count in counts[self._next - second :]:
            if count or self._first is not None:
                self._step(self._next, count, found)
            self._next += 1
        return found

    def start_over(self) -> list[Episode]:
        """See ``BurstDetector.start_over``."""
        burst, told = self._burst, self.status.active
        end = (self._next - self._quiet) * SECOND_US
        self._forget()
        self._next = -1
        return [ended(burst, end)] if burst and told else []

    def _step(self, second: int, count: int, found: list[Episode]) -> None:
        if count:
            self._newest = second
            if self._first is None:
                self._first = second
        place = second % BLOCK_S
        self._sum += count - self._recent[place]
        self._recent[place] = count
        if self._level.mean is not None:
            self._z = self._score(self._sum, self._level.mean)
            self._judge(second, count, found)
        if place == BLOCK_S - 1:
            self._learn(second)
        if second - self._newest >= SILENCE_S:
            self._forget()

    def _score(self, count: int, expected: float) -> float:
        # Below one arrival in 10,000 s the square roots say nothing more.
        return burst_score(count, max(expected, 1e-3), self._level.dispersion, self._settings.burst_tolerance)

    def _learn(self, second: int) -> None:
        if self._first is None or second - BLOCK_S + 1 < self._first:
            return  # the block in which the service woke up is not a full one
        since = None if self._burst is None else second + 1 - self._burst.onset // SECOND_US
        expected = self._level.mean or 0.0
        self._level.learn(float(self._sum), expected, masked=masked(self._sum, expected, since))

    def _judge(self, second: int, count: int, found: list[Episode]) -> None:
        z = self._z or 0.0
        if self._burst is not None:
            self._follow(second, count, z, found)
        elif z >= self._settings.burst_threshold and (self._warm(second) or self._level.blocks > BLOCKS_PLAIN):
            onset, arrivals = self._rise(second)
            self._silent = not self._warm(second)
            self._episodes += not self._silent
            self._quiet = self._quiet_arrivals = 0
            self._burst = Episode(
                service=self._service,
                state="onset",
                onset=onset * SECOND_US,
                detected=(second + 1) * SECOND_US,
                end=None,
                baseline_rate=(self._level.mean or 0.0) / BLOCK_S,
                peak_rate=self._sum / BLOCK_S,
                peak_z=z,
                arrivals=arrivals,
                excess=arrivals - (self._level.mean or 0.0) / BLOCK_S * (second + 1 - onset),
                window_s=BLOCK_S,
            )
            if not self._silent:
                found.append(self._burst)

    def _warm(self, second: int) -> bool:
        return self._first is not None and second + 1 - self._first >= self._settings.burst_warmup_s

    def _rise(self, second: int) -> tuple[int, int]:
        """Return the second in which the counts rose, and the arrivals since."""
        mean, total = self._level.mean or 0.0, 0
        best, onset, arrivals = float("-inf"), second, 0
        for back in range(BLOCK_S):
            total += self._recent[(second - back) % BLOCK_S]
            z = self._score(total, mean * (back + 1) / BLOCK_S)
            if z > best:
                best, onset, arrivals = z, second - back, total
        return onset, arrivals

    def _follow(self, second: int, count: int, z: float, found: list[Episode]) -> None:
        burst = self._burst
        assert burst is not None  # noqa: S101 - only called during a burst
        self._quiet_arrivals += count
        if z >= CLEAR_SCORE:
            self._quiet = 0
            arrivals, self._quiet_arrivals = burst.arrivals + self._quiet_arrivals, 0
            peak_rate = max(burst.peak_rate, self._sum / BLOCK_S)
            self._burst = replace(burst, arrivals=arrivals, peak_rate=peak_rate, peak_z=max(burst.peak_z, z))
            return
        self._quiet += 1
        if self._quiet >= CLEAR_S:
            end = (second + 1 - self._quiet) * SECOND_US
            if not self._silent:
                found.append(ended(burst, end))
            self._burst = None

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        facts = {name: getattr(self, f"_{name}") for name in _STATE}
        return facts | {"level": self._level.dump(), "burst": asdict(self._burst) if self._burst else None}

    def load(self, facts: dict[str, Any]) -> None:
        """See ``BurstDetector.load``."""
        for name in _STATE:
            setattr(self, f"_{name}", facts[name])
        self._recent = list(facts["recent"])
        if len(self._recent) != BLOCK_S:
            raise ValueError("recent counts must be ten")
        self._level.load(facts["level"])
        self._burst = Episode(**facts["burst"]) if facts["burst"] else None


_STATE = (
    "next",
    "episodes",
    "first",
    "newest",
    "recent",
    "sum",
    "z",
    "silent",
    "quiet",
    "quiet_arrivals",
)
