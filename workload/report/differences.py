"""A comparison of two traces in rows: the same on the terminal and on a page. Pure.

``Facts`` here is ``Comparison.as_dict()``, or one class of it.
"""

from collections.abc import Callable, Sequence
from math import log

from workload.report.analysis_parts import Facts
from workload.report.numbers import duration, known, number, percent

COLUMNS: Sequence[tuple[str, str, Callable[[object], str]]] = (
    ("gap_s", "gap between requests", duration),
    ("request_tokens", "request tokens", number),
    ("response_tokens", "response tokens", number),
    ("elapsed_s", "elapsed time", duration),
    ("first_token_s", "time to the first token", duration),
)
_NUMBERS: Sequence[tuple[str, str, Callable[[object], str]]] = (
    ("rate_per_s", "rate, requests/s", number),
    ("cv", "CV of all gaps", number),
    ("window_cv_median", "CV of a window, median", number),
    ("alpha", "α of all gaps", number),
    ("idc_1_s", "IDC, 1 s", number),
    ("idc_10_s", "IDC, 10 s", number),
    ("idc_60_s", "IDC, 60 s", number),
    ("failed_ratio", "failed", percent),
)
_APART = log(1.25)  # ratios nearer to 1 are no difference to name
_WORDS = ((0.02, "alike"), (0.1, "close"), (0.25, "different"))  # KS distance up to which a word holds


def number_rows(of: Facts) -> list[list[str]]:
    """Return what, first, second, second over first."""
    rows = [["requests", *(number(of["requests"][side]) for side in ("a", "b")), number(of["requests"]["ratio"])]]
    for key, title, write in _NUMBERS:
        pair = of["numbers"].get(key) or {}
        if known(pair.get("a")) or known(pair.get("b")):
            rows.append([title, write(pair["a"]), write(pair["b"]), number(pair["ratio"])])
        elif key == "alpha" and all(of["alpha_methods"]) and len(set(of["alpha_methods"])) > 1:
            rows.append([title, *(f"by {method}" for method in of["alpha_methods"]), "not comparable: other methods"])
    return rows


def distance_rows(of: Facts) -> list[list[str]]:
    """Return what, n and mean of both, KS, what that means, p; only of columns that both tell."""
    rows = []
    for key, title, write in COLUMNS:
        found = of["differences"].get(key) or {}
        if known(found.get("ks")):
            counts = [number(found["n_a"]), number(found["n_b"])]
            means = [write(found["mean_a"]), write(found["mean_b"])]
            rows.append([title, *counts, *means, number(found["ks"]), word(found["ks"]), _chance(found["p_value"])])
    return rows


def _chance(p_value: object) -> str:
    return "< 0.001" if known(p_value) and p_value < 0.001 else number(p_value)


def quantile_rows(of: Facts, key: str, write: Callable[[object], str]) -> list[list[str]]:
    """Return quantile, first, second, second over first of one column."""
    found = of["differences"][key]["quantiles"]
    return [
        [str(p), write(a), write(b), number(ratio)]
        for p, a, b, ratio in zip(found["p"], found["a"], found["b"], found["b_over_a"], strict=True)
    ]


def word(distance: float) -> str:
    """Return what a KS distance means.

    >>> [word(d) for d in (0.01, 0.05, 0.2, 0.6)]
    ['alike', 'close', 'different', 'far apart']
    """
    return next((told for most, told in _WORDS if distance <= most), "far apart")


def summary(of: Facts) -> str:
    """Return the comparison in a sentence or two, the greatest difference first."""
    told = [(found["ks"], title) for key, title, _ in COLUMNS if known((found := of["differences"][key])["ks"])]
    if not told:
        return "They have no column in common that can be compared."
    told.sort(reverse=True)
    parts = ", ".join(f"{title} {word(ks)} (KS {number(ks)})" for ks, title in told)
    return f"{_greatest(of)}{parts[:1].upper()}{parts[1:]}."


def _greatest(of: Facts) -> str:
    """Return the figure whose ratio is farthest from 1 as a sentence; nothing if all are about equal.

    CVs are left out where one alpha is of gaps and the other of counts: the clocks differ, and CVs with them.
    """
    clocks = set(of["alpha_methods"])
    unlike = {"cv", "window_cv_median"} if "dispersion" in clocks and len(clocks) > 1 else set()
    ratios = [
        (abs(log(pair["ratio"])), title, write(pair["a"]), write(pair["b"]), pair["ratio"])
        for key, title, write in _NUMBERS
        if key not in unlike and known((pair := of["numbers"].get(key) or {}).get("ratio")) and pair["ratio"] > 0
    ]
    off, title, a, b, ratio = max(ratios, default=(0.0, "", "", "", 1.0))
    if off < _APART:
        return ""
    times = f"{number(ratio)} times as great" if ratio > 1 else f"{number(1 / ratio)} times less"
    return f"The greatest difference is the {title}: {a} in A, {b} in B, {times}. "
