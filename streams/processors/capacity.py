"""How many requests a second can one engine finish? Measured where it is full, extrapolated where it is not. Pure.

*Saturated*: between two readings with KV usage >= 0.9 at both, or with requests waiting in all readings of the last
10 s (an engine may run out of batch slots before memory). What it finishes then is what it can.
*Extrapolated* (Little 1961): usage is rate times what a request holds, so the rate at usage 0.9 is 0.9 * rate / usage.
That is optimistic, because requests stay longer in a fuller engine; the label says so, and the first
saturation replaces it.

Both are means over engine time with a memory of 10 min, in event time.
"""

from math import exp
from typing import Any, NamedTuple

from streams.processors.engine_track import SECOND_US, Place, Reading

FULL_RATIO = 0.9
WAITING_US = 10 * SECOND_US
MEMORY_S = 600.0
SATURATED_S_MIN = 20.0
FINISHED_MIN = 30.0
USAGE_MIN = 0.2  # below, a small error of the usage is a large one of the capacity
_STEP_US_MAX = 60 * SECOND_US  # readings further apart say little about what was between them


class Capacity(NamedTuple):
    """Requests per second one replica can finish, and how that is known: operator, saturated or extrapolated."""

    rate: float
    method: str


class CapacityMeter:
    """What the engines of one service finished, in time-weighted sums that fade."""

    def __init__(self) -> None:
        self._finished_full = self._seconds_full = 0.0
        self._finished = self._seconds = self._usage = 0.0
        self._queued_since: dict[Place, int] = {}  # engines with requests waiting, since when without a pause

    def add(self, before: Reading, now: Reading) -> None:
        """Take over what one engine did between two readings in a row."""
        queued = self._queued(before, now)
        if before.finished is None or now.finished is None or now.at - before.at > _STEP_US_MAX:
            return
        span_s = (now.at - before.at) / SECOND_US
        finished = now.finished - before.finished
        fade = exp(-span_s / MEMORY_S)
        usages = (before.kv_usage, now.kv_usage)
        if queued or all(usage is not None and usage >= FULL_RATIO for usage in usages):
            self._finished_full = fade * self._finished_full + finished
            self._seconds_full = fade * self._seconds_full + span_s
        elif before.kv_usage is not None and now.kv_usage is not None:
            self._finished = fade * self._finished + finished
            self._seconds = fade * self._seconds + span_s
            self._usage = fade * self._usage + span_s * (before.kv_usage + now.kv_usage) / 2

    def _queued(self, before: Reading, now: Reading) -> bool:
        """True if requests have waited in the engine for 10 s on end."""
        place = (now.node, now.engine)
        if not now.waiting:
            self._queued_since.pop(place, None)
            return False
        since = self._queued_since.setdefault(place, now.at)
        return before.at - since >= WAITING_US

    def forget(self, place: Place) -> None:
        """Forget an engine that is gone; what it finished stays."""
        self._queued_since.pop(place, None)

    @property
    def capacity(self) -> Capacity | None:
        """What one engine can do; None before enough has been seen."""
        if self._seconds_full >= SATURATED_S_MIN and self._finished_full >= FINISHED_MIN:
            return Capacity(self._finished_full / self._seconds_full, "saturated")
        if self._finished >= FINISHED_MIN and self._usage >= USAGE_MIN * self._seconds:
            return Capacity(FULL_RATIO * self._finished / self._usage, "extrapolated")
        return None

    def dump(self) -> list[Any]:
        """Return the state as plain values."""
        sums = [self._finished_full, self._seconds_full, self._finished, self._seconds, self._usage]
        return [sums, [[*place, since] for place, since in self._queued_since.items()]]

    def load(self, values: list[Any]) -> None:
        """Take over what ``dump`` gave. Raises ``TypeError`` or ``ValueError``."""
        sums, queued = values
        self._finished_full, self._seconds_full, self._finished, self._seconds, self._usage = sums
        self._queued_since = {(node, engine): since for node, engine, since in queued}
