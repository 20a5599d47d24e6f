"""What went on while requests failed: bursts of the service, its engines' memory, both, or neither.

It says what coincided, with the evidence, and claims no cause. Memory was under pressure if an engine's KV cache was
in use to 95 % or more, or an engine preempted requests.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from streams.processors.bursts import SECOND_US
from streams.processors.episodes import FailureEpisode, PressureEvidence
from streams.processors.outputs import Episode

LOOKBACK_US = 30 * SECOND_US  # what an episode of failures may still owe to
KV_PRESSED_RATIO = 0.95
BURSTS_MAX = 64


class Attribution(StrEnum):
    """What coincided with failures. Closed set: safe as a metric label."""

    BURST = "burst"
    MEMORY_PRESSURE = "memory_pressure"
    BURST_AND_MEMORY_PRESSURE = "burst_and_memory_pressure"
    NEITHER = "neither"
    UNKNOWN = "unknown"  # no burst, and nothing is known of the engines


class Engines(Protocol):
    """What is asked of the engines' readings."""

    def during(self, start_us: int, end_us: int) -> PressureEvidence:
        """Return what they said in [start, end), as far as it is known by now."""
        ...


def attribute(*, burst: bool, evidence: PressureEvidence) -> Attribution:
    """Return what coincided.

    >>> attribute(burst=True, evidence=PressureEvidence(kv_usage_peak=0.97)).value
    'burst_and_memory_pressure'
    >>> attribute(burst=True, evidence=PressureEvidence()).value
    'burst'
    >>> attribute(burst=False, evidence=PressureEvidence()).value
    'unknown'
    """
    pressed = (evidence.kv_usage_peak or 0.0) >= KV_PRESSED_RATIO or (evidence.preemptions or 0) > 0
    if pressed:
        return Attribution.BURST_AND_MEMORY_PRESSURE if burst else Attribution.MEMORY_PRESSURE
    if burst:
        return Attribution.BURST
    seen = evidence.kv_usage_peak is not None or evidence.preemptions is not None
    return Attribution.NEITHER if seen else Attribution.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """A burst as far as it is known: from ``onset`` to ``end`` (us; None while it lasts), and its peak (1/s)."""

    onset: int
    end: int | None
    peak_rate: float

    def overlaps(self, start_us: int, end_us: int) -> bool:
        """True if it was on at some time in [start, end)."""
        return self.onset < end_us and (self.end is None or self.end > start_us)


class RecentBursts:
    """The bursts of late, oldest first; at most ``BURSTS_MAX``."""

    def __init__(self) -> None:
        self._bursts: list[Burst] = []

    @property
    def active(self) -> bool:
        """True while a burst lasts."""
        return bool(self._bursts) and self._bursts[-1].end is None

    def note(self, episode: Episode) -> None:
        """Take over an onset or an end."""
        if self.active:
            self._bursts.pop()
        self._bursts.append(Burst(onset=episode.onset, end=episode.end, peak_rate=episode.peak_rate))
        if len(self._bursts) > BURSTS_MAX:
            del self._bursts[-2]  # those that began first matter to a long episode of failures

    def follow(self, rate: float) -> None:
        """Raise the peak of the burst that is on."""
        if self.active and rate > self._bursts[-1].peak_rate:
            self._bursts[-1] = replace(self._bursts[-1], peak_rate=rate)

    def close(self, end_us: int) -> None:
        """End the burst that is on: whoever began it will not."""
        if self.active:
            self._bursts[-1] = replace(self._bursts[-1], end=end_us)

    def forget(self, before_us: int) -> None:
        """Drop those that ended at or before ``before_us``."""
        self._bursts = [burst for burst in self._bursts if burst.end is None or burst.end > before_us]

    def any_during(self, start_us: int, end_us: int) -> bool:
        """True if one was on at some time in [start, end)."""
        return any(burst.overlaps(start_us, end_us) for burst in self._bursts)

    def nearest(self, onset_us: int, start_us: int, end_us: int) -> Burst | None:
        """Return the burst that was on in [start, end) and began last before ``onset_us``, else first after it."""
        on = [burst for burst in self._bursts if burst.overlaps(start_us, end_us)]
        before = [burst for burst in on if burst.onset <= onset_us]
        return before[-1] if before else on[0] if on else None

    def dump(self) -> list[Any]:
        """Return the state as plain values."""
        return [asdict(burst) for burst in self._bursts]

    def load(self, rows: list[Any]) -> None:
        """Take over what ``dump`` gave. Raises ``TypeError`` if it does not fit."""
        self._bursts = [Burst(**row) for row in rows]


def explained(episode: FailureEpisode, bursts: RecentBursts, evidence: PressureEvidence) -> FailureEpisode:
    """Return ``episode`` with what it is attributed to by the ``bursts`` and the engines' ``evidence`` of its time."""
    start, end = episode.onset - LOOKBACK_US, episode.end or episode.detected
    burst = bursts.nearest(episode.onset, start, end)
    return replace(
        episode,
        attribution=attribute(burst=burst is not None, evidence=evidence).value,
        burst_onset=burst.onset if burst else None,
        burst_peak_rate=burst.peak_rate if burst else None,
        burst_lead_s=(episode.onset - burst.onset) / SECOND_US if burst else None,
        kv_usage_peak=evidence.kv_usage_peak,
        waiting_peak=evidence.waiting_peak,
        preemptions=evidence.preemptions,
    )
