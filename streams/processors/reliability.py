"""How often requests fail, and how many are in flight: a window's completions in numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.processors.count_panes import COMPLETIONS, DURATION_US, FAILURES, TIMED
from streams.stats.jeffreys import jeffreys_bounds
from streams.stats.wilson import wilson_bounds

JEFFREYS_BELOW = 100  # completions

Bounds = tuple[float, float] | tuple[None, None]


class Reliability(NamedTuple):
    """See ``outputs.WindowStats`` for what each means."""

    failure_ratio: float | None
    wilson: Bounds
    jeffreys: Bounds
    by_reason: Mapping[str, int]
    concurrency: float | None


def reliability(counts: Sequence[int], reasons: Mapping[str, int], *, covered_s: int) -> Reliability:
    """Return what the sums over a window's completions say.

    Jeffreys' bounds are given where Wilson's may cover too little (86 % at p = .005 and n = 30): below 100 completions
    (Brown, Cai and DasGupta 2001). How many failed must not decide it: an interval given only when few did
    holds a true ratio of 7 % in 57 of 100 cases instead of 95. Concurrency is Little's law, L = lambda W (Little
    1961): completions per second times their mean duration, the mean taken over those whose duration is known.
    """
    completions, failures, timed = counts[COMPLETIONS], counts[FAILURES], counts[TIMED]
    if not completions:
        return Reliability(None, (None, None), (None, None), {}, None)
    wilson, jeffreys = wilson_bounds(failures, completions), None
    if completions < JEFFREYS_BELOW:
        jeffreys = jeffreys_bounds(failures, completions)
    return Reliability(
        failure_ratio=failures / completions,
        wilson=wilson or (None, None),
        jeffreys=jeffreys or (None, None),
        by_reason=dict(sorted(reasons.items())),
        concurrency=counts[DURATION_US] * completions / (timed * covered_s * 1_000_000) if timed else None,
    )
