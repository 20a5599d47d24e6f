"""Request and response lengths together: quantiles of requests, quantiles of responses given the request. Pure.

No family describes LLM lengths well (their modes are templates and caps), so they are drawn from quantiles, which keep
the modes, the dependence and the far tail; the families are judged and stated for the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.fit.candidates import Candidate, Floats
from workload.fit.length_families import length_candidates
from workload.model.model import Candidate as Tried
from workload.model.model import Lengths, Quantiles, ResponseBin
from workload.trace.columns import Int32s

ROWS_MIN = 30  # successful requests with both lengths: fewer say nothing of a distribution
ROWS_PER_BIN = 250  # for responses given the request
BINS_MAX = 16
_POINTS = tuple(round(i / 50, 2) for i in range(51))
_TAIL = (0.995, 0.999, 0.9999)
_ROWS_PER_POINT = 4
_ALL_KEPT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthsFit:
    """What was found: the model's part, and the candidates as judged (requests', responses')."""

    lengths: Lengths
    request: list[Candidate]
    response: list[Candidate]
    rows: int


def fit_lengths(request: Int32s, response: Int32s) -> LengthsFit | None:
    """Return the joint distribution of the rows in which both lengths are above 0; None for fewer than ``ROWS_MIN``.

    Rows with an unknown or a zero length do not count: in BurstGPT they are failures, most of whose request lengths
    were not kept.
    """
    whole = (request > 0) & (response > 0)
    asked, answered = request[whole], response[whole]
    n = len(asked)
    if n < ROWS_MIN:
        return None
    points = grid(n)
    bins = _response_bins(asked, answered)
    judged = [length_candidates(*_histogram(values)) for values in (asked, answered)]
    lengths = Lengths(
        probabilities=points,
        request_tokens=_at(asked, points),
        response_given_request=bins,
        candidates=(*tried("request_tokens", judged[0]), *tried("response_tokens", judged[1])),
        source=f"{n} successful requests; {len(points)} quantiles; responses by {len(bins)} ranges of the request",
    )
    return LengthsFit(lengths=lengths, request=judged[0], response=judged[1], rows=n)


def grid(n: int) -> tuple[float, ...]:
    """Return the probabilities at which ``n`` values are written down: up to 2 % apart, closer where the tail is.

    0 and 1 (the extremes) are among them; p99.5, p99.9 and p99.99 where values lie beyond them.
    """
    step = next(s for s in (1, 2, 5, 10, 25) if s == 25 or 50 / s * _ROWS_PER_POINT <= n)
    points = sorted({*_POINTS[::step], 1.0, *((0.99,) if n >= 100 else ())})
    tail = [p for p in _TAIL if n * (1 - p) >= 1]
    return (*points[:-1], *tail, 1.0)


def quantiles_of(values: NDArray[Any]) -> Quantiles:
    """Return quantiles of ``values`` (one at least): values that were seen, not ones between them.

    Up to ``_ALL_KEPT`` values are all kept: the mean of what is drawn is then that of what was seen.
    """
    n = len(values)
    if n <= _ALL_KEPT:
        kept = tuple(float(v) for v in np.sort(values)) * (2 if n == 1 else 1)
        return Quantiles(probabilities=tuple((np.arange(len(kept)) / (len(kept) - 1)).tolist()), values=kept)
    return Quantiles(probabilities=grid(n), values=_at(values, grid(n)))


def tried(of: str, found: Sequence[Candidate]) -> tuple[Tried, ...]:
    """Return candidates as the model file states them, the likeliest (by AIC) first."""
    return tuple(
        Tried(
            of=of,
            family=one.family,
            parameters={name: float(f"{value:.5g}") for name, value in one.parameters.items()},
            log_likelihood=round(one.log_likelihood, 1),
            ks=None if one.ks is None else round(one.ks, 4),
        )
        for one in sorted(found, key=lambda one: one.aic)
    )


def _response_bins(asked: Int32s, answered: Int32s) -> tuple[ResponseBin, ...]:
    """Cut requests into ranges of about equal counts; each range has quantiles of its own responses."""
    wanted = min(max(len(asked) // ROWS_PER_BIN, 1), BINS_MAX)
    inner = np.quantile(asked, np.arange(1, wanted) / wanted, method="inverted_cdf")
    edges = np.unique(np.append(inner, asked.max()))
    place = np.searchsorted(edges, asked)
    found = []
    for i, edge in enumerate(edges.tolist()):
        mine = answered[place == i]
        points = grid(len(mine))
        found.append(ResponseBin(request_up_to=int(edge), probabilities=points, response_tokens=_at(mine, points)))
    return tuple(found)


def _at(values: NDArray[Any], points: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.quantile(values, points, method="inverted_cdf"))


def _histogram(values: Int32s) -> tuple[Floats, Floats]:
    seen, counts = np.unique(values, return_counts=True)
    return seen.astype(np.float64), counts.astype(np.float64)
