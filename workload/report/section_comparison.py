"""Section: two traces beside each other."""

from collections.abc import Callable

from workload.report.analysis_parts import Facts
from workload.report.differences import COLUMNS, distance_rows, number_rows, quantile_rows, summary, word
from workload.report.numbers import known, number
from workload.report.page import Html, Section, element, figure, how_to_read, listed, method, paragraph, side_by_side
from workload.report.plot_specs import Axis, Plot, Series
from workload.report.plots import draw
from workload.report.tables import table
from workload.report.thin import floats


def comparison_section(comparison: Facts, name: str, other: str) -> Section:
    """Return the section of ``comparison`` (``Comparison.as_dict()``) of the traces called ``name`` and ``other``."""
    whole = comparison["all"]
    shown = [column for column in COLUMNS if known(whole["differences"][column[0]]["ks"])]
    distances = ["", "n of A", "n of B", "mean of A", "mean of B", "KS", "that is", "p"]
    body = [
        how_to_read(
            "Lines along the diagonal are equal distributions; above it B is greater there. KS is the greatest "
            "distance of two distributions, 0 to 1: up to 0.02 alike, up to 0.1 close. A model or a scaled trace "
            "that is to stand in for another should be close in lengths and in the CV of the windows."
        ),
        paragraph(element("b", "A"), f" is {name}, ", element("b", "B"), f" is {other}. {summary(whole)}"),
        table(["", "A", "B", "B over A"], number_rows(whole)),
        table(distances, distance_rows(whole)),
        side_by_side(*(part for column in shown for part in _quantiles(whole, column))),
        *_classes(comparison),
        method(*(f"{note[:1].upper()}{note[1:].rstrip('.')}. " for note in comparison["notes"])),
    ]
    return Section("comparison", f"{other} beside {name}", body)


def _quantiles(of: Facts, column: tuple[str, str, Callable[[object], str]]) -> tuple[Html, Html]:
    key, title, write = column
    found = of["differences"][key]["quantiles"]
    a, b = floats(found["a"]), floats(found["b"])
    good = (a > 0) & (b > 0)
    either = floats([*a[good], *b[good]])
    ends = floats([either.min(), either.max()]) if len(either) else floats([1, 2])
    plot = Plot(
        name=f"compared-{key.replace('_', '-')}",
        title=f"Quantiles of the {title}, B against A",
        description=f"KS distance {number(of['differences'][key]['ks'])}.",
        series=[
            Series(x=ends, y=ends, style="dashed", colour="muted"),
            Series(x=a[good], y=b[good], style="line+dots"),
        ],
        x=Axis(label=f"A: {title}", scale="log"),
        y=Axis(label="B", scale="log"),
    )
    header = [title, "A", "B", "B over A"]
    return figure(draw(plot), f"Quantiles of the {title}."), table(header, quantile_rows(of, key, write))


def _classes(comparison: Facts) -> list[Html]:
    parts: list[Html] = []
    if comparison["classes"]:
        rows = [
            [
                of["name"],
                number(of["requests"]["a"]),
                number(of["requests"]["b"]),
                *(number((of["numbers"]["window_cv_median"] or {}).get(side)) for side in ("a", "b")),
                *(_distance(of["differences"][key]["ks"]) for key in ("gap_s", "request_tokens", "response_tokens")),
            ]
            for of in comparison["classes"]
        ]
        header = ["", "n of A", "n of B", "window CV, A", "window CV, B", "KS of gaps", "requests", "responses"]
        parts += [element("h3", "Class by class"), table(header, rows, wide=True)]
    only = (("A", comparison["only_a"]), ("B", comparison["only_b"]))
    alone = [f"Only in {of}: {', '.join(names)}." for of, names in only if names]
    return [*parts, listed(alone)] if alone else parts


def _distance(ks: float | None) -> str:
    return f"{number(ks)} ({word(ks)})" if known(ks) else "-"
