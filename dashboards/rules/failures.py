"""Alerts on failing requests: at once where it is beyond doubt, and by how fast the failure budget burns."""

from dashboards.rules import thresholds as at
from dashboards.rules.model import Alert
from dashboards.rules.terms import greatest


def _burning(long: str, short: str, factor: float) -> str:
    """Return the condition of a pair of windows: both burn, and by more failures than a handful."""
    burns = [f"service:burstwatch_failure_burn:rate{window} > {factor:g}" for window in (long, short)]
    guard = f"service:burstwatch_failures:increase{long} >= {at.BURN_FAILURES_MIN}"
    return " and on (service) ".join([*burns, guard])


FAILURES = (
    Alert(
        alert="LLMFailureEpisode",
        # Of all windows the worst: which windows there are is the operator's choice, and a page must not hang on it.
        expr=f"{greatest('failure_burn_rate')} and on (service) {greatest('failure_active')} == 1",
        labels=("service",),
        severity="critical",
        summary="Requests to {{ $labels.service }} fail, up to {{ $value | humanize }} times what its budget allows",
        description=(
            "Over 5 minutes more than three times the budget, and beyond chance; llm.episodes says since when, for "
            "which reasons and what coincided."
        ),
        board="failures",
        wait="0s",
        # As long as the short window of the burn rates, which would else page again for what has just ended.
        keep="5m",
    ),
    Alert(
        alert="LLMFailureBudgetBurnsFast",
        expr=f"({_burning('1h', '5m', at.BURN_HOUR)}) or ({_burning('6h', '30m', at.BURN_SIX_HOURS)})",
        labels=("service",),
        severity="critical",
        summary="{{ $labels.service }} burns its failure budget {{ $value | humanize }} times as fast as it may",
        description="At this pace a month's budget is gone within days: 2 % of it in the last hour, or 5 % in six.",
        board="failures",
        wait="1m",
        keep="5m",
    ),
    Alert(
        alert="LLMFailureBudgetBurns",
        expr=_burning("3d", "6h", at.BURN_THREE_DAYS),
        labels=("service",),
        severity="warning",
        summary="{{ $labels.service }} has failed {{ $value | humanize }} times as often as it may for three days",
        description="A tenth of the month's failure budget went in three days, and it goes on.",
        board="failures",
        wait="15m",
        keep="15m",
    ),
)
