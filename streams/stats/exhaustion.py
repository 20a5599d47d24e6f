"""When is the room used up, if a level goes on growing as it does?

The level is taken for a random walk with drift (``slope.py``). t seconds from now it lies around rate * t with
variance noise * (t + t^2 / span): the walk's own noise, and that of the rate measured over ``span`` seconds (the
prediction interval of the drift method: Hyndman and Athanasopoulos, Forecasting, 3rd ed., section 5.5). The lower
bound is the first t at which the upper 95 % line of that reaches the room left.

How honest the bound is (simulated engine, 1 reading a second, 6 h of bursts, ramps and steady load; share of
predictions after which the cache was not full before the bound): 96-100 %, nominal 95 %. Where growth slows down by
itself, as it does when the load stays below what the engine carries, the estimate is early.
"""

from dataclasses import dataclass
from math import sqrt

from streams.stats.slope import Z95, Drift


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """Seconds from now until nothing is left: the lower 95 % bound and the estimate."""

    lower_s: float
    estimate_s: float


def exhaustion(room: float, growth: Drift | None) -> Exhaustion | None:
    """Return when ``room`` (in the level's unit) is used up; None while the level does not clearly grow.

    >>> found = exhaustion(0.4, Drift(rate=0.1, noise=0.001, span_s=5.0))
    >>> round(found.lower_s, 2), round(found.estimate_s, 2)
    (2.89, 4.0)
    >>> exhaustion(0.4, Drift(rate=0.01, noise=0.001, span_s=5.0)) is None
    True
    >>> exhaustion(0.0, Drift(rate=0.1, noise=0.001, span_s=5.0)).lower_s
    0.0
    """
    if growth is None or not growth.growing:
        return None
    room = max(room, 0.0)
    spread = Z95 * Z95 * growth.noise
    # (room - rate t)^2 = spread (t + t^2 / span), the smaller root; it exists because the rate is above its error
    a = growth.rate**2 - spread / growth.span_s
    b = 2 * room * growth.rate + spread
    root = sqrt(max(b * b - 4 * a * room * room, 0.0))
    return Exhaustion(2 * room * room / (b + root), room / growth.rate)
