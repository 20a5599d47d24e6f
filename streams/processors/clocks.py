"""Which agents' clocks are wrong, told by the log's own time. For display and the log only: no result depends on it.

An agent promises "everything up to P has been sent" by its own clock; Kafka notes when it appended the message, A.
The difference A - P is the agent's delay plus how far its clock is behind. Delay is never negative, so the least
difference over a minute tells most: well below zero, the clock is ahead for certain, by at least so much; above, it
is delay or a clock behind (or both), at most so much. More than a day behind it is a recording being played.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from streams.processors.sources import AHEAD_US, PATIENCE_US

RECORDING_US = 86_400_000_000
SPAN_US = 30_000_000  # the least over this span and the one before it
SILENT_US = 60_000_000
AGENTS_MAX = 1_000


class Verdict(StrEnum):
    """What an agent's promises say of its clock."""

    SOUND = "sound"
    AHEAD = "ahead"
    BEHIND = "behind"  # or its messages are under way for so long
    RECORDING = "recording"


@dataclass(slots=True)
class Clock:
    """One agent's.

    Attributes:
        heard_at: append time of its last message (us).
        delay_us: least delay over the last half to whole minute; negative if its clock is ahead.
        verdict: what follows.
    """

    heard_at: int
    delay_us: int
    verdict: Verdict = Verdict.SOUND
    first: int = 0  # span of the first message
    span: int = 0  # of the last; in the log's time
    least: int = 0  # within this span
    before: int | None = None  # within the span before; None if nothing was heard


class Clocks:
    """The agents heard last, ``AGENTS_MAX`` at most."""

    def __init__(self) -> None:
        self._agents: dict[str, Clock] = {}  # the longest unheard first
        self._now = 0

    def hear(self, agent: str, promised: int, appended_at: int) -> Clock | None:
        """Take over a promise and when Kafka appended it (us); return the agent's clock if the verdict changed.

        >>> clocks = Clocks()
        >>> clocks.hear("a", promised=10_000_000, appended_at=10_200_000) is None
        True
        >>> clocks.hear("b", promised=15_000_000, appended_at=10_200_000).verdict.value
        'ahead'
        """
        self._now = max(self._now, appended_at)
        delay, span = appended_at - promised, appended_at // SPAN_US
        clock = self._agents.pop(agent, None)
        if clock is None:
            clock = Clock(appended_at, delay, first=span, span=span, least=delay)
            if len(self._agents) >= AGENTS_MAX:
                del self._agents[next(iter(self._agents))]
        self._agents[agent] = clock
        clock.heard_at = appended_at
        if span != clock.span:
            clock.before = clock.least if span == clock.span + 1 else None
            clock.span, clock.least = span, delay
        clock.least = min(clock.least, delay)
        clock.delay_us = clock.least if clock.before is None else min(clock.least, clock.before)
        verdict = _verdict(clock)
        if verdict is clock.verdict:
            return None
        clock.verdict = verdict
        return clock

    def heard(self) -> Iterator[tuple[str, Clock]]:
        """Return the agents heard within the last minute of the log's time."""
        return ((agent, clock) for agent, clock in list(self._agents.items()) if self._now - clock.heard_at < SILENT_US)


def _verdict(clock: Clock) -> Verdict:
    if clock.delay_us < -AHEAD_US:
        return Verdict.AHEAD
    if clock.delay_us > RECORDING_US:
        return Verdict.RECORDING
    if clock.delay_us <= PATIENCE_US:  # beyond, the others of the service do not wait for it any more
        return Verdict.SOUND
    # One message from a backlog is no proof: only a whole span without a quick one is.
    return Verdict.BEHIND if clock.before is not None and clock.span > clock.first + 1 else clock.verdict
