"""What was published of BurstGPT, to stand beside a trace's own figures; every number with where it is from. Pure.

Figures of BurstGPT_3 (5,344,021 requests, 110 days) were measured by others on the released file; this project has not
had the whole file. Its log types differ so much that a figure of both together would describe neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workload.report.numbers import ABSENT, duration, known, number, percent

BURSTGPT_3 = "BurstGPT_3.csv as released (github.com/HPMLL/BurstGPT), measured by third parties"
PAPER = "Wang et al., BurstGPT, KDD ’25 (arXiv 2401.17644)"
Unit = Literal["number", "percent", "seconds"]
_WRITTEN: Mapping[Unit, Callable[[object], str]] = {"number": number, "percent": percent, "seconds": duration}


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure.

    Attributes:
        what: what it is, as people say it.
        path: where the same figure stands in an analysis (of a trace or of a class).
        api, conversation: of BurstGPT_3's log types; None: not published.
    """

    what: str
    path: tuple[str, ...]
    api: float | None
    conversation: float | None
    unit: Unit = "number"

    def told(self, value: float | None) -> str:
        """Return a published value as text, in the digits it was published in."""
        if value is None:
            return ABSENT
        if self.unit == "seconds":
            return duration(value)
        return f"{100 * value:.4g} %" if self.unit == "percent" else f"{value:,.15g}"

    def of(self, facts: Mapping[str, Any]) -> str:
        """Return this figure of an analysis as text, ``-`` where it is not known."""
        found: Any = facts
        for step in self.path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return _WRITTEN[self.unit](found if known(found) else None)


def _quantiles(what: str, path: tuple[str, ...], rows: Mapping[str, tuple[float, float]], unit: Unit) -> list[Figure]:
    """Return figures of a column of numbers: ``mean`` and ``max`` stand beside its quantiles."""
    return [
        Figure(f"{what} {name}", (*path, name) if name in {"mean", "max"} else (*path, "quantiles", name), *of, unit)
        for name, of in rows.items()
    ]


RATE = [
    Figure("mean rate, requests/s", ("rate", "mean_per_s"), 0.54, 0.025),
    Figure("busiest over quietest hour of the day", ("rate", "peak_over_trough"), 3.01, 34.8),
    Figure("busiest hour of the day over the mean", ("rate", "peak_over_mean"), 1.38, 2.36),
]
BURSTINESS = [
    Figure("CV of a window, p10", ("burstiness", "quantiles", "cv", "p10"), 0.67, 0.77),
    Figure("CV of a window, p50", ("burstiness", "quantiles", "cv", "p50"), 1.50, 0.92),
    Figure("CV of a window, mean", ("burstiness", "quantiles", "cv", "mean"), 2.54, 0.94),
    Figure("CV of a window, p90", ("burstiness", "quantiles", "cv", "p90"), 5.22, 1.12),
    Figure("windows with a CV above 1", ("burstiness", "cv_above_one_ratio"), 0.725, 0.297, "percent"),
]
LENGTHS = [
    *_quantiles(
        "request tokens", ("lengths", "request"),
        {"mean": (457, 953), "p50": (326, 517), "p90": (794, 2354), "p99": (3141, 5630), "max": (125_591, 71_197)},
        "number",
    ),
    *_quantiles(
        "response tokens", ("lengths", "response"),
        {"mean": (68.9, 272), "p50": (14, 187), "p90": (111, 669), "p99": (804, 1067)}, "number",
    ),
]  # fmt: skip
RELATION = [Figure("Pearson correlation of request and response", ("relation", "pearson"), 0.183, 0.438)]
LATENCY = _quantiles(
    "elapsed", ("latency", "elapsed_s"), {"mean": (2.35, 7.0), "p50": (0, 3), "p90": (5, 16), "p99": (39, 61)},
    "seconds",
)  # fmt: skip
FAILURES = [Figure("requests that failed", ("failures", "ratio"), 0.0756, 0.0079, "percent")]

# BurstGPT_3: P(1), P(2), ... of turns in a session.
TURNS_PMF: Sequence[float] = (0.355, 0.204, 0.119, 0.076, 0.051, 0.037, 0.028, 0.021, 0.018, 0.013)
SESSIONS = [
    Figure("sessions of one turn, P(1)", ("sessions", "single_ratio"), None, 0.355, "percent"),
    Figure("requests that are turn 2 or later", ("sessions", "later_turn_ratio"), None, 0.761, "percent"),
    *(
        Figure(f"turns {name}", ("sessions", "turns", *path), None, value)
        for name, path, value in (
            ("mean", ("mean",), 4.18), ("p50", ("quantiles", "p50"), 2), ("p75", ("quantiles", "p75"), 4),
            ("p90", ("quantiles", "p90"), 9), ("p99", ("quantiles", "p99"), 31), ("max", ("max",), 436),
        )
    ),
    *(
        Figure(f"from request to next request {name}", ("sessions", "gap_s", "quantiles", name), None, value, "seconds")
        for name, value in (("p10", 20), ("p50", 131), ("p90", 2340), ("p99", 78_903))
    ),
    Figure("request tokens of turn 1, mean", ("sessions", "first_request", "mean"), None, 170),
    Figure("request tokens of later turns, mean", ("sessions", "later_request", "mean"), None, 1199),
    *(
        Figure(f"growth of the request per turn, {name}", ("sessions", "growth_tokens", name), None, value)
        for name, value in (("mean", 187), ("p10", -124), ("p50", 125), ("p90", 642))
    ),
    Figure("length of a session of 2 turns or more, p50", ("sessions", "duration_s", "quantiles", "p50"), None, 866,
           "seconds"),
]  # fmt: skip
