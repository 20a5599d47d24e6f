"""What is watched second by second of event time: bursts and failures, and how they meet. Pure.

Both detectors see second s before either sees s + 1, so what an episode of failures is attributed to does not depend
on how the events were cut into messages. Each failure is attributed, too: by what is known ``SETTLE_S`` after its
second about that second (a burst that was on) and the ``READING_S`` before (the engines' readings).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from streams.processors.attribution import (
    LOOKBACK_US,
    Engines,
    RecentBursts,
    attribute,
    explained,
)
from streams.processors.bursts import SECOND_US, BurstDetector
from streams.processors.episodes import AnyEpisode, FailureEpisode, PressureEvidence
from streams.processors.evidence import joined
from streams.processors.failures import LONG_S, FailureDetector
from streams.processors.pending_reasons import PendingReasons
from streams.processors.settings import AnalysisSettings

SETTLE_S = 30  # a burst is known by then, and the readings have come
READING_S = 10  # engines are read every second to every few


class Alarms:
    """The detectors of one service.

    Attributes:
        bursts: the burst detector; ``failures`` the failure detector.
        reasons: why requests failed, of seconds to come.
        attributed: failures so far by what they coincided with.
    """

    def __init__(self, service: str, settings: AnalysisSettings, bursts: BurstDetector, *, engines: Engines) -> None:
        self.bursts = bursts
        self.failures = FailureDetector(service, settings)
        self.reasons = PendingReasons()
        self.attributed: Counter[str] = Counter()
        self._engines = engines
        self._recent = RecentBursts()
        self._seen = PressureEvidence()  # of a failure episode so long that nobody remembers how it began,
        self._seen_to = 0  # up to here (us)
        self._next = 0  # the next second to be fed

    def feed(
        self, second: int, arrivals: Sequence[int], ended: Sequence[int], failed: Sequence[int]
    ) -> list[AnyEpisode]:
        """Take what happened in ``second``, ``second + 1``, ...; in seconds left out before nothing did.

        Returns the onsets and ends found, in order. No second may be fed twice.
        """
        found: list[AnyEpisode] = []
        while self._next < second and not self.failures.idle:
            self._step(0, 0, 0, found)
        if self._next < second:
            self._note_bursts(self.bursts.feed(second, ()), found)
            self._next = second
        if self.failures.calm and not any(failed):
            self._pass(arrivals, ended, found)
        else:
            for counts in zip(arrivals, ended, failed, strict=True):
                self._step(*counts, found)
        self.reasons.forget_before(self._next)
        return found

    def start_over(self) -> list[AnyEpisode]:
        """Forget where event time stood; return the ends of what was on."""
        found: list[AnyEpisode] = []
        self._note_bursts(self.bursts.start_over(), found)
        found += [self._explained(episode) for episode in self.failures.start_over()]
        self.reasons.start_over()
        self._recent = RecentBursts()
        self._next = 0
        return found

    def _pass(self, arrivals: Sequence[int], ended: Sequence[int], found: list[AnyEpisode]) -> None:
        """Take seconds in which nothing failed, and nothing did that is still to be attributed."""
        for second, count in enumerate(arrivals, self._next):
            self._note_bursts(self.bursts.feed(second, (count,)), found)
        self.failures.skip(self._next, ended)
        self._next += len(arrivals)
        self._tidy_up(self._next)

    def _step(self, arrivals: int, ended: int, failed: int, found: list[AnyEpisode]) -> None:
        second = self._next
        self._next += 1
        self._note_bursts(self.bursts.feed(second, (arrivals,)), found)
        reasons = self.reasons.take(second) if failed else {}
        if episodes := self.failures.step(second, ended, failed, reasons):
            found += [self._explained(episode) for episode in episodes]
        if count := self.failures.failed_at(second - SETTLE_S):
            self.attributed[self._attribution(second - SETTLE_S)] += count
        if second % LONG_S == 0:
            self._tidy_up(second)

    def _note_bursts(self, episodes: Sequence[Any], found: list[AnyEpisode]) -> None:
        if episodes:
            for episode in episodes:
                self._recent.note(episode)
            found += episodes
        if self._recent.active:
            self._recent.follow(self.bursts.status.rate_10s)

    def _attribution(self, second: int) -> str:
        start, end = second * SECOND_US, (second + 1) * SECOND_US
        evidence = self._engines.during(end - READING_S * SECOND_US, end)
        return attribute(burst=self._recent.any_during(start, end), evidence=evidence).value

    def _explained(self, episode: FailureEpisode) -> FailureEpisode:
        if episode.end is None:
            self._seen, self._seen_to = PressureEvidence(), 0
        evidence = self._evidence(episode.onset, episode.end or episode.detected)
        return explained(episode, self._recent, evidence)

    def _evidence(self, onset: int, end: int) -> PressureEvidence:
        """Return what the engines said from before ``onset`` to ``end``."""
        start = max(onset - LOOKBACK_US, self._seen_to)
        return joined([self._seen, self._engines.during(start, end)]) if end > start else self._seen

    def _tidy_up(self, second: int) -> None:
        """Drop the bursts nothing will be attributed to any more; keep the evidence of a long episode."""
        onset, surely_in_us = self.failures.status.onset, (second - LONG_S - SETTLE_S) * SECOND_US
        if onset is None:
            self._recent.forget(surely_in_us - LOOKBACK_US)
            return
        self._recent.forget(onset - LOOKBACK_US)
        if surely_in_us > onset:  # an episode ends at most ``LONG_S`` back
            self._seen, self._seen_to = self._evidence(onset, surely_in_us), surely_in_us

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values, but for the burst detector's."""
        return {
            "next": self._next,
            "failures": self.failures.dump(),
            "reasons": self.reasons.dump(),
            "recent": self._recent.dump(),
            "seen": self._seen._asdict(),
            "seen_to": self._seen_to,
            "attributed": self.attributed,
        }

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        self._next = facts["next"]
        self.failures.load(facts["failures"])
        self.reasons.load(facts["reasons"])
        self._recent.load(facts["recent"])
        self._seen, self._seen_to = PressureEvidence(**facts["seen"]), facts["seen_to"]
        if not self.bursts.active:  # another burst detector than the one that began it
            self._recent.close(self._next * SECOND_US)
        self.attributed = Counter(facts["attributed"])
