"""When does a service burst? The simple detector: the 10-s score against a slowly learned, over-dispersed baseline.

Input: arrivals per second of event time, each second once, in order. Rules (an
over-dispersed expectation-based scan with one window; Neill 2009; Zhang, Zhang and Lin 2012):

- Baseline, per full 10-s block x of the event-time grid: m moves towards min(x, m + 3 sqrt(phi m) + 1) with memory
  900 s; phi, the variance over mean of blocks, moves with memory 3600 s and never below 1. The first blocks weigh
  1/(k+1); phi and the cap start with the seventh. A second is scored against the blocks before its own.
- A burst is no baseline: within one, for at most 300 s (then it is a new level), a block of twice the mean or more
  leaves phi alone and counts for m as one standard deviation above it (so that m does not sink to the idle level).
  Without this the built-in workload's bursts (x5 to x10, one a minute) taught phi so much that 4 of 12 were found,
  3 to 10 s late; with it 12 of 12, 2 to 4 s late. Masking below twice the mean would sound 14 alarms a day on
  ordinary level shifts of x1.5 at 50/s. A burst in the warm-up masks the same way, silently.
- Score: z of the last 10 s (``anscombe.burst_score``), every second.
- Onset: z >= threshold, not within the warm-up after the first event. The burst is said to begin with the trailing
  1..10 s whose own score is greatest: the second in which the counts rose.
- End: z < 2 for 30 s; the burst is said to end with its last second at z >= 2 (at most 10 s after the fact, which
  is the score's memory).
- After an hour without arrivals nothing is known about the service any more: it starts anew, with a warm-up.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import exp, sqrt
from typing import Any

from streams.processors.bursts import CLEAR_S, CLEAR_SCORE, SECOND_US, SILENCE_S, BurstStatus, ended
from streams.processors.outputs import Episode
from streams.processors.settings import AnalysisSettings
from streams.stats.anscombe import burst_score

_SPAN_S = 10
_GAIN_MEAN = 1 - exp(-_SPAN_S / 900)
_GAIN_DISPERSION = 1 - exp(-_SPAN_S / 3600)
_BLOCKS_PLAIN = 6
_LEVEL_S = 300  # a burst that lasts longer is the service's new level: learn it
_MASKED_RATIO = 2.0


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
        self._recent = [0] * _SPAN_S  # counts of the last ten seconds, at second % 10
        self._sum = 0
        self._mean: float | None = None  # arrivals expected per block
        self._dispersion = 1.0
        self._blocks = 0
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
            baseline_rate=None if self._mean is None else self._mean / _SPAN_S,
            rate_10s=self._sum / _SPAN_S,
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
        place = second % _SPAN_S
        self._sum += count - self._recent[place]
        self._recent[place] = count
        if self._mean is not None:
            self._z = self._score(self._sum, self._mean)
            self._judge(second, count, found)
        if place == _SPAN_S - 1:
            self._learn(second)
        if second - self._newest >= SILENCE_S:
            self._forget()

    def _score(self, count: int, expected: float) -> float:
        # Below one arrival in 10,000 s the square roots say nothing more.
        return burst_score(count, max(expected, 1e-3), self._dispersion, self._settings.burst_tolerance)

    def _learn(self, second: int) -> None:
        x = float(self._sum)
        if self._first is None or second - _SPAN_S + 1 < self._first:
            return  # the block in which the service woke up is not a full one
        if self._masked(second, x):
            mean = self._mean or 0.0
            self._mean = mean + _GAIN_MEAN * sqrt(self._dispersion * max(mean, 0.3))
            return
        self._blocks += 1
        if self._mean is None:
            self._mean = max(x, 0.5)
            return
        floor = max(self._mean, 0.3)
        weight = 1 / (self._blocks + 1)
        if self._blocks > _BLOCKS_PLAIN:
            x = min(x, self._mean + 3 * sqrt(self._dispersion * floor) + 1)
            surprise = (x - self._mean) ** 2 / floor - self._dispersion
            self._dispersion = max(1.0, self._dispersion + max(_GAIN_DISPERSION, weight) * surprise)
        self._mean += max(_GAIN_MEAN, weight) * (x - self._mean)

    def _masked(self, second: int, x: float) -> bool:
        """Is the block of ``x`` arrivals that ends with ``second`` part of a burst, and so no baseline?"""
        if self._burst is None or x < _MASKED_RATIO * (self._mean or 0.0):
            return False
        return (second + 1) * SECOND_US - self._burst.onset < _LEVEL_S * SECOND_US

    def _judge(self, second: int, count: int, found: list[Episode]) -> None:
        z = self._z or 0.0
        if self._burst is not None:
            self._follow(second, count, z, found)
        elif z >= self._settings.burst_threshold and (self._warm(second) or self._blocks > _BLOCKS_PLAIN):
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
                baseline_rate=(self._mean or 0.0) / _SPAN_S,
                peak_rate=self._sum / _SPAN_S,
                peak_z=z,
                arrivals=arrivals,
                excess=arrivals - (self._mean or 0.0) / _SPAN_S * (second + 1 - onset),
                window_s=_SPAN_S,
            )
            if not self._silent:
                found.append(self._burst)

    def _warm(self, second: int) -> bool:
        return self._first is not None and second + 1 - self._first >= self._settings.burst_warmup_s

    def _rise(self, second: int) -> tuple[int, int]:
        """Return the second in which the counts rose, and the arrivals since."""
        mean, total = self._mean or 0.0, 0
        best, onset, arrivals = float("-inf"), second, 0
        for back in range(_SPAN_S):
            total += self._recent[(second - back) % _SPAN_S]
            z = self._score(total, mean * (back + 1) / _SPAN_S)
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
            peak_rate = max(burst.peak_rate, self._sum / _SPAN_S)
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
        return facts | {"burst": asdict(self._burst) if self._burst else None}

    def load(self, facts: dict[str, Any]) -> None:
        """See ``BurstDetector.load``."""
        for name in _STATE:
            setattr(self, f"_{name}", facts[name])
        self._recent = list(facts["recent"])
        if len(self._recent) != _SPAN_S:
            raise ValueError("recent counts must be ten")
        self._burst = Episode(**facts["burst"]) if facts["burst"] else None


_STATE = (
    "next",
    "episodes",
    "first",
    "newest",
    "recent",
    "sum",
    "mean",
    "dispersion",
    "blocks",
    "z",
    "silent",
    "quiet",
    "quiet_arrivals",
)
