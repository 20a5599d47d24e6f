"""What a burst detector is; scanz.py is the default, ten_seconds.py the simple one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from streams.processors.outputs import Episode

SECOND_US = 1_000_000
BLOCK_S = 10  # what baselines are learned from, on the grid of event time
SILENCE_S = 3600
CLEAR_SCORE = 2.0
CLEAR_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstStatus:
    """Where the detector stands after the last complete second of event time.

    Attributes:
        active: a burst is on; ``onset`` is then its start (us), else None.
        z: greatest score of the windows that end now, against what is expected next; None until there is a baseline.
        baseline_rate: expected arrivals per second; None until there is a baseline.
        rate_10s: arrivals per second over the last 10 s.
        episodes_total: bursts begun so far.
        threshold: the score at which a burst begins.
    """

    active: bool
    z: float | None
    baseline_rate: float | None
    rate_10s: float
    episodes_total: int
    onset: int | None
    threshold: float


class BurstDetector(Protocol):
    """What a detector must offer; ``timeline.py`` and ``service.py`` know no more of it."""

    @property
    def active(self) -> bool:
        """True while a burst lasts: cheap, unlike ``status``, whose score is worked out when asked for."""
        ...

    @property
    def status(self) -> BurstStatus:
        """Where it stands."""
        ...

    def feed(self, second: int, counts: Sequence[int]) -> list[Episode]:
        """Take the arrivals of ``second``, ``second + 1``, ...; seconds left out before were silent.

        Returns the onsets and ends found. Seconds already fed are ignored.
        """
        ...

    def start_over(self) -> list[Episode]:
        """Forget where event time stood, for any seconds to come; return the end of a burst that was on.

        How many bursts there were stays known, and the time of day.
        """
        ...

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        ...

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        ...


def ended(burst: Episode, end: int) -> Episode:
    """Return ``burst`` as it is told when it has ended at ``end`` (us)."""
    lasted_s = (end - burst.onset) / SECOND_US
    return replace(burst, state="end", end=end, excess=burst.arrivals - burst.baseline_rate * lasted_s)
