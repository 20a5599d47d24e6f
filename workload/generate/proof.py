"""What a generated trace was to be beside what it is: against its model, or within a sweep. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workload.analyse.arrival_facts import ArrivalStats
from workload.analyse.interarrival import describe
from workload.generate.curve import curve_of
from workload.generate.from_model import generate
from workload.model.model import RENEWAL, Model, ModelClass
from workload.scale.measure import BIN_REQUESTS, Measured, measure
from workload.scale.proof import (
    TOLERANCE,
    Check,
    Proof,
    distance_check,
    length_checks,
    rate_check,
    seconds_checks,
    within,
)
from workload.scale.renewal import unit_gaps
from workload.scale.sweep import NEAR, Kept
from workload.trace.columns import Trace

_WINDOW_REQUESTS_MIN, _WINDOWS_MAX = 50, 400
_REFERENCE_S, _REFERENCE_SEED = 100_000.0, 20_240_131  # at one request a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How a trace was drawn: length, rate, and each class's share (None where the model's timelines decided it)."""

    duration_s: float
    rate_per_s: float
    shares: Mapping[str, float] | None = None
    start_s: float = 0.0
    steady: bool = False


def prove_model(model: Model, made: Trace, drawn: Drawn, *, tolerance: float = TOLERANCE) -> Proof:
    """Return the proof of a trace drawn from ``model``.

    Lengths are held against 100,000 fresh requests of the model, drawn with a seed of their own in the shares that
    the trace has. Burstiness is held against alpha class by class where the model says one alpha for the whole trace;
    where it changes with time, it is stated. Classes that cannot be told apart in a trace are not checked one by one.
    """
    checks = [rate_check(len(made), drawn.duration_s, drawn.rate_per_s), *stated(measure(made.submitted_us))]
    parts = [made.take(_rows_of(one, made)) for one in model.classes]
    if sum(map(len, parts)) == len(made):
        for one, part in zip(model.classes, parts, strict=True):
            checks += _class_checks(one, part, len(made), drawn, tolerance)
        mix = {one.name: float(len(part)) for one, part in zip(model.classes, parts, strict=True)}
        checks += length_checks(_reference(model, mix), made) if len(made) else ()
    return Proof(what=f"model {model.name}", rows=len(made), duration_s=drawn.duration_s, checks=tuple(checks))


def _reference(model: Model, mix: Mapping[str, float]) -> Trace:
    rng = np.random.default_rng(_REFERENCE_SEED)
    return generate(model, rng, duration_s=_REFERENCE_S, rate_per_s=1.0, mix=mix, steady=True)


def _class_checks(one: ModelClass, part: Trace, rows: int, drawn: Drawn, tolerance: float) -> Iterator[Check]:
    share = drawn.shares.get(one.name, 0.0) if drawn.shares is not None else None
    yield within(f"share of {one.name}", share, len(part) / max(rows, 1), 1.5 / max((share or 1.0) * rows, 1.0))
    if one.failures and not one.failures.by_load and len(part):
        ratio = one.failures.ratio
        failing = ratio * len(part)  # expected; one more is no news where hardly any is
        noise = (3 * float(np.sqrt(failing * (1 - ratio))) + 1) / failing if failing else 0.0
        yield within(f"failed of {one.name}", ratio, float(np.mean(part.failed)), noise)
    found = measure(part.submitted_us)
    timed = one.arrivals.timeline is not None or bool(one.arrivals.profile)
    varies = bool(one.bursts) or (timed and not drawn.steady) or one.arrivals.kind != RENEWAL
    alpha = None if varies else _alpha(one)
    cv = None if alpha is None else alpha**-0.5
    yield within(f"cv of {one.name}", cv, found.cv, tolerance + found.cv_noise())
    stats, gamma = found.stats, one.arrivals.family == "gamma"
    yield Check(
        name=f"alpha of {one.name}",
        target=alpha,
        realised=_alpha_found(stats, one.arrivals.family),
        lower=stats.alpha_lower if gamma else None,
        upper=stats.alpha_upper if gamma else None,
    )
    plain = one.arrivals.kind == RENEWAL and not one.bursts
    if len(part) > 1 and (alpha is not None or (plain and one.arrivals.gaps)):
        yield _gaps_check(one, part, drawn)
    if plain and one.arrivals.timeline and not one.arrivals.gaps and not drawn.steady:
        yield _timeline_check(one, part, drawn, tolerance)


def _gaps_check(one: ModelClass, part: Trace, drawn: Drawn) -> Check:
    """Return the check of the gaps over their mean; quantiles of their own, where the rate changes, over the rate's."""
    rng, alpha = np.random.default_rng(_REFERENCE_SEED), _alpha(one)
    wanted = unit_gaps(rng, np.array([alpha]), np.array([round(_REFERENCE_S)]), one.arrivals.law)
    times = part.submitted_us.astype(np.float64)
    if one.arrivals.gaps:
        curve = curve_of(rng, one, duration_s=drawn.duration_s, start_s=drawn.start_s, steady=drawn.steady)
        times = np.interp(times / 1e6, curve.edges_s, curve.counts)
    gaps = np.diff(times)
    return distance_check(f"KS of gaps of {one.name}", wanted, gaps / max(float(gaps.mean()), 1e-9))


def _alpha_found(stats: ArrivalStats, family: str) -> float | None:
    """Return 1/CV^2: the likelihood's where gaps are Gamma, the moments' elsewhere."""
    if family == "gamma":
        return stats.alpha
    return 1 / stats.cv**2 if stats.cv else None


def _timeline_check(one: ModelClass, part: Trace, drawn: Drawn, tolerance: float) -> Check:
    """Return the check of alpha(t): the median of the windows' own alphas against that of the model's."""
    curve = curve_of(
        np.random.default_rng(0), one, duration_s=drawn.duration_s, start_s=drawn.start_s, steady=drawn.steady
    )
    ends = np.searchsorted(part.submitted_us, curve.edges_s * 1e6)
    large = np.flatnonzero(np.diff(ends) > _WINDOW_REQUESTS_MIN)
    chosen = large[:: -(-len(large) // _WINDOWS_MAX) or 1]
    family = one.arrivals.family
    found = [_alpha_found(describe(part.submitted_us[ends[i] : ends[i + 1]]), family) for i in chosen]
    known = [(alpha, curve.alpha[i]) for alpha, i in zip(found, chosen, strict=True) if alpha is not None]
    name = f"median alpha(t) of {one.name}"
    if not known:
        return Check(name=name, target=None, realised=None)
    realised, target = (float(np.median(values)) for values in zip(*known, strict=True))
    noise = 3 / float(np.sqrt(np.diff(ends)[chosen].sum()))
    return within(name, 1.0 if family == "exponential" else target, realised, tolerance + noise)


def _alpha(one: ModelClass) -> float:
    return 1.0 if one.arrivals.family == "exponential" else one.arrivals.alpha


def _rows_of(one: ModelClass, made: Trace) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    rows = np.ones(len(made), bool)
    for name in ("model", "log_type", "service"):
        wanted = getattr(one, name)
        column = getattr(made, name)
        rows &= column.is_in(wanted) if wanted else column.codes < 0
    return rows


def stated(found: Measured) -> Iterator[Check]:
    """Yield what the trace as a whole is like, without a verdict."""
    yield Check(name="cv", target=None, realised=found.cv)
    stats = found.stats
    yield Check(name="alpha", target=None, realised=stats.alpha, lower=stats.alpha_lower, upper=stats.alpha_upper)
    for m in BIN_REQUESTS:
        yield Check(name=f"dispersion over {m} requests", target=None, realised=found.dispersion[m])
    yield from seconds_checks(found)


def prove_sweep(
    made: Sequence[Kept], source: Trace, *, duration_s: float, rate_per_s: float, tolerance: float
) -> list[Proof]:
    """Return a proof for each trace of a sweep; the last check says that all have the same requests in order."""
    same = all(_same_requests(a, b) for a, b in pairwise(one.trace for one in made))
    proofs = []
    for cv, trace, draws in ((one.cv, one.trace, one.draws) for one in made):
        found = measure(trace.submitted_us)
        alpha = within("alpha", cv**-2, found.stats.alpha, 2 * tolerance)
        checks = (
            rate_check(len(trace), duration_s, rate_per_s),
            within("cv", cv, found.cv, tolerance),
            Check(
                name="alpha",
                target=cv**-2,
                realised=found.stats.alpha,
                tolerance=2 * tolerance,
                ok=alpha.ok or _covers(found, cv**-2),
                lower=found.stats.alpha_lower,
                upper=found.stats.alpha_upper,
                or_interval=True,
            ),
            *(check for check in stated(found) if check.name not in {"cv", "alpha"}),
            *length_checks(source, trace),
            Check(name="same requests in the same order", target=1.0, realised=float(same), tolerance=0.0, ok=same),
        )
        drawn = (
            f"1 draw, within {NEAR:.0%} of the asked CV"
            if draws == 1
            else f"the nearest to the asked CV of {draws} draws"
        )
        proofs.append(
            Proof(
                what=f"sweep cv={cv:g}",
                rows=len(trace),
                duration_s=duration_s,
                checks=checks,
                notes=(f"cv={cv:g}: {drawn}; what is shown is that of the trace that was kept",),
            )
        )
    return proofs


def _covers(found: Measured, alpha: float) -> bool:
    lower, upper = found.stats.alpha_lower, found.stats.alpha_upper
    return lower is not None and upper is not None and lower <= alpha <= upper


def _same_requests(a: Trace, b: Trace) -> bool:
    return all(
        np.array_equal(x, y)
        for x, y in (
            (a.request_tokens, b.request_tokens),
            (a.response_tokens, b.response_tokens),
            (a.model.codes, b.model.codes),
            (a.log_type.codes, b.log_type.codes),
        )
    )
