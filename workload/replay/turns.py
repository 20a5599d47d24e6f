"""Sessions in turn: a turn is sent after the answer to the turn before it and the recorded think time. Pure."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from workload.replay.options import SessionMode
from workload.replay.schedule import Shot

# Sessions that wait for nothing are remembered, to time a turn that comes later, up to this many.
SESSIONS_MAX = 20_000


class Planned(NamedTuple):
    """A request and when it should leave (seconds on the replay's axis)."""

    at_s: float
    shot: Shot


@dataclass(slots=True)
class _Session:
    last: Shot
    waiting: deque[Shot] = field(default_factory=deque)
    open: bool = True
    sent_s: float = 0.0
    ended_s: float = 0.0


class Turns:
    """Which request may leave when. Requests come in by ``offer`` in the order they are due, ends by ``ended``.

    In a closed session the next turn leaves at *end of the answer + think time*, where think time is the recorded
    time between the two submissions less the recorded time of the answer. Where the trace does not tell how long
    answers took, the recorded time between submissions is kept from the turn's own sending, but a turn never leaves
    before the answer. So a slower server moves a session later, a faster one moves it sooner.
    """

    def __init__(self, mode: SessionMode) -> None:
        self._mode = mode
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self.waiting = 0  # turns whose turn before is not answered yet

    @property
    def look_ahead_s(self) -> float:
        """Return how far ahead of its time a request must be offered: a faster server calls for turns early."""
        return 300.0 if self._mode is SessionMode.CLOSED else 0.0

    def offer(self, shot: Shot, now_s: float) -> Planned | None:
        """Return when ``shot`` leaves, or None: it waits for an answer, and ``ended`` will return it."""
        if self._mode is SessionMode.OPEN or shot.conversation is None:
            return Planned(shot.at_s, shot)
        session = self._sessions.get(shot.conversation)
        if session is None:
            self._sessions[shot.conversation] = _Session(shot)
            self._forget()
            return Planned(shot.at_s, shot)
        self._sessions.move_to_end(shot.conversation)
        if session.open:
            session.waiting.append(shot)
            self.waiting += 1
            return None
        return self._next(session, shot, now_s)

    def ended(self, shot: Shot, *, sent_s: float, ended_s: float) -> Planned | None:
        """Take the end of ``shot``, whatever its outcome; return the turn that follows, if it is known already."""
        if self._mode is SessionMode.OPEN or shot.conversation is None:
            return None
        session = self._sessions.get(shot.conversation)
        if session is None:
            return None
        session.open, session.sent_s, session.ended_s = False, sent_s, ended_s
        if not session.waiting:
            return None
        self.waiting -= 1
        return self._next(session, session.waiting.popleft(), ended_s)

    def _next(self, session: _Session, shot: Shot, now_s: float) -> Planned:
        gap_s = shot.at_s - session.last.at_s
        if session.last.elapsed_s is None:
            at_s = max(session.ended_s, session.sent_s + gap_s)
        else:
            at_s = session.ended_s + max(0.0, gap_s - session.last.elapsed_s)
        session.last, session.open = shot, True
        return Planned(max(at_s, now_s), shot)

    def _forget(self) -> None:
        """Keep memory bounded: the longest silent of the sessions that wait for nothing goes."""
        while len(self._sessions) > SESSIONS_MAX:
            name, session = next(iter(self._sessions.items()))
            if session.open:
                self._sessions.move_to_end(name)
                return
            del self._sessions[name]
