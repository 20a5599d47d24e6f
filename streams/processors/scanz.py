"""When does a service burst? Windows of 1 to 60 s against an over-dispersed expectation: the default detector.

Input: arrivals per second of event time, each second once, in order. An over-dispersed, variance-stabilised,
expectation-based scan (Anscombe 1948; Neill 2009; Zhang, Zhang and Lin 2012):

- Expectation: expected_rate.py, from the blocks before the one a second lies in.
- Score: the greatest z (``anscombe.burst_score``) of the windows of 1, 2, 5, 10, 20 and 60 s that end now.
- Onset: z >= threshold, not within the warm-up after the first event. The burst is said to begin with that trailing
  span of 1..60 s whose own score is greatest: the second in which the counts rose. A burst in the warm-up is
  neither told nor learned.
- End: the last 10 s stayed below z = 2 for 30 s, and those 30 s together are below it, too (a lasting rise of a slow
  service shows in 30 s, not in 10). It is said to end where those 30 s begin, and from then on no window reaches
  back before: the 60-s window would sound again for the same burst otherwise.
- After an hour without arrivals the level is not known any more: it starts anew, with a warm-up.

All that is done in an ordinary second is to compare six differences with six limits; scores are worked out in
bursts, and where somebody asks.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from streams.processors.bursts import BLOCK_S, CLEAR_S, CLEAR_SCORE, SECOND_US, SILENCE_S, BurstStatus, ended
from streams.processors.daily_profile import DailyProfile
from streams.processors.expected_rate import Block, ExpectedRate
from streams.processors.outputs import Episode
from streams.processors.scan_windows import LONGEST_S, ScanWindows
from streams.processors.settings import AnalysisSettings

_RATE_S = 10  # the span of rates and of the end's score
# In the warm-up a burst masks from the fifth block on. With the seventh, the first bursts of the built-in workload
# taught the dispersion so much that two of six recordings never sounded again.
_BLOCKS_UNHEARD = 3


class ScanZ:
    """The ``BurstDetector`` described at the top of this file."""

    def __init__(self, service: str, settings: AnalysisSettings) -> None:
        self._service = service
        self._settings = settings
        self._next = -1  # the next second to be fed
        self._episodes = 0
        self._rate = ExpectedRate(DailyProfile(settings.burst_profile_days))
        self._windows = ScanWindows(settings.burst_threshold, settings.burst_tolerance)
        self._forget()

    def _forget(self) -> None:
        self._first: int | None = None  # first second with an arrival
        self._newest = 0  # newest second with an arrival
        self._burst: Episode | None = None
        self._unheard = False  # the burst began in the warm-up: it masks, but nobody is told
        self._quiet = 0  # seconds for which the last 10 s have been below the clearing score in a burst
        self._arrivals = 0  # since the onset
        self._rate.forget()
        self._windows.clear(0)

    @property
    def active(self) -> bool:
        """True while a burst lasts."""
        return self._burst is not None and not self._unheard

    @property
    def status(self) -> BurstStatus:
        """Where the detector stands."""
        burst = None if self._unheard else self._burst
        expected = self._rate.expected
        return BurstStatus(
            active=self.active,
            z=None if expected is None else self._windows.greatest(),
            baseline_rate=None if expected is None else expected / BLOCK_S,
            rate_10s=self._windows.arrivals(_RATE_S) / _RATE_S,
            episodes_total=self._episodes,
            onset=burst.onset if burst else None,
            threshold=self._settings.burst_threshold,
        )

    def feed(self, second: int, counts: Sequence[int]) -> list[Episode]:
        """See ``BurstDetector.feed``."""
        found: list[Episode] = []
        if self._first is not None and self._next < second:
            self._wait(second, found)
        self._next = max(self._next, second)
        for count in counts[self._next - second :]:
            if self._first is None and count:
                self._wake(self._next)
            if self._first is not None:
                self._step(self._next, count, found)
            self._next += 1
        return found

    def _wake(self, second: int) -> None:
        self._first = second
        self._windows.clear(second)

    def _wait(self, until: int, found: list[Episode]) -> None:
        """Pass silent seconds: one by one while the last minute matters, then block by block."""
        while self._first is not None and self._next < until:
            whole = self._next % BLOCK_S == 0 and self._next + BLOCK_S <= until
            if whole and self._burst is None and self._next - self._newest > LONGEST_S + BLOCK_S:
                self._windows.skip(BLOCK_S)
                self._end_block(self._next + BLOCK_S - 1)
                self._next += BLOCK_S
            else:
                self._step(self._next, 0, found)
                self._next += 1

    def _step(self, second: int, count: int, found: list[Episode]) -> None:
        self._windows.push(second, count)
        if count:
            self._newest = second
        if self._burst is not None:
            self._follow(second, count, found)
        elif self._windows.alarming and (self._warm(second) or self._rate.level.blocks > _BLOCKS_UNHEARD):
            self._begin(second, found)
        if second % BLOCK_S == BLOCK_S - 1:
            self._end_block(second)

    def _end_block(self, second: int) -> None:
        """Learn from the block that ends with ``second``, and say what is expected of the next."""
        start = second + 1 - BLOCK_S
        if second - self._newest >= SILENCE_S:
            self._forget()
        elif self._first is not None and start >= self._first:  # the block in which it woke up is not a full one
            since = None if self._burst is None else second + 1 - self._burst.onset // SECOND_US
            self._rate.learn(Block(start, self._windows.arrivals(BLOCK_S), since))
            self._expect()

    def _expect(self) -> None:
        if self._rate.expected is not None:
            self._windows.expect(self._rate.expected, self._rate.level.dispersion)

    def _warm(self, second: int) -> bool:
        return self._first is not None and second + 1 - self._first >= self._settings.burst_warmup_s

    def _begin(self, second: int, found: list[Episode]) -> None:
        rise = self._windows.rise()
        baseline_rate = (self._rate.expected or 0.0) / BLOCK_S
        self._unheard = not self._warm(second)
        self._episodes += not self._unheard
        self._quiet = 0
        self._arrivals = rise.arrivals
        self._burst = Episode(
            service=self._service,
            state="onset",
            onset=(second + 1 - rise.span_s) * SECOND_US,
            detected=(second + 1) * SECOND_US,
            end=None,
            baseline_rate=baseline_rate,
            peak_rate=self._windows.arrivals(_RATE_S) / _RATE_S,
            peak_z=rise.z,
            arrivals=rise.arrivals,
            excess=rise.arrivals - baseline_rate * rise.span_s,
            window_s=rise.span_s,
        )
        if not self._unheard:
            found.append(self._burst)

    def _follow(self, second: int, count: int, found: list[Episode]) -> None:
        burst = self._burst
        assert burst is not None  # noqa: S101 - only called during a burst
        self._arrivals += count
        if self._windows.score(_RATE_S) >= CLEAR_SCORE:
            self._quiet = 0
            peak_rate = max(burst.peak_rate, self._windows.arrivals(_RATE_S) / _RATE_S)
            self._burst = replace(burst, peak_rate=peak_rate, peak_z=max(burst.peak_z, self._windows.greatest()))
            return
        self._quiet += 1
        if self._quiet >= CLEAR_S and self._windows.score(CLEAR_S) < CLEAR_SCORE:
            found += self._close(CLEAR_S)
            self._windows.restart(second + 1 - CLEAR_S)
            self._expect()

    def _close(self, quiet_s: int) -> list[Episode]:
        """End the burst that is on, ``quiet_s`` before now; return what is to be told."""
        burst, self._burst = self._burst, None
        if burst is None or self._unheard:
            return []
        arrivals = self._arrivals - self._windows.arrivals(quiet_s)
        return [ended(replace(burst, arrivals=arrivals), (self._windows.newest + 1 - quiet_s) * SECOND_US)]

    def start_over(self) -> list[Episode]:
        """See ``BurstDetector.start_over``."""
        found = self._close(min(self._quiet, CLEAR_S))
        self._forget()
        self._rate.start_over()
        self._next = -1
        return found

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "next": self._next,
            "episodes": self._episodes,
            "first": self._first,
            "newest": self._newest,
            "burst": asdict(self._burst) if self._burst else None,
            "unheard": self._unheard,
            "quiet": self._quiet,
            "arrivals": self._arrivals,
            "windows": self._windows.dump(),
            "rate": self._rate.dump(),
        }

    def load(self, facts: dict[str, Any]) -> None:
        """See ``BurstDetector.load``."""
        self._next, self._episodes = facts["next"], facts["episodes"]
        self._first, self._newest = facts["first"], facts["newest"]
        self._burst = Episode(**facts["burst"]) if facts["burst"] else None
        self._unheard, self._quiet, self._arrivals = facts["unheard"], facts["quiet"], facts["arrivals"]
        self._windows.load(facts["windows"])
        self._rate.load(facts["rate"])
