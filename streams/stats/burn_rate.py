"""Burn rate of a failure budget, and the window pairs that page or open a ticket (Google SRE workbook, chapter 5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRule:
    """Both windows must burn faster than ``factor``; the short one ends the alert soon after the trouble does.

    Attributes:
        long_s: length of the long window in seconds; ``short_s`` of the short one, a twelfth of it.
        factor: burn rate that both must exceed.
        budget_share: how much of a 30-day budget the long window then has spent.
        page: wake somebody; otherwise a ticket will do.
    """

    long_s: int
    short_s: int
    factor: float
    budget_share: float
    page: bool


BURN_RULES = (
    BurnRule(long_s=3600, short_s=300, factor=14.4, budget_share=0.02, page=True),
    BurnRule(long_s=6 * 3600, short_s=1800, factor=6.0, budget_share=0.05, page=True),
    BurnRule(long_s=3 * 86_400, short_s=6 * 3600, factor=1.0, budget_share=0.10, page=False),
)


def burn_rate(failures: int, completions: int, budget: float) -> float | None:
    """Return the failure ratio over the ratio the budget allows; at 1 the budget lasts exactly its period.

    ``budget`` is the tolerated failure ratio (0.01 for an objective of 99 %), above 0. Counts of several
    intervals are to be added first: a mean of ratios weighs a quiet minute like a busy one. Without
    completions: None. Raises ``ValueError`` for a budget outside (0, 1].

    >>> burn_rate(9, 80, 0.01), burn_rate(0, 10, 0.01), burn_rate(0, 0, 0.01)
    (11.25, 0.0, None)
    """
    if not 0 < budget <= 1:
        raise ValueError("the failure budget must be above 0 and at most 1")
    return failures / completions / budget if completions else None
