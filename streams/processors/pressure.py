"""Memory pressure on the engines of one service, from the readings that come in its log. Pure.

Readings wait until event time has passed their second, and are then judged in order of (time, node, engine): so the
episodes do not depend on how the log was cut into messages, and a burst is known as of the same second. Two cases
have no event time to wait for: a service whose requests nobody watches (no promise at all), and one whose watchers
have fallen silent. There a reading is judged when earlier messages brought one 1 s newer, or 30 s newer.
"""

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

from collector.schema.codec import Batch, events_of
from collector.schema.events import Resource
from streams.processors.capacity import Capacity, CapacityMeter
from streams.processors.engine_track import SECOND_US, STALE_US, EngineTrack, Outlook, Place, Reading
from streams.processors.episodes import PressureEpisode, PressureEvidence
from streams.processors.evidence import Evidence

ENGINES_MAX = 1_000
PENDING_MAX = 50_000  # readings ahead of event time: those of 1,000 engines for 50 s
ALONE_S = 1
PATIENCE_S = 30


class PressureStatus(NamedTuple):
    """Where a service's engines stand.

    Attributes:
        engines: live engines: with a reading in the last 30 s of event time.
        pressed: engines under pressure.
        episodes_total: pressure episodes begun so far.
        ignored: readings of engines beyond the first ``ENGINES_MAX``, or too far ahead to be kept.
    """

    engines: int
    pressed: int
    episodes_total: int
    ignored: int


class Pressure:
    """All engines of one service."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._episodes = 0
        self._ignored = 0
        self._meter = CapacityMeter()
        self._forget()

    def _forget(self) -> None:
        self._now = 0  # event time in seconds
        self._waiting: dict[int, list[Reading]] = {}
        self._seconds: list[int] = []  # heap of the seconds in _waiting
        self._held = 0
        self._tracks: dict[Place, EngineTrack] = {}
        self._pressed: set[Place] = set()
        self._evidence = Evidence()

    def add(self, batch: Batch) -> None:
        """Take in the readings of a message of kind resource; they are judged by ``step``."""
        for event in events_of(batch):
            if isinstance(event, Resource) and (reading := _reading(event)) is not None:
                self._put(reading)

    def _put(self, reading: Reading) -> None:
        second = reading.at // SECOND_US
        if second not in self._waiting:
            self._waiting[second] = []
            heapq.heappush(self._seconds, second)
        self._waiting[second].append(reading)
        self._held += 1
        if self._held > PENDING_MAX:  # what is furthest ahead comes from a broken clock
            furthest = max(self._seconds)
            self._waiting[furthest].pop()
            self._held -= 1
            self._ignored += 1
            if not self._waiting[furthest]:
                del self._waiting[furthest]
                self._seconds = sorted(self._waiting)

    def due(self, until_s: int) -> int | None:
        """Return the next second before ``until_s`` in which something is to be judged; None if there is none."""
        found = self._seconds[0] if self._seconds else until_s
        for place in self._pressed:
            found = min(found, self._silent_at(place))
        return found if found < until_s else None

    def overdue_s(self, *, watched: bool) -> int:
        """Return the second before which readings are judged although event time is not there.

        ``watched``: somebody promises something about the requests of the service.
        """
        return max(self._seconds) - (PATIENCE_S if watched else ALONE_S) if self._seconds else 0

    def step(self, second: int, *, during_burst: bool) -> list[PressureEpisode]:
        """Judge what is due in ``second``; return the episodes that begin or end."""
        found = [self._end(place) for place in sorted(self._pressed) if self._silent_at(place) <= second]
        if self._seconds and self._seconds[0] == second:
            heapq.heappop(self._seconds)
            readings = self._waiting.pop(second)
            self._held -= len(readings)
            for reading in sorted(readings, key=lambda r: r[:3]):
                found += self._take(reading, during_burst=during_burst)
        self._now = second + 1
        return found

    def settle(self, now_s: int) -> None:
        """Take note that event time has come to ``now_s``."""
        self._now = now_s

    def _take(self, reading: Reading, *, during_burst: bool) -> Iterator[PressureEpisode]:
        place = (reading.node, reading.engine)
        track = self._tracks.get(place)
        if track is None:
            if len(self._tracks) >= ENGINES_MAX and not self._make_room(reading.at):
                self._ignored += 1
                return
            track = self._tracks[place] = EngineTrack(self._service, reading)
        elif (before := track.take(reading)) is not None:
            self._meter.add(before, reading)
        if track.last is not reading:
            return  # too old to be news
        self._evidence.add(reading, track.preempted)
        if (episode := track.judge(during_burst=during_burst)) is not None:
            self._episodes += episode.end is None
            (self._pressed.add if episode.end is None else self._pressed.discard)(place)
            yield episode

    def _make_room(self, now: int) -> bool:
        """Forget the engine longest unheard, if it is silent."""
        place = min(self._tracks, key=lambda p: (self._tracks[p].last.at, p))
        if place in self._pressed or now - self._tracks[place].last.at <= STALE_US:
            return False
        del self._tracks[place]
        self._meter.forget(place)
        return True

    def _silent_at(self, place: Place) -> int:
        return (self._tracks[place].last.at + STALE_US) // SECOND_US

    def _end(self, place: Place) -> PressureEpisode:
        self._pressed.discard(place)
        return self._tracks[place].leave(self._tracks[place].last.at)

    def start_over(self) -> list[PressureEpisode]:
        """Forget all but what was counted, and what an engine can do; return the ends of what was on."""
        found = [self._end(place) for place in sorted(self._pressed)]
        self._ignored += self._held
        self._forget()
        return found

    def during(self, start_us: int, end_us: int) -> PressureEvidence:
        """Return what the engines said in the seconds [start, end) touches, as far as judged."""
        return self._evidence.during(start_us, end_us)

    @property
    def status(self) -> PressureStatus:
        """Where the engines stand."""
        live = sum(1 for _ in self._live())
        return PressureStatus(live, len(self._pressed), self._episodes, self._ignored)

    @property
    def seen(self) -> bool:
        """True once any engine has been read."""
        return bool(self._tracks)

    @property
    def capacity(self) -> Capacity | None:
        """What one engine can finish per second; None before enough has been seen."""
        return self._meter.capacity

    def outlooks(self) -> Iterator[tuple[Place, Outlook]]:
        """Return where each live engine is heading, by (node, engine)."""
        return ((place, track.outlook()) for place, track in self._live())

    def _live(self) -> Iterator[tuple[Place, EngineTrack]]:
        oldest = self._now * SECOND_US - STALE_US
        return ((place, track) for place, track in self._tracks.items() if track.last.at >= oldest)

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "now": self._now,
            "episodes": self._episodes,
            "ignored": self._ignored,
            "meter": self._meter.dump(),
            "waiting": [list(reading) for second in sorted(self._waiting) for reading in self._waiting[second]],
            "tracks": [track.dump() for track in self._tracks.values()],
            "evidence": self._evidence.dump(),
        }

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        self._forget()
        self._now, self._episodes, self._ignored = (facts[name] for name in ("now", "episodes", "ignored"))
        self._meter.load(facts["meter"])
        for values in facts["waiting"]:
            self._put(Reading(*values))
        for values in facts["tracks"]:
            track = EngineTrack.load(self._service, values)
            place = (track.last.node, track.last.engine)
            self._tracks[place] = track
            if track.episode is not None:
                self._pressed.add(place)
        self._evidence.load(facts["evidence"])


def _reading(event: Resource) -> Reading | None:
    """Return an engine's reading; None where there is nothing about an engine in it."""
    ended = [count for count in (event.requests_ok_total, event.requests_failed_total) if count is not None]
    known = (event.kv_cache_usage_ratio, event.running, event.waiting, event.preemptions_total)
    if event.gpu is not None or (not ended and all(value is None for value in known)):
        return None
    return Reading(event.at, event.node, event.engine or "", *known, sum(ended) if ended else None)
