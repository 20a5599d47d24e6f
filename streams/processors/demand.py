"""How much a service needs: the rate to be ready for, and the replicas that can serve it. Pure.

The rate is a quantile of the arrivals in 10 s (the time requests stay in an engine), from the rate and the dispersion
of the longest window up to 20 min that has both: a service with bursts asks for more than its mean. The dispersion is
that of 10-s bins; until there are enough of them (5 min), that of 1-s bins, which is less. It is never below what comes
now: the last minute, and the last 10 s while a burst is on. Replicas: that rate over what one can finish,
rounded up, at least 1. Nothing is smoothed over time: scaling down slowly is the autoscaler's business (the
stabilisation window of a HorizontalPodAutoscaler, KEDA's cooldownPeriod).
"""

from dataclasses import dataclass
from math import ceil

from streams.processors.bursts import BurstStatus
from streams.processors.capacity import Capacity
from streams.processors.outputs import WindowRow
from streams.stats.demand import demand_rates

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
HORIZON_S = 10
WINDOW_S_MAX = 1200
_MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a service needs as of its last boundary.

    Attributes:
        rates: quantile -> requests per second to be ready for.
        capacity: requests per second one replica can finish; None before enough is known.
        replicas: replicas wanted; None without a capacity.
    """

    rates: dict[float, float]
    capacity: Capacity | None
    replicas: int | None


class DemandMeter:
    """The demand of one service. A function of what it is shown; it remembers only what need not be done twice."""

    def __init__(self, *, quantile: float, replica_capacity: float | None) -> None:
        self._quantile = quantile
        self._operator = None if replica_capacity is None else Capacity(replica_capacity, "operator")
        self._done: tuple[WindowRow, dict[float, float] | None] | None = None

    def demand(self, total: WindowRow | None, burst: BurstStatus, measured: Capacity | None) -> Demand | None:
        """Return what the service with these windows needs; None without a window that has a dispersion."""
        if total is None:
            return None
        if self._done is None or self._done[0] is not total:
            self._done = (total, self._expected(total))
        expected = self._done[1]
        if expected is None:
            return None
        now = total.windows[_MINUTE_S].rate if _MINUTE_S in total.windows else 0.0
        if burst.active:
            now = max(now, burst.rate_10s)
        rates = {quantile: max(rate, now) for quantile, rate in expected.items()}
        capacity = self._operator or measured
        replicas = None if capacity is None else max(1, ceil(rates[self._quantile] / capacity.rate))
        return Demand(rates=rates, capacity=capacity, replicas=replicas)

    def _expected(self, total: WindowRow) -> dict[float, float] | None:
        windows = [stats for window_s, stats in sorted(total.windows.items()) if window_s <= WINDOW_S_MAX]
        coarse = [(stats.rate, stats.dispersion_10s) for stats in windows if stats.dispersion_10s is not None]
        fine = [(stats.rate, stats.dispersion_1s) for stats in windows if stats.dispersion_1s is not None]
        if not (coarse or fine):
            return None
        rate, dispersion = (coarse or fine)[-1]
        quantiles = sorted({*QUANTILES, self._quantile})
        found = demand_rates(rate, dispersion or 1.0, horizon_s=HORIZON_S, quantiles=quantiles)
        return dict(zip(quantiles, found, strict=True))
