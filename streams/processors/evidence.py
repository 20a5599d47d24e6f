"""What a service's engines said, second by second: the evidence for why requests failed. Pure.

The last 15 min are kept: an episode that lasts longer has said what came before.
"""

from collections.abc import Sequence
from typing import Any

from streams.processors.engine_track import SECOND_US, Reading
from streams.processors.episodes import PressureEvidence

KEEP_S = 900
_SLACK_S = 60  # so that old seconds are dropped now and then, not every second


class Evidence:
    """Greatest usage and queue, and preemptions, of all engines per second of event time."""

    def __init__(self) -> None:
        self._seconds: dict[int, PressureEvidence] = {}

    def add(self, reading: Reading, preempted: int) -> None:
        """Take over a reading; ``preempted`` requests since the engine's one before."""
        second = reading.at // SECOND_US
        told = PressureEvidence(reading.kv_usage, reading.waiting, None if reading.preemptions is None else preempted)
        before = self._seconds.get(second)
        self._seconds[second] = told if before is None else joined([before, told])
        if len(self._seconds) > KEEP_S + _SLACK_S:
            # The first told, not the earliest: one reading of a broken clock must not displace all others.
            for old in list(self._seconds)[:_SLACK_S]:
                del self._seconds[old]

    def during(self, start_us: int, end_us: int) -> PressureEvidence:
        """Return what was said in the seconds that [start, end) touches; all None if nothing was."""
        first, last = start_us // SECOND_US, -(-end_us // SECOND_US)
        if last - first < len(self._seconds):
            return joined([self._seconds[s] for s in range(first, last) if s in self._seconds])
        return joined([told for s, told in self._seconds.items() if first <= s < last])

    def dump(self) -> list[Any]:
        """Return the state as plain values."""
        return [[second, *told] for second, told in self._seconds.items()]

    def load(self, rows: list[Any]) -> None:
        """Take over what ``dump`` gave. Raises ``TypeError`` or ``ValueError``."""
        self._seconds = {second: PressureEvidence(kv, waiting, preempted) for second, kv, waiting, preempted in rows}


def joined(told: Sequence[PressureEvidence]) -> PressureEvidence:
    """Return the evidence of several readings or spans of time taken together; all None if nothing was told.

    >>> joined([PressureEvidence(kv_usage_peak=0.5, preemptions=1), PressureEvidence(kv_usage_peak=0.9, preemptions=2)])
    PressureEvidence(kv_usage_peak=0.9, waiting_peak=None, preemptions=3)
    """
    preempted = [one.preemptions for one in told if one.preemptions is not None]
    return PressureEvidence(
        kv_usage_peak=max((one.kv_usage_peak for one in told if one.kv_usage_peak is not None), default=None),
        waiting_peak=max((one.waiting_peak for one in told if one.waiting_peak is not None), default=None),
        preemptions=sum(preempted) if preempted else None,
    )
