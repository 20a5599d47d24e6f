"""Traces that differ in burstiness and in nothing else: same rate, same requests in the same order. Pure.

The gaps are Gamma with alpha = 1/CV^2. Of a few thousand gaps of CV 8 a handful decides the realised CV, which by
chance alone is off by tens of percent; so gaps are drawn several times and those are kept whose realised CV is nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workload.scale.measure import squared_cv
from workload.scale.methods import not_too_many
from workload.scale.renewal import Floats, Ints, RateCurve, arrivals
from workload.trace.columns import UNKNOWN, Labels, OutcomeCode, Trace

CVS = (0.5, 1.0, 2.0, 4.0, 8.0)
CV_MIN, CV_MAX = 0.01, 100.0
DRAWS_MAX = 64
NEAR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A trace of a sweep: the one of ``draws`` draws of its times whose realised CV is nearest to ``cv``."""

    cv: float
    trace: Trace
    draws: int


def sweep(
    source: Trace, rng: np.random.Generator, *, cvs: Sequence[float] = CVS, rate_per_s: float, duration_s: float
) -> list[tuple[float, Trace]]:
    """Return each CV and its trace, see ``sweep_kept``."""
    made = sweep_kept(source, rng, cvs=cvs, rate_per_s=rate_per_s, duration_s=duration_s)
    return [(one.cv, one.trace) for one in made]


def sweep_kept(
    source: Trace, rng: np.random.Generator, *, cvs: Sequence[float] = CVS, rate_per_s: float, duration_s: float
) -> list[Kept]:
    """Return for each CV a trace of exactly rate times duration requests from 0 to ``duration_s``.

    Request i is the same in all of them: same lengths, model and log type, taken from the source's served requests of
    known length, each as often as any other or once more, in an order of chance. Sessions are left out: their turns'
    times would not be independent of each other. The requests depend on ``rng`` only, the times on it and their CV:
    a CV has the same trace whatever others are asked for. Raises ``ValueError`` for a source without such requests,
    no request to make, or a CV out of bounds.
    """
    n = not_too_many(rate_per_s * duration_s)
    if bad := [cv for cv in cvs if not CV_MIN <= cv <= CV_MAX]:
        raise ValueError(f"a CV must be {CV_MIN:g} to {CV_MAX:g}, not {bad[0]:g}")
    if n < 2:
        raise ValueError(f"{rate_per_s:g} requests a second for {duration_s:g} s are {n} requests; 2 are needed")
    requests = _requests(source, rng, n)
    seed = int(rng.integers(2**63))
    made = []
    for cv in cvs:
        own = np.random.default_rng([seed, round(cv * 1e6)])
        times, draws = _times(own, cv, n, duration_s)
        whole_us = np.floor(times * 1e6).astype(np.int64)
        made.append(Kept(cv=cv, trace=replace(requests, submitted_us=whole_us), draws=draws))
    return made


def _requests(source: Trace, rng: np.random.Generator, n: int) -> Trace:
    usable = np.flatnonzero(
        (source.outcome == OutcomeCode.OK) & (source.request_tokens > 0) & (source.response_tokens > 0)
    )
    if not len(usable):
        raise ValueError("the source has no served request with known lengths")
    rounds = -(-n // len(usable))
    rows = np.concatenate([rng.permutation(usable) for _ in range(rounds)])[:n]
    taken = source.take(rows)
    unknown = np.full(n, UNKNOWN, np.int64)
    return replace(
        taken,
        session=Labels.absent(n),
        elapsed_us=unknown,
        first_token_us=unknown,
        resolution_us=1,
        absolute=False,
    )


def _times(rng: np.random.Generator, cv: float, n: int, duration_s: float) -> tuple[Floats, int]:
    """Return ``n`` times, and of how many draws.

    Drawn until the gaps' realised CV (corrected for finite size) is within 1 % of ``cv``; the nearest of ``DRAWS_MAX``.
    """
    curve = RateCurve.steady(duration_s, n / duration_s, 1 / cv**2)
    best, least, draw = arrivals(rng, curve, n), np.inf, 0
    for draw in range(DRAWS_MAX):
        times = arrivals(rng, curve, n) if draw else best
        whole_us: Ints = np.floor(times * 1e6).astype(np.int64)
        c2 = squared_cv(whole_us)
        off = np.inf if c2 is None else abs(np.sqrt(c2) / cv - 1)
        if off < least:
            best, least = times, off
        if off <= NEAR:
            break
    return best, draw + 1
