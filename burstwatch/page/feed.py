"""What the page knows: a bounded history of every service and its episodes, as a whole or since a version. Pure.

Fed with messages in any order, any number of times: what it then knows is a function of the set of messages (as long
as nothing had to give way to a limit, nor event time was set back: workers do that after a clock that was far ahead,
and then a few rows in a row, each later than the one before and all from long before the newest, are what counts).
It keeps no reader's place: a reader says which version it has, so a slow one costs nothing and gets everything it
missed at once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from burstwatch.page.messages import POINT_FIELDS, Point, ServiceRow, episode_entry, service_row
from burstwatch.wording import MALFORMED

SERVICES_MAX = 50
POINTS_MAX = 2_200  # a service; six hours of rows
EPISODES_MAX = 200
HISTORY_S_MAX = 6 * 3600
SET_BACK_ROWS = 3
_SET_BACK_S = 3600  # less than that mends itself
_SECOND_US = 1_000_000


@dataclass(slots=True)
class _Service:
    """Points in the order in which they came, so that what is new is at the end."""

    points: dict[int, tuple[int, Point]] = field(default_factory=dict)  # end (us) -> (version, point)
    now: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    behind: list[int] = field(default_factory=list)  # ends of the newest rows in a row from long before

    @property
    def end(self) -> int:
        return int(self.now.get("end", -1))


class Feed:
    """The state of the page.

    Attributes:
        history_s: rows older than this before their service's newest are forgotten.
        version: rises with every change that readers should see.
        malformed: messages left out because they are not what they should be.
    """

    def __init__(self, history_s: int) -> None:
        self.history_s = history_s
        self.version = 0
        self.malformed = 0
        self._messages = 0
        self._hidden: set[str] = set()  # services without a place, as far as they are remembered
        self._floor = 0  # a reader with an older version may hold what has been forgotten here
        self._services: dict[str, _Service] = {}
        self._episodes: dict[str, tuple[int, dict[str, Any]]] = {}  # id -> (version, entry)

    def note(self, message: object) -> None:
        """Take a message into account; one that is malformed is counted and left out."""
        self._messages += 1
        try:
            if not isinstance(message, dict):
                raise TypeError("message")
            if "windows" in message:
                self._note_row(service_row(message))
            else:
                self._note_episode(episode_entry(message))
        except MALFORMED:
            self.malformed += 1

    def snapshot(self) -> dict[str, Any]:
        """Return everything."""
        return self._message("snapshot", -1)

    def since(self, version: int) -> dict[str, Any]:
        """Return what changed after ``version``; everything if that can no longer be told."""
        return self._message("delta", version) if self._floor <= version <= self.version else self.snapshot()

    def _message(self, what: str, version: int) -> dict[str, Any]:
        changed = {name: s for name, s in sorted(self._services.items()) if s.version > version}
        return {
            "type": what,
            "version": self.version,
            "history_s": self.history_s,
            "point_fields": POINT_FIELDS,
            "services": {name: {"now": s.now, "points": sorted(_newer(s, version))} for name, s in changed.items()},
            "episodes": sorted(
                (entry for at, entry in self._episodes.values() if at > version),
                key=lambda entry: (entry["onset"], entry["id"]),
            ),
            "messages": self._messages,
            "malformed": self.malformed,
            "services_hidden": len(self._hidden),
        }

    def _note_row(self, row: ServiceRow | None) -> None:
        if row is None:
            return
        service = self._services.get(row.service) or self._place_for(row)
        if service is None:
            return
        if self._is_set_back(service, row.end):
            self._forget_after(row.service, service, row.end)
        if row.end <= service.end - self.history_s * _SECOND_US:
            return
        known = service.points.get(row.end)
        if known is not None and known[1] == row.point and (row.end < service.end or service.now == row.now):
            return
        service.points.pop(row.end, None)
        service.version = self._next()
        service.points[row.end] = (self.version, row.point)
        if row.end >= service.end:
            service.now = row.now
            oldest = row.end - self.history_s * _SECOND_US
            for end in [end for end in service.points if end <= oldest]:
                del service.points[end]
        if len(service.points) > POINTS_MAX:
            del service.points[min(service.points)]

    def _is_set_back(self, service: _Service, end: int) -> bool:
        if end > service.end - _SET_BACK_S * _SECOND_US:
            service.behind.clear()
            return False
        if service.behind and end <= service.behind[-1]:
            service.behind.clear()
        service.behind.append(end)
        return len(service.behind) >= SET_BACK_ROWS

    def _forget_after(self, name: str, service: _Service, end: int) -> None:
        """Forget what was known of times after ``end``; readers start afresh."""
        service.behind.clear()
        service.now = {}
        service.points = {at: known for at, known in service.points.items() if at <= end}
        self._drop_episodes(name, end)
        self._floor = self._next()

    def _drop_episodes(self, name: str, after: int = -1) -> None:
        for key, (_, entry) in list(self._episodes.items()):
            if entry["service"] == name and entry["onset"] > after:
                del self._episodes[key]

    def _place_for(self, row: ServiceRow) -> _Service | None:
        if len(self._services) >= SERVICES_MAX:
            stalest = min(self._services, key=lambda name: (self._services[name].end, name))
            if self._services[stalest].end > row.end - self.history_s * _SECOND_US:
                if len(self._hidden) < 10 * SERVICES_MAX:
                    self._hidden.add(row.service)
                return None
            del self._services[stalest]
            self._drop_episodes(stalest)  # an open one would be told as going on for ever
            self._floor = self._next()
        self._hidden.discard(row.service)
        return self._services.setdefault(row.service, _Service())

    def _note_episode(self, entry: dict[str, Any] | None) -> None:
        if entry is None:
            return
        known = self._episodes.get(entry["id"])
        if known is not None and (known[1]["end"] is not None or entry["end"] is None):
            return  # told again
        if known is None and len(self._episodes) >= EPISODES_MAX:
            oldest = min(self._episodes.values(), key=_age)[1]
            if (entry["onset"], entry["id"]) < (oldest["onset"], oldest["id"]):
                return
            del self._episodes[oldest["id"]]
        self._episodes[entry["id"]] = (self._next(), entry)
        self._supersede(entry["place"])

    def _supersede(self, place: str) -> None:
        """Note which open episodes cannot last any more: a later one began at their place, their end was never told."""
        here = [entry for _, entry in self._episodes.values() if entry["place"] == place]
        newest = max(entry["onset"] for entry in here)
        for entry in here:
            over = entry["end"] is None and entry["onset"] < newest
            if entry["superseded"] != over:
                self._episodes[entry["id"]] = (self._next(), {**entry, "superseded": over})

    def _next(self) -> int:
        self.version += 1
        return self.version


def _newer(service: _Service, version: int) -> Iterator[Point]:
    for at, point in reversed(service.points.values()):
        if at <= version:
            return
        yield point


def _age(known: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return known[1]["onset"], known[1]["id"]


def note_all(feed: Feed, messages: Iterable[object]) -> None:
    """Take ``messages`` into account, one after the other."""
    for message in messages:
        feed.note(message)
