"""Which services of a partition have a state of their own, and which share that of "other". Pure.

A partition keeps ``limit`` services apart. When they are all taken, one that has had no events for ``IDLE_US`` gives
its place to a new one that has; while there is none, the messages of further services go to the state
``other-<partition>`` (one for each partition: rows and counters of two must not pass for the same).

Everything here follows from the messages in offset order, the log's own time (when Kafka appended them) included, so
a restarted worker decides the same. What was decided is also written down: messages read again up to ``decided`` are
sent where they went the first time, also to services that have given up their place since (nowhere, then: their
results are in Kafka and their state is gone).
"""

from dataclasses import dataclass
from typing import Any

PAST_KEPT = 1_000
IDLE_US = 3_600_000_000  # the longest window: nothing of it is left but totals


@dataclass(slots=True)
class Tenure:
    """Since which offset a service has its own state, and when it last had events (us of the log's time)."""

    since: int
    event_at: int


@dataclass(frozen=True, slots=True)
class Place:
    """Whose state a message goes to (None: to none any more), and who gave up its place for it."""

    home: str | None
    evicted: str | None = None


class Roster:
    """Attributes.

    other: the name of the shared state.
    members: services with a state of their own, the longest without events first.
    decided: up to this offset it is known where messages went.
    crowded_at: the first offset at which there was no room; None if there always was. A service taken up from
        there on may have been in "other" before: its agents are not at the beginning of their numbering.
    """

    def __init__(self, partition: int, limit: int) -> None:
        self.other = f"other-{partition}"
        self.members: dict[str, Tenure] = {}
        self.decided = -1
        self.crowded_at: int | None = None
        self._limit = limit
        self._now = 0
        self._past: list[tuple[str, int, int]] = []  # who had a place from where until (not including) where

    def place(self, service: str, offset: int, *, appended_at: int | None, events: bool) -> Place:
        """Return where the message of ``service`` at ``offset`` goes; ``events``: it has some."""
        if offset <= self.decided:
            return Place(self._recall(service, offset))
        self.decided = offset
        self._now = max(self._now, appended_at or 0)
        if (tenure := self.members.get(service)) is not None:
            if events:
                tenure.event_at = self._now
                self.members[service] = self.members.pop(service)
            return Place(service)
        if service == self.other:
            return Place(service)
        evicted = None
        if len(self.members) >= self._limit:
            self.crowded_at = offset if self.crowded_at is None else self.crowded_at
            evicted = self._idle() if events else None
            if evicted is None:
                return Place(self.other)
            self._past.append((evicted, self.members.pop(evicted).since, offset))
        self.members[service] = Tenure(offset, self._now)
        return Place(service, evicted)

    def _idle(self) -> str | None:
        oldest = next(iter(self.members))
        return oldest if self._now - self.members[oldest].event_at > IDLE_US else None

    def _recall(self, service: str, offset: int) -> str | None:
        tenure = self.members.get(service)
        if tenure is not None and tenure.since <= offset:
            return service
        if any(name == service and since <= offset < until for name, since, until in self._past):
            return None
        return self.other

    def home(self, service: str) -> str:
        """Return whose state holds ``service`` now."""
        return service if service in self.members else self.other

    def since(self, home: str) -> int:
        """Return the offset from which on the state of ``home`` takes messages."""
        tenure = self.members.get(home)
        return tenure.since if tenure is not None else self.crowded_at or 0

    def joined(self, home: str) -> bool:
        """True if agents of ``home`` may have sent messages before it got its state."""
        return self.crowded_at is not None and self.since(home) >= self.crowded_at

    def forget(self, low: int) -> None:
        """Forget places given up at or before ``low``, but for the last: nothing up to there is read again.

        Nothing but what a late write of a worker that lost the partition has damaged.
        """
        settled = sum(until <= low for _, _, until in self._past)
        self._past = self._past[max(0, settled - PAST_KEPT) :]

    def start_over(self) -> None:
        """Take note that the log begins anew at offset 0; who has a place keeps it."""
        self.decided = -1
        self._past = []
        self.crowded_at = None if self.crowded_at is None else 0
        for tenure in self.members.values():
            tenure.since = 0

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values, columns of equal length for the members."""
        return {
            "decided": self.decided,
            "crowded_at": self.crowded_at,
            "now": self._now,
            "past": self._past,
            "names": list(self.members),
            "since": [tenure.since for tenure in self.members.values()],
            "event_at": [tenure.event_at for tenure in self.members.values()],
        }

    @classmethod
    def load(cls, partition: int, limit: int, facts: dict[str, Any]) -> "Roster":
        """Return what ``dump`` described. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        roster = cls(partition, limit)
        crowded: int | None = facts["crowded_at"]
        roster.decided, roster._now = int(facts["decided"]), int(facts["now"])
        roster.crowded_at = None if crowded is None else int(crowded)
        roster._past = [(str(name), int(since), int(until)) for name, since, until in facts["past"]]
        columns = zip(facts["names"], facts["since"], facts["event_at"], strict=True)
        roster.members = {str(name): Tenure(int(since), int(event_at)) for name, since, event_at in columns}
        return roster
