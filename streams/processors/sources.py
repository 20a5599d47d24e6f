"""Which messages of a service have been applied, and how far event time has come.

Delivery is at least once: a message is known by (agent, boot, seq). Per boot we keep the highest seq and the gaps
below it; a late re-send fills its gap, anything else below the highest is a duplicate.

Event time moves only by watermarks, and forward unless a clock was broken: it is the least promise over the
agents, each agent speaking through its newest boot. Two things may not hold it back for more than ``PATIENCE_US``
of event time: an agent that lags behind the furthest (it is idle), and a gap in a boot's messages. While such a gap
is younger than that, the promise made above it does not count: what is missing may still come, and is then not late.

Clocks break. Promises are all there is to judge them by, so:
- a promise more than ``LEAP_US`` ahead of event time is believed when its boot has said so twice in a row (a
  recording may be silent for years; its windows then close one message later); while other agents stand at event
  time, only when they have not gone on for ``PATIENCE_US`` of the leaper's time;
- an agent's own later word counts: a boot that goes back by more than ``BACK_US``, or the next boot, takes the
  promise back;
- when that leaves no agent within ``BACK_US`` of event time, and they go on so for ``PATIENCE_US`` of their own
  time, event time is set back to theirs. Less than that mends itself when their time catches up.

The log helps: nothing can be promised before it has happened, so a promise later than the moment Kafka appended its
message (``appended_at``) comes from a clock that is ahead, or from a recording dated in the future. While any agent
was heard within ``ALONE_US`` that is not ahead, one more than ``AHEAD_US`` ahead counts as if it had promised the
log's own time (a weaker promise is as true), and an agent or event time found ahead may go back by ``PATIENCE_US``
already. Alone, an agent that is ahead is believed: a recording dated in the future plays.

Memory is bounded: ``BOOTS_MAX`` boots per agent, the oldest forgotten first, and ``AGENTS_MAX`` agents, the longest
unheard forgotten first (their counts stay; a message of theirs re-sent after that would be taken for new);
``GAPS_MAX`` gaps per boot, the oldest given up first (a late fill is then taken for a duplicate, and stays counted
as missing).
"""

from collections.abc import Collection
from typing import Any

from streams.processors.totals import SUM_MAX

PATIENCE_US = 30_000_000
LEAP_US = 730 * 86_400_000_000  # more than any recording spans in one flush, less than a broken clock is off
BACK_US = 3_600_000_000  # the longest window
AHEAD_US = 2_000_000  # delay only makes an agent look behind: more than this ahead is a wrong clock
ALONE_US = 300_000_000  # others silent for so long (by the log's time) do not speak against one that is ahead
BOOTS_MAX = 16
AGENTS_MAX = 256
GAPS_MAX = 256


class Boot:
    """One run of one agent."""

    __slots__ = ("anchor", "doubted", "dropped", "gaps", "given_up", "high", "lost", "newest", "promised", "safe")

    def __init__(self) -> None:
        self.high = -1  # highest seq applied
        self.gaps: list[list[int]] = []  # seqs not yet seen below it: [first, last], ascending
        self.lost = 0  # seqs in gaps that were given up to stay bounded
        self.dropped = 0  # events the agent says it dropped
        self.promised: int | None = None  # the greatest watermark received
        self.safe: int | None = None  # the part of it that no gap puts in doubt
        self.anchor: int | None = None  # the first watermark received: patience counts from safe, else from here
        self.given_up = -1  # gaps up to this seq are not waited for any more
        self.newest = True  # the message accepted last is the newest of all
        self.doubted: tuple[int, int] | None = None  # a leap not yet believed, and where event time stood

    def accept(self, seq: int) -> bool:
        """Note ``seq`` as applied; False if it was before."""
        self.newest = seq > self.high
        if self.newest:
            if seq > self.high + 1:
                self.gaps.append([self.high + 1, seq - 1])
                if len(self.gaps) > GAPS_MAX:
                    first, last = self.gaps.pop(0)
                    self.lost += last - first + 1
            self.high = seq
            return True
        for i, (first, last) in enumerate(self.gaps):
            if first <= seq <= last:
                rest = [[first, seq - 1], [seq + 1, last]]
                self.gaps[i : i + 1] = [gap for gap in rest if gap[0] <= gap[1]]
                return True
        return False

    def promise(self, watermark: int | None, appended_at: int | None = None) -> None:
        """Take over a message's watermark (already accepted)."""
        if watermark is not None:
            ahead = appended_at is not None and (self.promised or 0) > appended_at + AHEAD_US
            if self.newest and watermark < (self.promised or 0) - (PATIENCE_US if ahead else BACK_US):
                self.promised = self.safe = self.anchor = watermark  # it takes back what it said
                self.given_up = self.high
            self.promised = max(watermark, self.promised or 0)
            self.anchor = watermark if self.anchor is None else self.anchor
        if self.promised is None or self.anchor is None:
            return
        if self.gaps and self.gaps[-1][1] > self.given_up:
            since = self.anchor if self.safe is None else self.safe
            if self.promised - since <= PATIENCE_US:
                return
            self.given_up = self.high
        self.safe = self.promised

    @property
    def missing(self) -> int:
        """Messages that must exist but have not come."""
        return self.lost + sum(last - first + 1 for first, last in self.gaps)

    def dump(self) -> list[Any]:
        """Return the state as plain values."""
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def load(cls, values: list[Any]) -> "Boot":
        """Return the boot ``dump`` described."""
        boot = cls()
        for name, value in zip(cls.__slots__, values, strict=True):
            setattr(boot, name, value)
        return boot


class Sources:
    """Every agent that speaks of one service.

    ``joined`` says that the agents may have been numbering for some time: what lies before a boot's first message
    is then not missing but somebody else's. It also holds from when an agent that still spoke had to be forgotten.
    """

    def __init__(self, *, joined: bool = False) -> None:
        self.watermark: int | None = None
        self.set_back = 0  # times event time was set back
        self._behind: int | None = None  # where the furthest agent stood when all were found far behind it
        self._agents: dict[str, dict[str, Boot]] = {}  # agents as last heard, boots as first seen
        self._promises: dict[str, int] = {}  # what each agent last promised, through its newest boot
        self._ahead: set[str] = set()  # agents whose last promise was ahead of its message's append time
        self._sound_at: int | None = None  # append time of the last promise that was not
        self._now: int | None = None  # the latest append time
        self._forgotten_missing = 0
        self._forgotten_dropped = 0
        self._joined = joined

    def accept(self, agent: str, boot: str, seq: int) -> bool:
        """Note a message as applied; False if it was before."""
        boots = self._agents.get(agent)
        if boots is None:
            boots = self._agents[agent] = {}
            if len(self._agents) > AGENTS_MAX:
                self._forget(next(iter(self._agents)))
        known = boots.get(boot)
        if known is None:
            known = boots[boot] = Boot()
            if self._joined:
                known.high = seq - 1
            if len(boots) > BOOTS_MAX:
                self._retire(boots.pop(next(iter(boots))))
        if not known.accept(seq):
            return False
        self._agents[agent] = self._agents.pop(agent)  # the longest unheard is the first to be forgotten
        return True

    def _forget(self, agent: str) -> None:
        if agent in self._promises and max(self._promises.values()) - self._promises[agent] <= PATIENCE_US:
            self._joined = True  # it will be back, and not from the beginning: there are more than fit
        for boot in self._agents.pop(agent).values():
            self._retire(boot)
        self._promises.pop(agent, None)
        self._ahead.discard(agent)

    def _retire(self, boot: Boot) -> None:
        self._forgotten_missing = min(self._forgotten_missing + boot.missing, SUM_MAX)
        self._forgotten_dropped = min(self._forgotten_dropped + boot.dropped, SUM_MAX)

    def promise(
        self, agent: str, boot: str, watermark: int | None, dropped: int, *, appended_at: int | None = None
    ) -> int | None:
        """Take over what an accepted message says; return the service's watermark.

        ``appended_at`` is when Kafka appended the message (us), None where that is not known.
        It falls only if event time had run ahead of every agent (see the top of this file).
        """
        boots = self._agents[agent]
        known = boots[boot]
        known.dropped = max(known.dropped, dropped)
        doubtful = watermark is None or self._leaps(agent, known, watermark)
        known.promise(None if doubtful else watermark, appended_at)
        if boot == next(reversed(boots)) and known.safe is not None:
            self._promises[agent] = known.safe
        self._compare(agent, appended_at)
        if live := self._live():
            ran_ahead = self._ran_ahead(max(live))
            if self.watermark is None or ran_ahead or min(live) > self.watermark:
                self.watermark = min(live)
        return self.watermark

    def _compare(self, agent: str, appended_at: int | None) -> None:
        """Note whether what ``agent`` promises is ahead of the log's own time."""
        promised = self._promises.get(agent)
        if appended_at is None or promised is None:
            return
        self._now = appended_at if self._now is None else max(self._now, appended_at)
        if promised > appended_at + AHEAD_US:
            self._ahead.add(agent)
        else:
            self._ahead.discard(agent)
            self._sound_at = self._now

    def _log_time(self) -> int | None:
        """Return the latest append time while there is an agent to prove that clocks can be right, else None."""
        if self._now is None or self._sound_at is None or self._now - self._sound_at > ALONE_US:
            return None
        return self._now

    def _leaps(self, agent: str, known: Boot, watermark: int) -> bool:
        """True if ``watermark`` is too far ahead of event time to be believed (yet)."""
        here = self.watermark
        if here is None or watermark - here <= LEAP_US:
            known.doubted = None
            return False
        first, then = known.doubted or (watermark + 1, here)
        if watermark < first or then != here:  # said for the first time, or the others have gone on since
            known.doubted = (watermark, here)
            return True
        others = any(name != agent and here - at <= PATIENCE_US for name, at in self._promises.items())
        return others and watermark - first <= PATIENCE_US

    def _ran_ahead(self, furthest: int) -> bool:
        """True if all agents are far behind event time and have gone on there for long enough."""
        if self.watermark is None:
            return False
        now = self._log_time()
        proven = now is not None and self.watermark > now + AHEAD_US
        if furthest >= self.watermark - (PATIENCE_US if proven else BACK_US):
            self._behind = None
            return False
        if self._behind is None or furthest < self._behind:
            self._behind = furthest
        if furthest - self._behind <= PATIENCE_US:
            return False
        self._behind = None
        self.set_back += 1
        return True

    def _live(self) -> list[int]:
        if not self._promises:
            return []
        promises: Collection[int] = self._promises.values()
        if self._ahead and (now := self._log_time()) is not None:
            promises = [min(at, now) if agent in self._ahead else at for agent, at in self._promises.items()]
        furthest = max(promises)
        return [promise for promise in promises if furthest - promise <= PATIENCE_US]

    @property
    def live(self) -> int:
        """Agents that take part in the watermark."""
        return len(self._live())

    @property
    def idle(self) -> int:
        """Agents that have promised something but lag too far behind the furthest."""
        return len(self._promises) - len(self._live())

    @property
    def missing(self) -> int:
        """Messages that must exist but have not come, over all boots."""
        return self._forgotten_missing + sum(boot.missing for boot in self._boots())

    @property
    def dropped(self) -> int:
        """Events the agents say they dropped, over all boots."""
        return self._forgotten_dropped + sum(boot.dropped for boot in self._boots())

    def _boots(self) -> list[Boot]:
        return [boot for boots in self._agents.values() for boot in boots.values()]

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "watermark": self.watermark,
            "behind": self._behind,
            "set_back": self.set_back,
            "forgotten": [self._forgotten_missing, self._forgotten_dropped],
            "joined": self._joined,
            "promises": self._promises,
            "log_time": [self._now, self._sound_at, sorted(self._ahead)],
            # Lists, not objects: the order of agents and boots is part of the state.
            "agents": [
                [agent, [[name, boot.dump()] for name, boot in boots.items()]] for agent, boots in self._agents.items()
            ],
        }

    @classmethod
    def load(cls, facts: dict[str, Any]) -> "Sources":
        """Return what ``dump`` described. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        sources = cls(joined=facts["joined"])
        sources.watermark, sources._behind, sources.set_back = (facts[n] for n in ("watermark", "behind", "set_back"))
        sources._forgotten_missing, sources._forgotten_dropped = facts["forgotten"]
        sources._promises = dict(facts["promises"])
        sources._now, sources._sound_at, ahead = facts["log_time"]
        sources._ahead = set(ahead)
        sources._agents = {
            agent: {name: Boot.load(values) for name, values in boots} for agent, boots in facts["agents"]
        }
        return sources
