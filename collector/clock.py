"""Event time for live sources: wall clock that never goes back."""

import time

# A difference above this is a step of the wall clock, not reading noise.
_STEP_US = 500_000


class Clock:
    """Microseconds since the Unix epoch, counted by the monotonic clock.

    Steps of the wall clock forward are followed; steps back are not (durations and the order of events stay
    true, and a watermark once given stays true).
    """

    def __init__(self) -> None:
        self._offset_us = _wall_us() - _monotonic_us()

    def now_us(self) -> int:
        """Return the time; never less than before."""
        wall, monotonic = _wall_us(), _monotonic_us()
        if wall - (monotonic + self._offset_us) > _STEP_US:
            self._offset_us = wall - monotonic
        return monotonic + self._offset_us


def _wall_us() -> int:
    return time.time_ns() // 1000


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
