"""From a trace to a model: classes, and for each its arrivals, lengths, sessions and failures. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.schema.errors import OperatorError
from workload.fit.arrivals import AUTO, ArrivalsFit, Frame, fit_arrivals
from workload.fit.failures import fit_failures
from workload.fit.lengths import ROWS_MIN, LengthsFit, fit_lengths
from workload.fit.notes import class_notes, whole_notes
from workload.fit.sessions import SessionsFit, fit_sessions
from workload.model.model import WINDOW_S, Model, ModelClass, Source
from workload.trace.columns import Int64s, Labels, Trace

BY = ("service", "model", "log_type")
CLASS_ROWS_MIN = 100  # smaller classes are taken together as "other"
OTHER = "other"
_KEYS_MAX = 1_000_000
LATER_RATIO_MIN = 0.1  # share of requests that follow in a session, for a class to be made of sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """What to fit: windows (seconds), which columns make classes, how the timeline is told, the model's name."""

    window_s: float = WINDOW_S
    by: tuple[str, ...] = BY
    timeline: str = AUTO
    name: str = "fitted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFit:
    """A class as fitted: the model's part and what it was made from."""

    part: ModelClass
    rows: int
    arrivals: ArrivalsFit
    lengths: LengthsFit
    sessions: SessionsFit | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The model, its classes as fitted, and what could not be known of the whole."""

    model: Model
    classes: tuple[ClassFit, ...]
    notes: tuple[str, ...]


def fit(trace: Trace, options: FitOptions, source: Source = Source()) -> Fit:  # noqa: B008 - frozen
    """Return the model of ``trace`` (in order of time).

    Raises ``OperatorError`` for a trace that has no rate or no burstiness (fewer than ``ROWS_MIN`` requests, all at one
    time, all gaps alike) or no lengths.
    """
    _check(trace)
    n = len(trace)
    frame = Frame(
        start_us=int(trace.submitted_us[0]),
        span_s=trace.span_s * n / (n - 1),  # one mean gap more, so that n/span is the rate
        resolution_us=trace.resolution_us,
        absolute=trace.absolute,
        window_s=options.window_s,
        timeline=options.timeline,
    )
    groups, pooled = _classes(trace, options.by)
    found = tuple(_fit_class(name, trace.take(rows), trace, frame) for name, rows in groups)
    model = Model(
        name=options.name,
        description=f"fitted to {source.file or 'a trace'}",
        source=source,
        classes=tuple(one.part for one in found),
    )
    return Fit(model=model, classes=found, notes=(*pooled, *whole_notes(trace, frame)))


def _check(trace: Trace) -> None:
    n = len(trace)
    if n < ROWS_MIN:
        rows = "no request" if not n else "1 request" if n == 1 else f"{n} requests"
        raise OperatorError(f"the trace has {rows}; a model needs at least {ROWS_MIN}")
    gaps = np.diff(trace.submitted_us)
    if trace.span_s <= 0:
        raise OperatorError(f"all {n} requests of the trace came at the same time: there is no rate to fit")
    if int(gaps.min()) == int(gaps.max()):
        raise OperatorError(
            f"all gaps of the trace are {int(gaps[0]) / 1e6:g} s: a clock's ticks have no burstiness to fit"
        )
    whole = (trace.request_tokens > 0) & (trace.response_tokens > 0)
    if int(whole.sum()) < ROWS_MIN:
        raise OperatorError(
            f"{int(whole.sum())} of the trace's {n} requests tell both request and response tokens above 0; "
            f"a model needs at least {ROWS_MIN}"
        )


def _classes(trace: Trace, by: Sequence[str]) -> tuple[list[tuple[str, Int64s]], list[str]]:
    """Return (name, rows) of each class, the largest first; small ones together as "other", and what was pooled."""
    columns = [getattr(trace, name) for name in by]
    key = np.zeros(len(trace), np.int64)
    for column in columns:
        key = key * (len(column.names) + 1) + column.codes + 1
        if int(key.max()) > _KEYS_MAX:  # many names, few of them together
            key = np.unique(key, return_inverse=True)[1]
    counts = np.bincount(key)
    place, counts = (np.cumsum(counts > 0) - 1)[key], counts[counts > 0]
    usable = (trace.request_tokens > 0) & (trace.response_tokens > 0)
    large = (counts >= CLASS_ROWS_MIN) & (np.bincount(place[usable], minlength=len(counts)) >= ROWS_MIN)
    order = [int(i) for i in np.argsort(-counts, kind="stable") if large[i]]
    small = np.flatnonzero(~large[place])
    pooled = len(counts) - len(order)
    kinds = "1 kind" if pooled == 1 else f"{pooled} kinds"
    told = f"of fewer than {CLASS_ROWS_MIN} requests ({len(small)} requests in all)"
    if not order:
        note = [] if pooled < 2 else [f"one class for all: there are {pooled} kinds of request, each {told}"]
        return [(_name(columns, small) if pooled < 2 else OTHER, np.arange(len(trace)))], note
    groups = [(_name(columns, rows), rows) for rows in (np.flatnonzero(place == i) for i in order)]
    if not pooled:
        return groups, []
    if len(small) >= CLASS_ROWS_MIN and int(usable[small].sum()) >= ROWS_MIN:
        return [*groups, (OTHER, small)], [
            f"{kinds} of request {told} {'is' if pooled == 1 else 'are'} one class, {OTHER!r}"
        ]
    name, rows = groups[0]
    joined = f"{kinds} of request {told} {'was' if pooled == 1 else 'were'} counted with {name!r}"
    return [(name, np.sort(np.concatenate([rows, small]))), *groups[1:]], [joined]


def _name(columns: Sequence[Labels], rows: Int64s) -> str:
    return " / ".join(filter(None, (_value(column, int(rows[0])) for column in columns))) or "all"


def _value(column: Labels, row: int) -> str:
    code = int(column.codes[row])
    return "" if code < 0 else column.names[code]


def _fit_class(name: str, part: Trace, of: Trace, frame: Frame) -> ClassFit:
    sessions = fit_sessions(part)
    if sessions and sessions.later_ratio < LATER_RATIO_MIN:
        sessions = None
    arrivals = fit_arrivals(part.submitted_us, frame, sessions.starts_us if sessions else None)
    lengths = fit_lengths(part.request_tokens, part.response_tokens)
    if lengths is None:  # ``_classes`` makes none without
        raise OperatorError(f"class {name}: fewer than {ROWS_MIN} requests tell both lengths")
    labels = {} if name == OTHER else {one: _common(getattr(part, one)) for one in BY}
    model_part = ModelClass(
        name=name,
        share=len(part) / len(of),
        arrivals=arrivals.arrivals,
        bursts=arrivals.bursts,
        lengths=lengths.lengths,
        sessions=sessions.sessions if sessions else None,
        failures=fit_failures(part),
        **labels,
    )
    return ClassFit(
        part=model_part,
        rows=len(part),
        arrivals=arrivals,
        lengths=lengths,
        sessions=sessions,
        notes=tuple(class_notes(part, of, arrivals, sessions)),
    )


def _common(column: Labels) -> str:
    """Return the value that most rows with one have; "" where none has."""
    known = column.codes[column.codes >= 0]
    return column.names[int(np.bincount(known).argmax())] if len(known) else ""
