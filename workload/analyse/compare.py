"""Two traces beside each other, all requests and class by class: lengths, gaps, rates, burstiness, failures. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.analyse.analysis import Options
from workload.analyse.arrivals import SECOND_US, Arrivals
from workload.analyse.classes import counted
from workload.analyse.interarrival import describe_arrivals
from workload.analyse.plain import plain
from workload.analyse.tallies import Tallies, response_width, tallies
from workload.analyse.tally import Tally, merged, two_sample_ks
from workload.analyse.windows import gap_windows
from workload.trace.columns import Trace

P_VALUE_NOTE = (
    "p takes every request for an independent draw, which bursts and sessions are not: it is far too small on real "
    "traffic, and with millions of requests every difference is significant. Judge the distance (0: alike, 1: apart)."
)
_PERCENTS = (5, 25, 50, 75, 95, 99)
_GAPS_MIN = 30
_TERMS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A column of numbers in both traces.

    Attributes:
        n_a, n_b: values that are known; mean_a, mean_b: their means.
        ks: greatest distance of the two distribution functions; p_value: see ``P_VALUE_NOTE``.
        quantiles: columns ``p``, ``a``, ``b`` and ``b_over_a`` (NaN where a is 0).
    """

    n_a: int
    n_b: int
    mean_a: float | None
    mean_b: float | None
    ks: float | None
    p_value: float | None
    quantiles: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One number of each trace, and the second over the first (None where either is not known, or the first is 0)."""

    a: float | None
    b: float | None
    ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassComparison:
    """One class of requests ("" is all of them) in both traces.

    Attributes:
        requests: how many; share of all in ``share``.
        numbers: ``rate_per_s``, ``cv``, ``alpha``, ``idc_1_s``, ``idc_10_s``, ``idc_60_s``, ``window_cv_median`` (over
            windows), ``failed_ratio``. alpha is None where the two come from different methods.
        alpha_methods: how each alpha was estimated.
        differences: ``gap_s``, ``request_tokens``, ``response_tokens``, ``elapsed_s``, ``first_token_s``.
    """

    name: str
    requests: Ratio
    share: Ratio
    numbers: dict[str, Ratio]
    alpha_methods: tuple[str | None, str | None]
    differences: dict[str, Difference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two traces: all requests first, then the classes (log type, model) that both have; what only one has by name."""

    all: ClassComparison
    classes: tuple[ClassComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        found: dict[str, Any] = plain(self)
        return found


def compare(a: Trace, b: Trace, options: Options | None = None) -> Comparison:
    """Return how ``b`` differs from ``a`` (rows in any order); of the options only the window matters."""
    window_s = (options or Options()).window_s
    a, b = a.sorted_by_time(), b.sorted_by_time()
    names_a, names_b = (dict(_classes(trace)) for trace in (a, b))
    both = [name for name in names_a if name in names_b]
    whole = _side(a, None, window_s), _side(b, None, window_s)
    classes = [
        _compared(name, (_side(a, names_a[name], window_s), _side(b, names_b[name], window_s)), whole) for name in both
    ]
    notes = [P_VALUE_NOTE]
    if a.resolution_us != b.resolution_us:
        notes.append("one trace has whole seconds only: its gaps below a second are lost, and gaps and CV differ by it")
    return Comparison(
        all=_compared("", whole, whole),
        classes=tuple(classes) if len(set(names_a) | set(names_b)) > 1 else (),
        only_a=tuple(name for name in names_a if name not in names_b),
        only_b=tuple(name for name in names_b if name not in names_a),
        notes=tuple(notes),
    )


def _classes(trace: Trace) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for log_type in counted(trace.log_type):
        of_type = trace.log_type.is_in(log_type)
        for model in counted(trace.model):
            rows = of_type & trace.model.is_in(model)
            if rows.any():
                yield f"{log_type} · {model}", rows


@dataclass(frozen=True, slots=True)
class _Side:
    """One class of one trace."""

    arrivals: Arrivals
    known: Tallies
    failed: int
    window_s: int


def _side(trace: Trace, rows: NDArray[np.bool_] | None, window_s: int) -> _Side:
    chosen = slice(None) if rows is None else rows
    arrivals = Arrivals.of(trace.submitted_us[chosen], trace.resolution_us)
    return _Side(arrivals, tallies(trace, rows, response_width(trace)), int(trace.failed[chosen].sum()), window_s)


def _compared(name: str, sides: tuple[_Side, _Side], whole: tuple[_Side, _Side]) -> ClassComparison:
    first, second = sides
    facts = [describe_arrivals(side.arrivals) for side in sides]
    methods = (facts[0].method, facts[1].method)
    alphas = [fact.alpha if methods[0] == methods[1] else None for fact in facts]
    numbers: dict[str, tuple[float | None, ...]] = {
        "rate_per_s": tuple(fact.rate_per_s for fact in facts),
        "cv": tuple(fact.cv for fact in facts),
        "alpha": tuple(alphas),
        **{f"idc_{scale}_s": tuple(fact.idc[scale] for fact in facts) for scale in facts[0].idc},
        "window_cv_median": tuple(_window_cv(side) for side in sides),
        "failed_ratio": tuple(side.failed / side.arrivals.n if side.arrivals.n else None for side in sides),
    }
    shares = [s.arrivals.n / w.arrivals.n if w.arrivals.n else None for s, w in zip(sides, whole, strict=True)]
    return ClassComparison(
        name=name,
        requests=_ratio(first.arrivals.n, second.arrivals.n),
        share=_ratio(*shares),
        numbers={key: _ratio(*pair) for key, pair in numbers.items()},
        alpha_methods=methods,
        differences={
            "gap_s": difference(*(_gaps(side.arrivals) for side in sides)),
            "request_tokens": difference(*(merged([s.known.request, s.known.failed_request]) for s in sides)),
            "response_tokens": difference(first.known.response, second.known.response),
            "elapsed_s": difference(first.known.elapsed_s, second.known.elapsed_s),
            "first_token_s": difference(first.known.first_token_s, second.known.first_token_s),
        },
    )


def _ratio(a: float | None, b: float | None) -> Ratio:
    return Ratio(a=a, b=b, ratio=b / a if a and b is not None else None)


def _gaps(arrivals: Arrivals) -> Tally:
    positive = Tally.of(arrivals.gaps, SECOND_US // arrivals.unit_us)
    zeros = Tally(np.zeros(1), np.array([arrivals.zeros]))
    return merged([zeros, positive]) if arrivals.zeros else positive


def _window_cv(side: _Side) -> float | None:
    windows, _ = gap_windows(side.arrivals, side.window_s * SECOND_US // side.arrivals.unit_us)
    found = np.sqrt(windows.squared_cv()[windows.gaps >= _GAPS_MIN])
    found = found[np.isfinite(found)]
    return float(np.median(found)) if len(found) else None


def difference(a: Tally, b: Tally) -> Difference:
    """Return how two columns differ."""
    ks = two_sample_ks(a, b)
    names = [f"p{percent}" for percent in _PERCENTS]
    of_a, of_b = (np.array([t.percentiles(_PERCENTS).get(name, np.nan) for name in names]) for t in (a, b))
    with np.errstate(all="ignore"):
        ratio = np.where(of_a > 0, of_b / of_a, np.nan)
    return Difference(
        n_a=a.n,
        n_b=b.n,
        mean_a=a.mean,
        mean_b=b.mean,
        ks=ks,
        p_value=None if ks is None else ks_p_value(ks, a.n, b.n),
        quantiles={"p": names, "a": of_a, "b": of_b, "b_over_a": ratio},
    )


def ks_p_value(distance: float, n: int, m: int) -> float:
    """Return the chance that two samples of one law, of independent values, are as far apart (Kolmogorov's limit).

    2 sum_{k>0} (-1)^(k-1) exp(-2 k^2 z^2), z = D sqrt(nm/(n+m)); too great where values are tied.

    >>> round(ks_p_value(0.1, 400, 400), 4), ks_p_value(0.0, 5, 5)
    (0.0366, 1.0)
    """
    z = distance * sqrt(n * m / (n + m))
    if z < 0.2:  # the series needs many terms, and is 1 to ten digits
        return 1.0
    total = 2 * sum((-1) ** (k - 1) * exp(-2 * k * k * z * z) for k in range(1, _TERMS))
    return float(min(max(total, 0.0), 1.0))
