"""What a service's engines said, second by second: the evidence for why requests failed. Pure.

The last 15 min are kept: an episode that lasts longer has said what came before.
"""

from typing import Any

from streams.processors.engine_track import SECOND_US, Reading
from streams.processors.episodes import PressureEvidence

KEEP_S = 900
_SLACK_S = 60  # so that old seconds are dropped now and then, not every second


class Evidence:
    """Greatest usage and queue, and preemptions, of all engines per second of event time."""

    def __init__(self) -> None:
        self._seconds: dict[int, tuple[float | None, int | None, int | None]] = {}

    def add(self, reading: Reading, preempted: int) -> None:
        """Take over a reading; ``preempted`` requests since the engine's one before."""
        second = reading.at // SECOND_US
        kv_usage, waiting, preemptions = self._seconds.get(second, (None, None, None))
        if reading.preemptions is not None:
            preemptions = (preemptions or 0) + preempted
        self._seconds[second] = (
            _most(kv_usage, reading.kv_usage),
            _most(waiting, reading.waiting),
            preemptions,
        )
        if len(self._seconds) > KEEP_S + _SLACK_S:
            # The first told, not the earliest: one reading of a broken clock must not displace all others.
            for old in list(self._seconds)[:_SLACK_S]:
                del self._seconds[old]

    def during(self, start_us: int, end_us: int) -> PressureEvidence:
        """Return what was said in the seconds that [start, end) touches; all None if nothing was."""
        first, last = start_us // SECOND_US, -(-end_us // SECOND_US)
        if last - first < len(self._seconds):
            told = [self._seconds[s] for s in range(first, last) if s in self._seconds]
        else:
            told = [value for s, value in self._seconds.items() if first <= s < last]
        preemptions = [value[2] for value in told if value[2] is not None]
        return PressureEvidence(
            kv_usage_peak=max((value[0] for value in told if value[0] is not None), default=None),
            waiting_peak=max((value[1] for value in told if value[1] is not None), default=None),
            preemptions=sum(preemptions) if preemptions else None,
        )

    def dump(self) -> list[Any]:
        """Return the state as plain values."""
        return [[second, *told] for second, told in self._seconds.items()]

    def load(self, rows: list[Any]) -> None:
        """Take over what ``dump`` gave. Raises ``TypeError`` or ``ValueError``."""
        self._seconds = {second: (kv_usage, waiting, preempted) for second, kv_usage, waiting, preempted in rows}


def _most(one: Any, other: Any) -> Any:  # noqa: ANN401 - two numbers of the same kind
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
