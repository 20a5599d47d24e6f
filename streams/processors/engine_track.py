"""One engine as its readings show it: growth of KV cache and queue, and whether it is under pressure. Pure.

Rules, tuned on the simulated engine (1 reading a second; bursts, ramps, steady load at half its capacity):

- Onset: KV usage >= 0.95; or a preemption; or usage is predicted to reach 1 (see ``stats/exhaustion.py``): lower
  bound < 30 s and estimate < 10 s, at usage >= 0.6 while a burst of the service is on, else at usage >= 0.8 in two
  readings in a row (an engine at half load breathes that much by itself, and falls back).
- End: 30 s of usage < 0.90, no preemption and a queue that does not grow; or 30 s without a reading.
- A counter that falls means that the engine was started anew: nothing is concluded from before.
"""

from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from streams.processors.episodes import PressureEpisode
from streams.stats.exhaustion import Exhaustion, exhaustion
from streams.stats.slope import Drift, drift

SECOND_US = 1_000_000
STALE_US = 30 * SECOND_US
CALM_US = 30 * SECOND_US
FULL_RATIO = 0.95
CALM_RATIO = 0.90
BURST_RATIO = 0.6
WATCH_RATIO = 0.8
LOWER_S = 30.0
ESTIMATE_S = 10.0
SPAN_S = 5.0  # the engine's cache fills in 5 to 10 s in a burst: a longer look back sees it too late
HISTORY = 64
_STEP_US = SECOND_US // 2  # readings closer together add nothing to the growth
_GAP_US = 120 * SECOND_US
_BACKWARDS_MAX = 10  # readings in a row from before the last one: the clock was set back

Place = tuple[str, str]  # node, engine


class Reading(NamedTuple):
    """What an engine said at one instant; None where it says nothing.

    ``finished`` counts requests ended (ok or failed) since the engine's start, ``preemptions`` those preempted.
    """

    at: int
    node: str
    engine: str
    kv_usage: float | None
    running: int | None
    waiting: int | None
    preemptions: int | None
    finished: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Where an engine is heading as of its last reading.

    Attributes:
        kv_growth: KV usage per second (ratio/s) with its noise; None with too few readings.
        waiting_growth: requests per second by which its queue grows.
        exhaustion: when the cache is full; None unless it clearly grows.
        preemption_rate: requests preempted per second over the last minute or so.
    """

    kv_growth: Drift | None
    waiting_growth: Drift | None
    exhaustion: Exhaustion | None
    preemption_rate: float | None


class EngineTrack:
    """The readings of one engine, each taken once, in order of event time.

    Attributes:
        last: the newest reading.
        heard: where time stood when it was judged (us): its own time, or event time if that was further.
        preempted: requests preempted between the last two readings.
        episode: the pressure it is under; None while it is not.
    """

    def __init__(self, service: str, first: Reading) -> None:
        self._service = service
        self.heard = first.at
        self.episode: PressureEpisode | None = None
        self._start(first)

    def _start(self, first: Reading) -> None:
        self.last = first
        self.preempted = 0
        self._calm_since: int | None = None
        self._predicted = 0  # readings in a row that foretold exhaustion
        self._backwards: list[int] = []
        self._history: deque[tuple[int, float | None, int | None, int]] = deque(maxlen=HISTORY)
        self._remember(first)

    def take(self, reading: Reading, *, doubtful: bool) -> Reading | None:
        """Take over ``reading``; return the one before it, None if nothing can be concluded from the two.

        One that is not newer than the last is ignored (it came twice, or late); where the last is ``doubtful``, ten
        in a row are believed.
        """
        before = self.last
        if reading.at <= before.at:
            if doubtful:
                self._turn_back(reading)
            return None
        self._backwards.clear()
        if _fell(before.preemptions, reading.preemptions) or _fell(before.finished, reading.finished):
            self._start(reading)
            return None
        self.preempted = _rise(before.preemptions, reading.preemptions)
        self.last = reading
        if reading.at - before.at > _GAP_US:
            self._history.clear()
        self._remember(reading)
        return before

    def _turn_back(self, reading: Reading) -> None:
        if self._backwards and reading.at <= self._backwards[-1]:
            self._backwards.clear()
        self._backwards.append(reading.at)
        if len(self._backwards) >= _BACKWARDS_MAX and self.last.at - reading.at > STALE_US:
            self._start(reading)

    def _remember(self, reading: Reading) -> None:
        self._outlook: Outlook | None = None
        self._kv_outlook: tuple[Drift | None, Exhaustion | None] | None = None
        entry = (reading.at, reading.kv_usage, reading.waiting, self.preempted)
        if self._history and reading.at - self._history[-1][0] < _STEP_US:
            held = self._history.pop()
            entry = (held[0], reading.kv_usage, reading.waiting, held[3] + self.preempted)
        self._history.append(entry)

    def outlook(self) -> Outlook:
        """Return where it is heading; worked out once per reading."""
        if self._outlook is None:
            self._outlook = self._look_ahead()
        return self._outlook

    def kv_outlook(self) -> tuple[Drift | None, Exhaustion | None]:
        """Return the part of the outlook that is about KV usage: growth and exhaustion; half the work of all of it."""
        if self._kv_outlook is None:
            growth, usage = self._growth(1), self.last.kv_usage
            self._kv_outlook = growth, None if usage is None else exhaustion(1 - usage, growth)
        return self._kv_outlook

    def _look_ahead(self) -> Outlook:
        kv_growth, full = self.kv_outlook()
        waiting_growth = self._growth(2)
        entries = list(self._history)
        span_us = entries[-1][0] - entries[0][0]
        counted = self.last.preemptions is not None and span_us >= SPAN_S * SECOND_US
        return Outlook(
            kv_growth=kv_growth,
            waiting_growth=waiting_growth,
            exhaustion=full,
            preemption_rate=sum(entry[3] for entry in entries[1:]) / (span_us / SECOND_US) if counted else None,
        )

    def _growth(self, column: int) -> Drift | None:
        known = [(entry[0] / SECOND_US, entry[column]) for entry in self._history if entry[column] is not None]
        return drift([t for t, _ in known], [float(v or 0) for _, v in known], span_s=SPAN_S)

    def judge(self, *, during_burst: bool) -> PressureEpisode | None:
        """Return the episode that begins or ends with the reading just taken, if one does."""
        reading = self.last
        if self.episode is not None:
            return self._follow(self.episode, reading)
        hard = (reading.kv_usage or 0.0) >= FULL_RATIO or self.preempted > 0
        foretold = self._foretold(during_burst=during_burst)
        self._predicted = self._predicted + 1 if foretold else 0
        if not (hard or self._predicted >= (1 if during_burst else 2)):
            return None
        self._predicted, self._calm_since = 0, None
        self.episode = PressureEpisode(
            service=self._service,
            state="onset",
            node=reading.node,
            engine=reading.engine,
            onset=reading.at,
            detected=reading.at,
            end=None,
            kv_usage_peak=reading.kv_usage,
            waiting_peak=reading.waiting,
            preemptions=None if reading.preemptions is None else self.preempted,
            exhaustion_s=foretold.lower_s if foretold else None,
            during_burst=during_burst,
        )
        return self.episode

    def _foretold(self, *, during_burst: bool) -> Exhaustion | None:
        usage = self.last.kv_usage
        if usage is None or usage < (BURST_RATIO if during_burst else WATCH_RATIO):
            return None
        _, found = self.kv_outlook()
        return found if found and found.lower_s < LOWER_S and found.estimate_s < ESTIMATE_S else None

    def _follow(self, episode: PressureEpisode, reading: Reading) -> PressureEpisode | None:
        preemptions = episode.preemptions
        self.episode = replace(
            episode,
            kv_usage_peak=_most(episode.kv_usage_peak, reading.kv_usage),
            waiting_peak=_most(episode.waiting_peak, reading.waiting),
            preemptions=preemptions if reading.preemptions is None else (preemptions or 0) + self.preempted,
        )
        if not self._calm(reading):
            self._calm_since = None
            return None
        if self._calm_since is None:
            self._calm_since = reading.at
        return self.leave(self._calm_since) if reading.at - self._calm_since >= CALM_US else None

    def _calm(self, reading: Reading) -> bool:
        if (reading.kv_usage or 0.0) >= CALM_RATIO or self.preempted:
            return False
        growth = self._growth(2)
        return growth is None or not growth.growing

    def leave(self, end: int) -> PressureEpisode:
        """End the episode that is on at ``end``, and return it."""
        assert self.episode is not None  # noqa: S101 - callers have looked
        ended = replace(self.episode, state="end", end=end)
        self.episode = self._calm_since = None
        return ended

    def dump(self) -> list[Any]:
        """Return the state as plain values."""
        episode = None if self.episode is None else asdict(self.episode)
        known = [list(self.last), self.preempted, self._backwards, list(self._history)]
        return [*known, episode, self._calm_since, self._predicted, self.heard]

    @classmethod
    def load(cls, service: str, values: list[Any]) -> "EngineTrack":
        """Return the track ``dump`` described. Raises ``TypeError`` or ``ValueError``."""
        last, preempted, backwards, history, episode, calm_since, predicted, heard = values
        track = cls(service, Reading(*last))
        track.preempted, track._backwards = preempted, list(backwards)
        track._history = deque((tuple(entry) for entry in history), maxlen=HISTORY)
        track.episode = None if episode is None else PressureEpisode(**episode)
        track._calm_since, track._predicted, track.heard = calm_since, predicted, heard
        return track


def _fell(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before


def _rise(before: int | None, now: int | None) -> int:
    return now - before if before is not None and now is not None else 0


def _most(one: Any, other: Any) -> Any:  # noqa: ANN401 - two numbers of the same kind
    return max((value for value in (one, other) if value is not None), default=None)
