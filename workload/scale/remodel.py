"""A trace at another rate as alpha(t) and beta(t) say: its own burstiness window by window, its own rows. Pure.

Where sessions (and requests without one) begin is drawn anew: with the rate of the source's window times the factor,
and gaps that are Gamma with the source's own squared CV there. Traces whose bursts follow on each other are no Gamma
process in any window; where that would change CV or dispersion, each window's own gaps are used instead, in their
order from a chance place on. What begins is the source's: each session or request is repeated so often that the rate
is met (the fraction by chance), in its window, with its lengths, model and think times.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workload.scale.measure import BIN_REQUESTS, Measured, measure
from workload.scale.methods import MODEL, Scaled, beginning, not_too_many
from workload.scale.renewal import Floats, RateCurve, arrivals, round_each_stretch
from workload.scale.shapes import curve_of, window_at, windows_of
from workload.scale.units import Units, carried_round, renamed, units_of
from workload.trace.columns import Trace

Ints = NDArray[np.int64]
Play = Callable[[np.random.Generator, Ints], Floats]  # how many begin by window -> when they begin (s)

# The paper's 20 minutes, then shorter ones: a trace whose rate jumps within minutes needs a finer beta(t).
WINDOWS_S = (1200.0, 300.0, 60.0)
GAMMA, OWN = "gamma", "own"
_DRAWS_MAX, _ROWS_DRAWN = 8, 1_000_000  # long traces differ little from draw to draw
_UINT16 = 65_535
_BEST = 20  # one in 20 of the places to begin is good enough


def remodel(
    trace: Trace,
    rng: np.random.Generator,
    *,
    rate_per_s: float,
    duration_s: float | None = None,
    tolerance: float = 0.1,
) -> Scaled:
    """Return the trace's model played at ``rate_per_s``, exact in number.

    Tries Gamma gaps in windows of ``WINDOWS_S``, then the windows' own gaps, a few draws each, until CV, alpha and
    dispersion are within ``tolerance`` of the source's; else returns the draw that came nearest. Raises ``ValueError``
    for fewer than two rows or a trace shorter than ``duration_s``.
    """
    part, length_s = beginning(trace, duration_s)
    wanted = not_too_many(rate_per_s * length_s)
    source = measure(part.submitted_us, part.resolution_us)
    units = units_of(part)
    draws = int(np.clip(_ROWS_DRAWN // max(wanted, 1), 1, _DRAWS_MAX))
    nearest: tuple[float, Scaled] | None = None
    for window_s, gaps in _ways(length_s):
        edges, play = _player(part, units, length_s, window_s, gaps)
        for _ in range(draws):
            made = _draw(rng, part, units, wanted, (edges, play))
            after = measure(made.submitted_us, part.resolution_us, stretch=wanted / len(part))
            off = distance(source, after)
            if nearest is None or off < nearest[0]:
                scaled = Scaled(trace=made, source=part, duration_s=length_s, by=MODEL, window_s=window_s, gaps=gaps)
                nearest = off, scaled
            if off <= tolerance:
                return nearest[1]
    if nearest is None:
        raise ValueError("no way to model the trace")
    return nearest[1]


def distance(source: Measured, made: Measured) -> float:
    """Return the greatest relative change of CV, alpha and dispersions, of those that are known on both sides."""
    pairs = [(source.cv, made.cv), (source.stats.alpha, made.stats.alpha)]
    pairs += [(source.dispersion[m], made.dispersion[m]) for m in BIN_REQUESTS]
    return max((abs(b / a - 1) for a, b in pairs if a and b is not None), default=0.0)


def _ways(length_s: float) -> Iterator[tuple[float, str]]:
    for window_s in WINDOWS_S:
        if window_s == WINDOWS_S[0] or window_s < length_s:
            yield window_s, GAMMA
    yield WINDOWS_S[0], OWN


def _player(part: Trace, units: Units, length_s: float, window_s: float, gaps: str) -> tuple[Floats, Play]:
    """Return the windows' edges and what plays them."""
    starts = part.submitted_us[units.rows[units.heads]]
    if gaps == OWN:
        edges, window = windows_of(starts, length_s, window_s)
        return edges, partial(_own_gaps, starts / 1e6, window, edges)
    curve = curve_of(starts, length_s, window_s, part.resolution_us)
    return curve.edges_s, partial(_gamma_gaps, curve)


def _gamma_gaps(curve: RateCurve, rng: np.random.Generator, counts: Ints) -> Floats:
    return arrivals(rng, replace(curve, rate_per_s=counts / np.diff(curve.edges_s)), int(counts.sum()))


def _own_gaps(starts: Floats, window: Ints, edges: Floats, rng: np.random.Generator, counts: Ints) -> Floats:
    """Return ``counts`` starts by window, whose gaps are the window's own, again and again from a chance place on."""
    had = np.bincount(window, minlength=len(counts))
    heads = np.cumsum(had) - had
    gaps = np.diff(starts, append=0.0)
    # The last gap of a window goes round to its first start: a window is a circle.
    full = had > 0
    last = heads[full] + had[full] - 1
    gaps[last] = starts[heads[full]] - starts[last] + np.diff(edges)[full]
    kept = counts > 0
    sizes = counts[kept]
    begin = [_beginning(rng, gaps[heads[i] : heads[i] + had[i]], int(counts[i])) for i in np.flatnonzero(kept)]
    place = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(begin, sizes)
    chosen = gaps[np.repeat(heads[kept], sizes) + place % np.repeat(had[kept], sizes)]
    return round_each_stretch(rng, chosen, sizes, edges[:-1][kept], np.diff(edges)[kept])


def _beginning(rng: np.random.Generator, gaps: Floats, count: int) -> int:
    """Return a place in a circle of gaps from which to take ``count`` of them, picked by chance among good ones.

    Good is where what is left over a whole number of rounds lasts about as long as so many gaps do on average: one
    long pause more or less would change the scale of all.
    """
    n = len(gaps)
    rest = count % n
    if not rest:
        return int(rng.integers(n))
    upto = np.concatenate(([0.0], np.cumsum(np.concatenate((gaps, gaps[:rest])))))
    off = np.abs(upto[rest : rest + n] - upto[:n] - upto[n] * rest / n)
    few = max(n // _BEST, 1)
    return int(rng.choice(np.argpartition(off, few - 1)[:few]))


def _draw(rng: np.random.Generator, part: Trace, units: Units, wanted: int, how: tuple[Floats, Play]) -> Trace:
    edges, play = how
    chosen = _repeated(rng, part, units, wanted)
    # By window, and within one by chance: who comes when inside a window is not kept, who comes in it is.
    chosen = rng.permutation(chosen)
    window = window_at(edges, part.submitted_us[units.rows[units.heads[chosen]]])
    small = np.uint16 if len(edges) <= _UINT16 else np.int64  # numpy sorts small numbers by digits, much faster
    chosen = chosen[np.argsort(window.astype(small), kind="stable")]
    starts = play(rng, np.bincount(window, minlength=len(edges) - 1))
    rows, sizes = units.rows_of(chosen)
    session = np.arange(len(rows), dtype=np.int32)
    if len(rows) > len(chosen):
        heads = np.cumsum(sizes) - sizes
        at = part.submitted_us[rows] / 1e6
        whole = RateCurve.steady(float(edges[-1]), 1.0, 1.0)
        starts, session = carried_round(np.repeat(starts - at[heads], sizes) + at, heads, whole)
    times = np.floor(starts[:wanted] * 1e6).astype(np.int64)
    made = replace(part.take(rows[:wanted]), submitted_us=times, resolution_us=1)
    return renamed(rng, made, session[:wanted]).sorted_by_time()


def _repeated(rng: np.random.Generator, part: Trace, units: Units, wanted: int) -> Ints:
    """Return unit numbers whose rows are at least ``wanted``, each as often as any other or once more."""
    whole = wanted // len(part)
    copies = np.full(len(units), whole, np.int64)
    short = wanted - whole * len(part)
    order = rng.permutation(len(units))
    more = int(np.searchsorted(np.cumsum(units.sizes[order]), short)) + 1 if short else 0
    copies[order[:more]] += 1
    return np.repeat(np.arange(len(units)), copies)
