"""What the operator may choose about the analysis. The defaults come from simulations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from collector.schema.errors import OperatorError

DETECTORS = ("scanz", "ten-seconds")
PANE_S = 10
WINDOW_S_MAX = 3600  # squares of microsecond gaps up to an hour still fit in 64 bits: the sums stay exact
CLASSES_MAX = 10_000  # columns are kept in 16 bits
BUDGET_RATIO_MAX = 0.2  # three times it must still be a ratio, or nothing could ever exceed it


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    """Windows, gates and thresholds. Raises ``OperatorError`` if they contradict each other.

    Attributes:
        windows_s: window lengths in seconds, multiples of 10, ascending, at most an hour.
        hold_s: the ordered path waits this long behind the watermark before it fixes the order of arrivals.
        lateness_s: counts are amended by events this far behind the watermark; older ones only reach totals.
        gaps_min: gaps a window needs before CV and Gamma parameters are given.
        bins_min: bins a window needs before an index of dispersion is given.
        detector: "scanz" (windows of 1 to 60 s, time of day) or "ten-seconds" (one window, simple).
        burst_threshold: score at which a burst begins (4.0: see ``stats.fleet_threshold``).
        burst_warmup_s: no alarm for so long after a service's first event (the baseline is being learned).
        burst_tolerance: relative error of the baseline that is tolerated; sets the smallest burst seen.
        failure_budget_ratio: failures over completions that are allowed, more than 0 and at most 0.2;
            ``failure_budgets`` the same by service, for those that differ.
        replica_capacity: requests per second one engine can finish, by service, where the operator knows better
            than what is measured.
        demand_quantile: share of 10-s intervals whose arrivals the wanted replicas can serve.
        burst_profile_days: days that must be known before the time of day is expected; 0: it never is.
        percentile_window_s_max: windows up to this long have percentiles of tokens and latencies; 0 for none.
        classes_max: model x log_type combinations kept apart per service; later ones count as "other".
        rows_every_s: rows come where event time is a whole multiple of this. More than 10 makes a report on a long
            trace several times faster; live, everybody counts on 10.
    """

    windows_s: tuple[int, ...] = (10, 60, 300, 1200, 3600)
    hold_s: int = 2
    lateness_s: int = 60
    gaps_min: int = 30
    bins_min: int = 30
    detector: str = "scanz"
    burst_threshold: float = 4.0
    burst_warmup_s: int = 300
    burst_tolerance: float = 0.10
    failure_budget_ratio: float = 0.01
    failure_budgets: Mapping[str, float] = field(default_factory=dict)
    replica_capacity: Mapping[str, float] = field(default_factory=dict)
    demand_quantile: float = 0.99
    burst_profile_days: int = 3
    percentile_window_s_max: int = 300
    classes_max: int = 50
    rows_every_s: int = PANE_S

    def __post_init__(self) -> None:
        windows = self.windows_s
        if not windows or list(windows) != sorted(set(windows)) or windows[0] <= 0:
            raise OperatorError("windows must be given once each, ascending, in seconds, e.g. 10,60,300")
        if any(w % PANE_S for w in windows) or windows[-1] > WINDOW_S_MAX:
            raise OperatorError(f"windows must be multiples of {PANE_S} s and at most {WINDOW_S_MAX} s")
        if self.hold_s < 0 or self.lateness_s < self.hold_s:
            raise OperatorError("lateness must be at least the hold, and the hold at least 0 s")
        if self.gaps_min < 3 or self.bins_min < 2:
            raise OperatorError("gates are too low: gaps_min must be at least 3, bins_min at least 2")
        if not PANE_S <= self.rows_every_s <= WINDOW_S_MAX or self.rows_every_s % PANE_S:
            raise OperatorError(f"rows_every_s must be a multiple of {PANE_S} s and at most {WINDOW_S_MAX} s")
        self._check_bursts()
        if self.percentile_window_s_max < 0:
            raise OperatorError("percentile_window_s_max must be at least 0 s (0: no percentiles)")
        if not 1 <= self.classes_max <= CLASSES_MAX:
            raise OperatorError(f"classes_max must be 1 to {CLASSES_MAX}")
        self._check_demand()
        for budget in (self.failure_budget_ratio, *self.failure_budgets.values()):
            if not 0 < budget <= BUDGET_RATIO_MAX:
                raise OperatorError(
                    f"a failure budget must be more than 0 and at most {BUDGET_RATIO_MAX}, not {budget:g}"
                )

    def _check_demand(self) -> None:
        if not all(0 < rate < inf for rate in self.replica_capacity.values()):
            raise OperatorError("a replica's capacity must be more than 0 requests per second")
        if not 0.5 <= self.demand_quantile <= 0.9999:
            raise OperatorError(f"the demand quantile must be 0.5 to 0.9999, not {self.demand_quantile:g}")

    def failure_budget_of(self, service: str) -> float:
        """Return the failure ratio ``service`` is allowed."""
        return self.failure_budgets.get(service, self.failure_budget_ratio)

    def _check_bursts(self) -> None:
        if self.detector not in DETECTORS:
            raise OperatorError(f"detector must be one of {', '.join(DETECTORS)}, not {self.detector!r}")
        if not (2 < self.burst_threshold < inf and 0 <= self.burst_tolerance < inf):
            raise OperatorError("burst_threshold must exceed 2 (a burst ends below 2), burst_tolerance not be < 0")
        if self.burst_warmup_s < 0 or not 0 <= self.burst_profile_days <= 7:
            raise OperatorError("burst_warmup_s must not be < 0, burst_profile_days must be 0 to 7")
