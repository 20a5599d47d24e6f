"""Alerts on failing requests: at once where it is beyond doubt, and by how fast the failure budget burns."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import FIGURE
from dashboards.rules.model import Alert
from dashboards.rules.terms import greatest


def _burning(long: str, short: str, factor: float) -> str:
    """Return the condition of a pair of windows: both burn, and by more failures than a handful."""
    burns = [f"service:burstwatch_failure_burn:rate{window} > {factor:g}" for window in (long, short)]
    guard = f"service:burstwatch_failures:increase{long} >= {at.BURN_FAILURES_MIN}"
    return " and on (service) ".join([*burns, guard])


def _thin(burning: str, since: str) -> str:
    """Return ``burning`` without services that were in an episode within ``since``: that has been paged.

    Failures that are over still burn in the short window, for as long as it is, when the episode's alert has ended and
    inhibits nothing any more. ``since`` is the short window and five minutes, for what is scraped and recorded later.
    Nothing is hidden by it: what fails again beyond doubt is an episode again, and thin failures are told a little
    later. A range has what a worker said before it went away, so no restart lifts it.
    """
    return f"{burning} unless on (service) max by (service) (max_over_time(burstwatch_failure_active[{since}])) == 1"


def _known(burning: str, hours: str) -> str:
    """Return ``burning`` of services that have been measured for at least ``hours``, of which a sample may be missing.

    A rate over days of what has run for minutes is the rate of these minutes.
    """
    known = f"present_over_time(service:burstwatch_failure_burn:rate6h[{hours}] offset {hours})"
    return f"{burning} and on (service) {known}"


_HOUR = _thin(_burning("1h", "5m", at.BURN_HOUR), since="10m")
_SIX_HOURS = _thin(_burning("6h", "30m", at.BURN_SIX_HOURS), since="35m")


FAILURES = (
    Alert(
        alert="LLMFailureEpisode",
        # Of all windows the worst: which windows there are is the operator's choice, and a page must not hang on it.
        expr=f"{greatest('failure_burn_rate')} and on (service) {greatest('failure_active')} == 1",
        labels=("service",),
        severity="critical",
        summary=f"Requests to {{{{ $labels.service }}}} fail, up to {FIGURE} times what its budget allows",
        description=(
            "Over 5 minutes more than three times the budget, and beyond chance; llm.episodes says since when, for "
            "which reasons and what coincided."
        ),
        board="failures",
        wait="0s",
        # Failures come back: one page for it. LLMFailureBudgetBurnsFast, if it was on before, ends within this time.
        keep="5m",
    ),
    Alert(
        alert="LLMFailureBudgetBurnsFast",
        expr=f"({_HOUR}) or ({_SIX_HOURS})",
        labels=("service",),
        severity="critical",
        summary=f"{{{{ $labels.service }}}} burns its failure budget {FIGURE} times as fast as it may",
        description="Thin failures, without an episode; at this pace a month's budget is gone within two to five days.",
        board="failures",
        wait="1m",
        keep="5m",
    ),
    Alert(
        alert="LLMFailureBudgetBurns",
        expr=_known(_burning("3d", "6h", at.BURN_THREE_DAYS), hours="6h"),
        labels=("service",),
        severity="warning",
        summary=f"{{{{ $labels.service }}}} has failed {FIGURE} times as often as it may, over up to three days",
        description="Three days at this pace take a tenth of a month's failure budget or more, and it goes on.",
        board="failures",
        wait="15m",
        keep="15m",
    ),
)
