"""From what was asked for to traces with their proofs: models, traces to scale, sweeps of burstiness."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from collector.schema.errors import OperatorError
from workload import builtin
from workload.generate.from_model import generate
from workload.generate.models import mix_of, together
from workload.generate.proof import Drawn, prove_model, prove_sweep
from workload.model.model import Model
from workload.scale.guard import expected_changes, judge, measured_changes
from workload.scale.methods import (
    COMPRESS,
    COPIES_MAX,
    MODEL,
    SUPERPOSE,
    THIN,
    Scaled,
    beginning,
    compress,
    not_too_many,
    period_s,
    superpose,
    thin,
)
from workload.scale.proof import TOLERANCE, Proof, prove_scaling
from workload.scale.remodel import remodel
from workload.scale.sweep import sweep_kept
from workload.trace.columns import Trace

DURATION_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the operator asked for; None where a source's own value serves.

    Attributes:
        seed: of numpy's default bit generator (PCG64); the same seed and options give the same bytes.
        rate_per_s, duration_s: of the trace to make.
        start_s: how far into the model's timelines, or into the source trace, to begin.
        steady: no timelines and profiles.
        mix: shares by name.
        by: the way of scaling a trace.
        cvs: CVs of a sweep; () for none.
        accept_change: burstiness may change beyond ``tolerance``.
    """

    seed: int = 1
    rate_per_s: float | None = None
    duration_s: float | None = None
    start_s: float = 0.0
    steady: bool = False
    mix: Mapping[str, float] | None = None
    by: str | None = None
    cvs: tuple[float, ...] = ()
    accept_change: bool = False
    tolerance: float = TOLERANCE

    def rng(self) -> np.random.Generator:
        """Return the source of all chance."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One trace that was made, what proves it, what to warn of.

    ``cv`` and ``draws`` (of which it is the nearest to that CV) of a sweep's, else None.
    """

    trace: Trace
    proof: Proof
    warnings: tuple[str, ...] = ()
    cv: float | None = None
    draws: int | None = None


def from_models(models: Sequence[Model], asked: Asked) -> list[Made]:
    """Return the trace drawn from the models, or a sweep over its requests. Raises ``OperatorError``."""
    model, duration_s = together(models), asked.duration_s or DURATION_S
    mix = mix_of(models, asked.mix) if asked.mix is not None else None
    rng = asked.rng()
    trace = generate(
        model,
        rng,
        duration_s=duration_s,
        rate_per_s=asked.rate_per_s,
        mix=mix,
        start_s=asked.start_s,
        steady=asked.steady,
    )
    rate = asked.rate_per_s or len(trace) / duration_s
    if asked.cvs:
        return _sweep(trace, rng, replace(asked, rate_per_s=rate, duration_s=duration_s))
    timed = any(one.arrivals.timeline or one.arrivals.profile for one in model.classes)
    shares = mix if mix is not None or (timed and not asked.steady) else {one.name: one.share for one in model.classes}
    drawn = Drawn(duration_s=duration_s, rate_per_s=rate, shares=shares, start_s=asked.start_s, steady=asked.steady)
    proof = prove_model(model, trace, drawn, tolerance=asked.tolerance)
    none = () if len(trace) else ("there is no request in it: rate times duration is below one half",)
    return [Made(trace=trace, proof=proof, warnings=none)]


def from_builtin(asked: Asked) -> list[Made]:
    """Return a sweep over the requests of the built-in workload."""
    duration_s, rate = asked.duration_s or DURATION_S, asked.rate_per_s or builtin.RATE_PER_S
    rows = builtin.generate(np.random.default_rng(asked.seed), duration_s=max(duration_s, DURATION_S)).rows
    from workload.trace.read import rows_to_trace  # noqa: PLC0415 - the readers behind it are needed for nothing else

    source = rows_to_trace(rows, absolute=False)
    return _sweep(source, asked.rng(), replace(asked, rate_per_s=rate, duration_s=duration_s))


def from_trace(source: Trace, asked: Asked) -> list[Made]:
    """Return the trace at another rate, or a sweep over its requests.

    Raises ``BurstinessChanged`` if the way of scaling changes CV or dispersion beyond the tolerance and that was not
    accepted, ``OperatorError`` for what cannot be done with this trace.
    """
    begun = (
        source.take(source.submitted_us >= source.submitted_us[0] + round(asked.start_s * 1e6)) if source else source
    )
    if len(begun) < 2:
        raise OperatorError(f"the trace has {len(begun)} requests from --start {asked.start_s:g} s on; 2 are needed")
    own_rate = len(begun) / period_s(begun) if period_s(begun) > 0 else 1.0
    asked = replace(asked, rate_per_s=asked.rate_per_s or own_rate)
    try:
        if asked.cvs:
            return _sweep(begun, asked.rng(), asked)
        return [_scaled(begun, asked, asked.rate_per_s or own_rate)]
    except ValueError as error:
        raise OperatorError(f"--by {asked.by}: {error}" if asked.by else str(error)) from None


def _scaled(source: Trace, asked: Asked, rate: float) -> Made:
    by = asked.by or COMPRESS
    warnings = [*_foreseen(source, asked, by, rate)]
    scaled = _ways(asked)[by](source, rate)
    proof = prove_scaling(scaled, rate_per_s=rate, tolerance=asked.tolerance)
    seen = judge(measured_changes(proof), by, accepted=asked.accept_change, will=False)
    if seen:
        warnings = [seen]
    if by == COMPRESS and scaled.factor != 1 and source.session.names:
        warnings.append(f"--by compress: think times within sessions are divided by {scaled.factor:.3g}, too")
    return Made(trace=scaled.trace, proof=proof, warnings=tuple(warnings))


def _foreseen(source: Trace, asked: Asked, by: str, rate: float) -> list[str]:
    """Return a warning of what scaling will change; refuses before any work is done."""
    if by not in {SUPERPOSE, THIN}:
        return []
    part, length_s = beginning(source, asked.duration_s)
    ratio = not_too_many(rate * length_s) / len(part)
    copies = max(ceil(ratio), 1) if by == SUPERPOSE else 1
    keep = min(ratio / copies, 1.0)
    if copies > COPIES_MAX or ratio > copies:
        return []  # refused where it would be done
    changes = expected_changes(part, by, copies=copies, keep=keep, tolerance=asked.tolerance)
    warning = judge(changes, by, accepted=asked.accept_change, will=True)
    return [warning] if warning else []


def _ways(asked: Asked) -> dict[str, Callable[[Trace, float], Scaled]]:
    rng, duration_s = asked.rng(), asked.duration_s
    return {
        COMPRESS: lambda trace, rate: compress(trace, rate_per_s=rate, duration_s=duration_s),
        SUPERPOSE: lambda trace, rate: superpose(trace, rng, rate_per_s=rate, duration_s=duration_s),
        THIN: lambda trace, rate: thin(trace, rng, rate_per_s=rate, duration_s=duration_s),
        MODEL: lambda trace, rate: remodel(
            trace, rng, rate_per_s=rate, duration_s=duration_s, tolerance=asked.tolerance
        ),
    }


def _sweep(source: Trace, rng: np.random.Generator, asked: Asked) -> list[Made]:
    rate = asked.rate_per_s or 1.0
    duration_s = asked.duration_s or len(source) / rate
    try:
        made = sweep_kept(source, rng, cvs=asked.cvs, rate_per_s=rate, duration_s=duration_s)
    except ValueError as error:
        raise OperatorError(f"--sweep: {error}") from None
    proofs = prove_sweep(made, source, duration_s=duration_s, rate_per_s=rate, tolerance=asked.tolerance)
    return [
        Made(trace=kept.trace, proof=proof, cv=kept.cv, draws=kept.draws, warnings=_off(kept.cv, proof))
        for kept, proof in zip(made, proofs, strict=True)
    ]


def _off(cv: float, proof: Proof) -> tuple[str, ...]:
    check = next(check for check in proof.checks if check.name == "cv")
    if check.ok:
        return ()
    realised = "unknown" if check.realised is None else f"{check.realised:.3g}"
    return (f"cv={cv:g}: the realised CV is {realised}; {proof.rows} requests are too few for so many bursts",)
