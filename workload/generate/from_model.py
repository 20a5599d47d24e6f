"""A trace drawn from a model, on arrays from end to end. Pure: the same Generator state gives the same rows.

The number of requests is the asked one exactly (rate times duration, rounded), shared out among the classes exactly,
too: a benchmark at 5 requests a second gets 5, not 5 by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from collector.schema.errors import OperatorError
from workload.generate.curve import curve_of, expected_of
from workload.generate.lengths import draw_requests, draw_responses
from workload.generate.sessions import draw_turns
from workload.model.model import SESSIONS, Failures, Model, ModelClass
from workload.scale.methods import ROWS_MAX
from workload.scale.renewal import RateCurve, arrivals
from workload.scale.units import session_names
from workload.trace.columns import UNKNOWN, Labels, OutcomeCode, Trace, concatenate

Floats = NDArray[np.float64]

_MINUTE_S = 60.0


def generate(  # noqa: PLR0913 - keyword-only, what an operator may ask for
    model: Model,
    rng: np.random.Generator,
    *,
    duration_s: float,
    rate_per_s: float | None = None,
    mix: Mapping[str, float] | None = None,
    start_s: float = 0.0,
    steady: bool = False,
) -> Trace:
    """Return ``duration_s`` seconds of ``model`` in time order, from 0, to the microsecond.

    Args:
        model: what to draw from.
        rng: where chance comes from.
        duration_s: length of the trace.
        rate_per_s: mean requests a second over the trace; None: what the model has there.
        mix: share of requests by class name (in any unit); classes not named get none. None: as the model has it.
        start_s: how far into its timelines and profiles the model begins.
        steady: the mean rate and the steady alpha all along, no timeline and no profile.

    Raises ``OperatorError`` for a mix that names no class, for nothing to draw and for far too much.
    """
    classes = _chosen(model.classes, mix)
    curves = [curve_of(rng, one, duration_s=duration_s, start_s=start_s, steady=steady) for one in classes]
    # Not what chance made of the bursts: a trace has its model's rate as exactly as one that was asked for.
    expected = [expected_of(one, duration_s=duration_s, start_s=start_s, steady=steady) for one in classes]
    counts = _counts(expected, classes, duration_s, rate_per_s, mix)
    parts = [_draw(rng, one, curve, n) for one, curve, n in zip(classes, curves, counts, strict=True)]
    return _together(parts).sorted_by_time()


def _together(parts: Sequence[Trace]) -> Trace:
    """Return all rows as one trace. Sessions of different classes have different names: none is looked up."""
    blank = [replace(part, session=Labels.absent(len(part))) for part in parts]
    before = np.cumsum([0] + [len(part.session.names) for part in parts])
    codes = [
        np.where(part.session.codes >= 0, part.session.codes + np.int32(offset), np.int32(UNKNOWN))
        for part, offset in zip(parts, before, strict=False)
    ]
    names = tuple(name for part in parts for name in part.session.names)
    return replace(concatenate(blank), session=Labels(np.concatenate(codes), names))


def _chosen(classes: Sequence[ModelClass], mix: Mapping[str, float] | None) -> list[ModelClass]:
    if mix is None:
        return list(classes)
    names = [one.name for one in classes]
    if unknown := [name for name in mix if name not in names]:
        raise OperatorError(f"--mix: there is no class {unknown[0]!r} in the model; there are {', '.join(names)}")
    return [one for one in classes if mix.get(one.name, 0) > 0]


def _counts(
    expected: list[float],
    classes: Sequence[ModelClass],
    duration_s: float,
    rate_per_s: float | None,
    mix: Mapping[str, float] | None,
) -> list[int]:
    """Return how many requests each class has: largest remainders, so that they add up to the asked number."""
    total = sum(expected) if rate_per_s is None else rate_per_s * duration_s
    weights = np.array(expected if mix is None else [mix[one.name] for one in classes])
    weights = np.where(np.array(expected) > 0, weights, 0.0)
    if not weights.sum() > 0:
        raise OperatorError("the model has no request in this stretch of time: another --start, or --steady")
    if total > ROWS_MAX:
        raise OperatorError(f"that would be {total:.3g} requests; at most {ROWS_MAX:,} are made at once")
    exact = round(total) * weights / weights.sum()
    counts = np.floor(exact).astype(np.int64)
    short = round(total) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return [int(n) for n in counts]


def _draw(rng: np.random.Generator, one: ModelClass, curve: RateCurve, n: int) -> Trace:
    session = Labels.absent(n)
    if one.arrivals.kind == SESSIONS and one.sessions:
        turns = draw_turns(rng, curve, n, one=one, sessions=one.sessions)
        times, request = turns.times_s, turns.request_tokens
        session = Labels(turns.session, session_names(rng, turns.sessions))
    else:
        times = arrivals(rng, curve, n, one.arrivals.law)
        request = draw_requests(rng, n, one.lengths)
    response = draw_responses(rng, request, one.lengths)
    outcome = np.zeros(n, np.int8)
    if one.failures:
        failed = _failed(rng, times, one.failures)
        response[failed], outcome[failed] = 0, OutcomeCode.FAILED
    labels = {name: _all(n, getattr(one, name)) for name in ("model", "log_type", "service")}
    return Trace.build(
        (times * 1e6).astype(np.int64),
        request_tokens=request,
        response_tokens=response,
        outcome=outcome,
        session=session,
        resolution_us=1,
        **labels,
    )


def _all(n: int, name: str) -> Labels:
    return Labels(np.zeros(n, np.int32), (name,)) if name else Labels.absent(n)


def _failed(rng: np.random.Generator, times: Floats, failures: Failures) -> NDArray[np.bool_]:
    """Return which requests fail: by the class's rate in their minute where the model says so."""
    chance = rng.random(len(times))
    if not failures.by_load or not len(times):
        return chance < failures.ratio
    minute = (times // _MINUTE_S).astype(np.int64)
    rate = np.bincount(minute) / _MINUTE_S
    uppers = [one.rate_up_to_per_s for one in failures.by_load[:-1]]
    ratios = np.array([one.ratio for one in failures.by_load])
    return chance < ratios[np.searchsorted(uppers, rate)][minute]
