"""The rate of one class of a model along the trace that is to be made: timeline, profile of the day, bursts. Pure."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from collector.schema.errors import OperatorError
from workload.generate.lengths import draw_values
from workload.model.model import Arrivals, Bursts, ModelClass
from workload.scale.renewal import RateCurve

Floats = NDArray[np.float64]

_HOUR_S = 3600.0
_PIECES_MAX = 10_000_000  # of a timeline or a profile, laid end to end; and of burst episodes


def curve_of(
    rng: np.random.Generator, one: ModelClass, *, duration_s: float, start_s: float, steady: bool
) -> RateCurve:
    """Return rate and shape from 0 to ``duration_s``, which is ``start_s`` into the timeline or profile.

    A timeline says both; else a profile says the rate; else, or if ``steady``, both are the class's own. Timelines and
    profiles begin again at their end. Bursts are drawn and multiply the rate; what chance makes of them is in the
    curve, while ``expected_of`` is what the model has on average. Raises ``OperatorError`` for a length of more than
    ``_PIECES_MAX`` windows or bursts.
    """
    curve = _between_bursts(one, duration_s=duration_s, start_s=start_s, steady=steady)
    return _with_bursts(rng, curve, one.bursts) if one.bursts else curve


def expected_of(one: ModelClass, *, duration_s: float, start_s: float, steady: bool) -> float:
    """Return the number of requests of the class that ``curve_of`` has on average, bursts included."""
    curve = _between_bursts(one, duration_s=duration_s, start_s=start_s, steady=steady)
    return curve.expected * (one.bursts.gain if one.bursts else 1.0)


def _between_bursts(one: ModelClass, *, duration_s: float, start_s: float, steady: bool) -> RateCurve:
    arrivals = one.arrivals
    if one.bursts:  # the mean holds them, and they are put on top
        arrivals = replace(arrivals, rate_per_s=arrivals.rate_per_s / one.bursts.gain)
    if steady or (arrivals.timeline is None and not arrivals.profile):
        return RateCurve.steady(duration_s, arrivals.rate_per_s, arrivals.alpha)
    return _cut(*_period(arrivals), duration_s=duration_s, start_s=start_s)


def _period(arrivals: Arrivals) -> tuple[Floats, Floats, Floats]:
    """Return edges (one more), rates and shapes of one period of the timeline or the profile."""
    if timeline := arrivals.timeline:
        starts = np.asarray(timeline.start_s, np.float64)
        edges = np.append(starts, starts[-1] + arrivals.window_s)
        return edges, np.asarray(timeline.rate_per_s, np.float64), np.asarray(timeline.alpha, np.float64)
    rates = np.asarray(arrivals.profile, np.float64) * arrivals.rate_per_s
    edges = np.arange(len(rates) + 1, dtype=np.float64) * _HOUR_S
    return edges, rates, np.full(len(rates), arrivals.alpha)


def _cut(edges: Floats, rates: Floats, alpha: Floats, *, duration_s: float, start_s: float) -> RateCurve:
    period_s = edges[-1]
    start_s %= period_s
    laps = int(np.ceil((start_s + duration_s) / period_s))
    if laps * len(rates) > _PIECES_MAX:
        raise OperatorError(
            f"{duration_s:.3g} s are {laps:.3g} rounds of the model's timeline; "
            f"it can be drawn {_PIECES_MAX // len(rates):,} times at most (--steady has none)"
        )
    starts = (edges[:-1] + np.arange(laps)[:, None] * period_s).ravel()
    first = int(np.searchsorted(starts, start_s, side="right")) - 1
    last = int(np.searchsorted(starts, start_s + duration_s))
    inside = np.concatenate(([start_s], starts[first + 1 : last], [start_s + duration_s])) - start_s
    which = np.arange(first, last) % len(rates)
    return RateCurve(edges_s=inside, rate_per_s=rates[which], alpha=alpha[which])


def _with_bursts(rng: np.random.Generator, curve: RateCurve, bursts: Bursts) -> RateCurve:
    """Return the curve with as many episodes as the model has on average (a fraction by chance), begun at any time.

    Given their number that is a Poisson process. One that begins during another ends it.
    """
    wanted = bursts.per_hour * curve.duration_s / _HOUR_S
    if wanted > _PIECES_MAX:
        raise OperatorError(f"that would be {wanted:.3g} bursts; at most {_PIECES_MAX:,} are drawn")
    n = int(wanted + rng.random())
    starts = np.sort(rng.uniform(curve.edges_s[0], curve.edges_s[-1], n))
    ends = starts + draw_values(rng, n, bursts.duration_s)
    ends = np.minimum(ends, np.append(starts[1:], curve.edges_s[-1]))
    factors = draw_values(rng, n, bursts.factor)
    edges = np.unique(np.concatenate((curve.edges_s, starts, ends)))
    middles = (edges[1:] + edges[:-1]) / 2
    which = np.searchsorted(curve.edges_s, middles) - 1
    episode = np.searchsorted(starts, middles) - 1
    inside = (episode >= 0) & (middles < ends[episode]) if n else np.zeros(len(middles), bool)
    factor = np.where(inside, factors[episode], 1.0) if n else 1.0
    return RateCurve(edges_s=edges, rate_per_s=curve.rate_per_s[which] * factor, alpha=curve.alpha[which])
