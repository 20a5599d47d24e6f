"""Token counts drawn from a model's quantiles, millions at a time; responses depend on their requests. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workload.model.model import GrowthBin, Lengths, LogNormal, Quantiles

Floats = NDArray[np.float64]
Int32s = NDArray[np.int32]
Ints = NDArray[np.int64]


def draw_values(rng: np.random.Generator, n: int, law: Quantiles | LogNormal) -> Floats:
    """Return ``n`` values: linear between quantiles, or log-normal and cut at its greatest value."""
    if isinstance(law, LogNormal):
        return np.minimum(np.exp(law.mu + law.sigma * rng.standard_normal(n)), law.max_s)
    return np.interp(rng.random(n), law.probabilities, law.values)


def draw_tokens(rng: np.random.Generator, n: int, law: Quantiles) -> Int32s:
    """Return ``n`` token counts, linear in the logarithm between quantiles (values of at least 1)."""
    logs = np.interp(rng.random(n), law.probabilities, np.log(law.values))
    return np.rint(np.exp(logs)).astype(np.int32)


def draw_requests(rng: np.random.Generator, n: int, lengths: Lengths) -> Int32s:
    """Return ``n`` request lengths."""
    return draw_tokens(rng, n, Quantiles(probabilities=lengths.probabilities, values=lengths.request_tokens))


def draw_responses(rng: np.random.Generator, request: Int32s, lengths: Lengths) -> Int32s:
    """Return a response length for each request, from the quantiles of the bin that its length falls into."""
    bins = lengths.response_given_request
    places, table = _table(lengths)
    uppers = np.array([one.request_up_to for one in bins[:-1]])  # the last bin takes all the rest
    rows = np.searchsorted(uppers, request)
    chance = rng.random(len(request))
    column = np.clip(np.searchsorted(places, chance, side="right") - 1, 0, len(places) - 2)
    share = (chance - places[column]) / (places[column + 1] - places[column])
    low, high = table[rows, column], table[rows, column + 1]
    return np.rint(np.exp(low + share * (high - low))).astype(np.int32)


def _table(lengths: Lengths) -> tuple[Floats, Floats]:
    """Return all bins' quantile functions, as logarithms, on one grid of probabilities that has each bin's points."""
    bins = lengths.response_given_request
    grids = [one.probabilities or lengths.probabilities for one in bins]
    places = np.unique(np.concatenate(grids))
    rows = [np.interp(places, grid, np.log(one.response_tokens)) for grid, one in zip(grids, bins, strict=True)]
    return places, np.array(rows)


def growing_requests(first: Int32s, growth: Ints, heads: Ints, *, low: int, high: int) -> Int32s:
    """Return request lengths turn by turn: each session's ``first``, then changed by ``growth``, within bounds.

    ``heads`` are the places of the sessions' first turns among the ``len(growth)`` turns; the growth there is not
    used. A length that would fall below ``low`` is ``low`` and goes on from there, as in
    x = max(x + growth, low); one above ``high`` is shown as ``high``. The recursion has a closed form (Lindley's):
    with s the running sum of a session, x = s + max(0, max over turns so far of (low - s)).
    """
    if not len(growth):
        return np.empty(0, np.int32)
    steps = growth.copy()
    steps[heads] = first
    total = np.cumsum(steps)
    sizes = np.diff(heads, append=len(growth))
    total -= np.repeat(total[heads] - first, sizes)
    # The running maximum must begin anew with each session: every session is lifted above the one before.
    lift = np.repeat(np.arange(len(heads)), sizes) * (int(np.ptp(total)) + 1)
    lacking = np.maximum.accumulate(low - total + lift) - lift
    return np.clip(total + np.maximum(lacking, 0), low, high).astype(np.int32)


def growing_by_length(
    first: Int32s, chance: Floats, counts: Ints, bins: Sequence[GrowthBin], bounds: tuple[int, int]
) -> Int32s:
    """Return request lengths turn by turn, session by session: growth is that of the bin of the length it begins from.

    ``counts`` are the sessions' turns, ``chance`` the place in the quantiles for each turn (not used at first ones).
    Lengths stay within ``bounds``. One step for all sessions of so many turns, so the longest says how many steps.
    """
    made = np.empty(len(chance), np.int32)
    if not len(counts):
        return made
    order = np.argsort(-counts, kind="stable")  # those that go on longest come first
    heads = (np.cumsum(counts) - counts)[order]
    places = np.unique(np.concatenate([one.growth_tokens.probabilities for one in bins]))
    table = np.array([np.interp(places, one.growth_tokens.probabilities, one.growth_tokens.values) for one in bins])
    uppers = np.array([one.request_up_to for one in bins[:-1]])
    at = np.clip(first[order].astype(np.float64), *bounds)
    made[heads] = at
    going = np.searchsorted(np.sort(counts), np.arange(counts.max()), side="right")
    for turn in range(1, int(counts.max())):
        at = at[: len(counts) - going[turn]]
        mine = heads[: len(at)] + turn
        column = np.clip(np.searchsorted(places, chance[mine], side="right") - 1, 0, len(places) - 2)
        share = (chance[mine] - places[column]) / (places[column + 1] - places[column])
        rows = np.searchsorted(uppers, at)
        low, high = table[rows, column], table[rows, column + 1]
        at = np.clip(at + np.rint(low + share * (high - low)), *bounds)
        made[mine] = at
    return made
