"""When does a service burst? Skeleton: the status only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstStatus:
    """Where the detector stands after the last complete second of event time.

    Attributes:
        active: a burst is on; ``onset`` is then its start (us), else None.
        z: score of the last 10 s against the baseline; None until there is a baseline.
        baseline_rate: expected arrivals per second; None until there is a baseline.
        rate_10s: arrivals per second over the last 10 s.
        episodes_total: bursts begun so far.
    """

    active: bool
    z: float | None
    baseline_rate: float | None
    rate_10s: float
    episodes_total: int
    onset: int | None
