"""Memory pressure on the engines of one service, from the readings that come in its log. Pure.

Readings wait until event time has come to them, and are then judged in order of (time, node, engine): so the episodes
do not depend on how the log was cut into messages, and a burst is known as of the last whole second. Two cases have
no event time to wait for: a service whose requests nobody watches (no promise at all), and one whose watchers have
fallen silent. There a reading is judged when earlier messages brought one 1 s newer, or 30 s newer; in the second case
no further than an hour ahead of event time: what is beyond comes from a broken clock, and waits.

Nodes' clocks differ. How long an engine has been silent is counted from where time stood when its last reading was
judged, not from what its own clock said: one that is minutes behind the others is not silent with every reading.
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
from streams.processors.outputs import ServiceMemory
from streams.processors.service_memory import PEAK_US, service_memory

ENGINES_MAX = 1_000
PENDING_MAX = 50_000  # readings ahead of event time: those of 1,000 engines for 50 s
ALONE_US = SECOND_US
PATIENCE_US = 30 * SECOND_US
AHEAD_US = 3600 * SECOND_US


class PressureStatus(NamedTuple):
    """Where a service's engines stand.

    Attributes:
        engines: live engines: with a reading judged in the last 30 s of event time.
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
        self._now = 0  # event time (us)
        self._reached: int | None = None  # what event time is moving to; None before it has moved
        self._waiting: list[tuple[tuple[int, str, str], int, Reading]] = []  # a heap: place in order, number, reading
        self._number = 0
        self._newest = -1  # the latest time in _waiting
        self._tracks: dict[Place, EngineTrack] = {}
        self._pressed: set[Place] = set()
        self._evidence = Evidence()

    def add(self, batch: Batch) -> None:
        """Take in the readings of a message of kind resource; they are judged by ``step``."""
        for event in events_of(batch):
            if isinstance(event, Resource) and (reading := _reading(event)) is not None:
                self._put(reading)

    def _put(self, reading: Reading) -> None:
        self._number += 1  # of two readings of one engine and time the first counts
        heapq.heappush(self._waiting, (reading[:3], self._number, reading))
        self._newest = max(self._newest, reading.at)
        if len(self._waiting) > PENDING_MAX:  # what is furthest ahead comes from a broken clock
            self._waiting.sort()
            dropped = PENDING_MAX // 10  # many at once: sorting for each would be slow
            del self._waiting[-dropped:]
            self._newest = self._waiting[-1][0][0]
            self._ignored += dropped

    def due(self, until_us: int) -> int | None:
        """Return the next time up to ``until_us`` at which something is to be judged; None if there is none."""
        found = self._waiting[0][0][0] if self._waiting else until_us + 1
        for place in self._pressed:
            found = min(found, self._silent_at(place))
        return found if found <= until_us else None

    def step(self, now_us: int, *, during_burst: bool) -> list[PressureEpisode]:
        """Judge what is due at ``now_us``; return the episodes that begin or end."""
        silent = sorted((at, place) for place in self._pressed if (at := self._silent_at(place)) <= now_us)
        found = [self._end(place) for _, place in silent]
        found += self._take_until(now_us, during_burst=during_burst)
        self._now = max(self._now, now_us)
        return found

    def overdue(self, watermark: int | None, *, during_burst: bool) -> list[PressureEpisode]:
        """Judge the readings that event time does not come to.

        ``watermark`` is what is promised about the requests of the service (us), None if nothing is.
        """
        if not self._waiting:
            return []
        if watermark is not None:  # whether an engine is silent is for event time to say
            until_us = min(self._newest - PATIENCE_US, watermark + AHEAD_US)
            return list(self._take_until(until_us, during_burst=during_burst))
        found, until_us = [], self._newest - ALONE_US
        # Only a reading that is judged says that time has passed: the newest may wait for ever, from a broken clock.
        while self._waiting and (now_us := self._waiting[0][0][0]) <= until_us:
            found += self.step(now_us, during_burst=during_burst)
        return found

    def _take_until(self, until_us: int, *, during_burst: bool) -> Iterator[PressureEpisode]:
        while self._waiting and self._waiting[0][0][0] <= until_us:
            yield from self._take(heapq.heappop(self._waiting)[2], during_burst=during_burst)
        if not self._waiting:
            self._newest = -1

    def reach(self, until_us: int) -> None:
        """Take note that event time moves to ``until_us``."""
        self._reached = until_us

    def settle(self, now_us: int) -> None:
        """Take note that event time has come to ``now_us``."""
        self._now = now_us

    def _take(self, reading: Reading, *, during_burst: bool) -> Iterator[PressureEpisode]:
        place = (reading.node, reading.engine)
        if place in self._pressed and self._silent_at(place) <= reading.at:
            yield self._end(place)  # known only now, where event time did not say it
        track = self._tracks.get(place)
        if track is None:
            if len(self._tracks) >= ENGINES_MAX and not self._make_room(reading.at):
                self._ignored += 1
                return
            track = self._tracks[place] = EngineTrack(self._service, reading)
        elif (before := track.take(reading, doubtful=self._doubtful(track))) is not None:
            self._meter.add(before, reading)
        if track.last is not reading:
            return  # too old to be news
        track.heard = max(reading.at, self._now)
        self._evidence.add(reading, track.preempted)
        if (episode := track.judge(during_burst=during_burst)) is not None:
            self._episodes += episode.end is None
            (self._pressed.add if episode.end is None else self._pressed.discard)(place)
            yield episode

    def _doubtful(self, track: EngineTrack) -> bool:
        """True if the engine's last reading may have come from a broken clock: nothing else is as far."""
        return self._reached is None or track.last.at > self._reached + STALE_US

    def _make_room(self, now: int) -> bool:
        """Forget the engine longest unheard, if it is silent."""
        place = min(self._tracks, key=lambda p: (self._tracks[p].last.at, p))
        if place in self._pressed or now - self._tracks[place].last.at <= STALE_US:
            return False
        del self._tracks[place]
        self._meter.forget(place)
        return True

    def _silent_at(self, place: Place) -> int:
        return self._tracks[place].heard + STALE_US + 1

    def _end(self, place: Place) -> PressureEpisode:
        self._pressed.discard(place)
        return self._tracks[place].leave(self._tracks[place].last.at)

    def start_over(self) -> list[PressureEpisode]:
        """Forget all but what was counted, and what an engine can do; return the ends of what was on."""
        found = [self._end(place) for place in sorted(self._pressed)]
        self._ignored += len(self._waiting)
        self._forget()
        return found

    def during(self, start_us: int, end_us: int) -> PressureEvidence:
        """Return what the engines said in the seconds [start, end) touches, as far as judged."""
        return self._evidence.during(start_us, end_us)

    def memory(self, end_us: int) -> ServiceMemory | None:
        """Return what the row of the boundary ``end_us`` says of the engines; event time stands at its hold's end."""
        if not self._tracks:
            return None
        # Where the watchers had fallen silent, readings were judged ahead of event time: an engine known by such
        # a one only would be told from the boundary's future.
        live = ((place, track) for place, track in self._live() if track.last.at <= self._now)
        return service_memory(self.during(end_us - PEAK_US, end_us), live)

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
        oldest = self._now - STALE_US
        return ((place, track) for place, track in self._tracks.items() if track.heard >= oldest)

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "now": self._now,
            "reached": self._reached,
            "episodes": self._episodes,
            "ignored": self._ignored,
            "meter": self._meter.dump(),
            "waiting": [list(reading) for _, _, reading in sorted(self._waiting)],
            "tracks": [track.dump() for track in self._tracks.values()],
            "evidence": self._evidence.dump(),
        }

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        self._forget()
        self._now, self._reached = facts["now"], facts["reached"]
        self._episodes, self._ignored = facts["episodes"], facts["ignored"]
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
