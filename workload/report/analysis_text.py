"""The analysis of a trace on the terminal: what was found in sentences, then a screen or two of tables."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workload.report.analysis_parts import Clock, Facts, classes_of, rows_of
from workload.report.differences import distance_rows, number_rows, summary
from workload.report.findings import cut_gaps, findings
from workload.report.numbers import duration, moment, number, percent, span
from workload.report.published import BURSTGPT_3, BURSTINESS, FAILURES, LENGTHS, RATE, RELATION, SESSIONS, Figure

_BURSTS_SHOWN = 5
_FAMILIES = {"exponential": "exponential", "gamma": "Gamma", "weibull": "Weibull", "lognormal": "log-normal"}
_QUANTILES = ("p10", "p50", "p90", "p99")


def analysis_text(facts: Facts, *, name: str, by_class: bool = False) -> RenderableType:
    """Return the analysis (``Analysis.as_dict()``) of the trace called ``name`` for a terminal.

    ``by_class`` adds rows for each class of requests. Whatever is not known is ``-``.
    """
    clock = Clock.of(facts)
    lines = [Text(name, style="bold"), *(Text(f"  {sentence}") for sentence in findings(facts)), Text()]
    if not facts["file"]["rows"]:
        return Group(*lines)
    classes = [("all", facts), *((of["name"], of) for of in classes_of(facts))] if by_class else [("all", facts)]
    tables = (
        _windows(classes), _families(facts), _dispersion(facts), _lengths(classes), _bursts(facts, clock),
        _failures(facts), _beside(facts),
    )  # fmt: skip
    return Group(*lines, *(part for found in tables for part in found))


def comparison_text(comparison: Facts, name: str, other: str) -> RenderableType:
    """Return the comparison (``Comparison.as_dict()``) of the traces called ``name`` and ``other`` for a terminal."""
    whole = comparison["all"]
    tables = [
        *_table("", ["", "A", "B", "B over A"], number_rows(whole)),
        *_table("Distances", ["", "n of A", "n of B", "mean of A", "mean of B", "KS", "that is", "p"],
                distance_rows(whole)),
    ]  # fmt: skip
    head = [Text(f"A: {name}\nB: {other}", style="bold"), Text(f"  {summary(whole)}"), Text()]
    return Group(*head, *tables, *(Text(note, style="dim") for note in comparison["notes"]))


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[RenderableType]:
    """Return a title, a table without lines and a gap; nothing without rows. Cells are plain text, never markup."""
    if not rows:
        return []
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, column in enumerate(header):
        table.add_column(Text(column, style="dim"), justify="left" if place < words else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return [*([Text(title, style="bold")] if title else []), table, Text()]


def _windows(classes: Sequence[tuple[str, Facts]]) -> list[RenderableType]:
    rows = []
    for name, of in classes:
        found = of["burstiness"]
        for key, title in (("rate_per_s", "rate, requests/s"), ("cv", "CV"), ("alpha", "α"), ("beta", "β")):
            quantiles = found["quantiles"].get(key) or {}
            whole = found["overall"].get(key)
            cells = [number(quantiles.get(q)) for q in ("p10", "p25", "p50", "mean", "p75", "p90")]
            rows.append([name if key == "rate_per_s" else "", title, *cells, number(whole)])
    window_s = classes[0][1]["burstiness"]["window_s"]
    cut = "; CV of gaps cut to whole seconds, which means little" if cut_gaps(classes[0][1]) else ""
    header = ["", "", "p10", "p25", "p50", "mean", "p75", "p90", "whole trace"]
    return _table(f"Burstiness, windows of {duration(window_s)}{cut}", header, rows, words=2)


def _families(facts: Facts) -> list[RenderableType]:
    found = facts["burstiness"]
    rows = [
        [
            name,
            percent(found["wins"].get(family)),
            number(found["ks_mean"].get(family)),
            percent(found["ks_passed"].get(family)),
        ]
        for family, name in _FAMILIES.items()
        if found["fitted"]
    ]
    return _table("Families of the gaps", ["", "best by AIC", "mean KS", "within the 5 % bound"], rows)


def _dispersion(facts: Facts) -> list[RenderableType]:
    rows = rows_of(facts["dispersion"]["scales"])
    if not rows:
        return []
    header = ["", *(duration(row["scale_s"]) for row in rows)]
    cells = [[title, *(number(row[key]) for row in rows)] for key, title in (("idc", "IDC"), ("allan", "Allan"))]
    return _table("Dispersion of counts by scale (Poisson: 1)", header, cells)


def _lengths(classes: Sequence[tuple[str, Facts]]) -> list[RenderableType]:
    rows = []
    for name, of in classes:
        for side in ("request", "response"):
            found = of["lengths"][side]
            if not found["n"]:
                continue
            zipf, lognormal = found["zipf"], found["lognormal"]
            rows.append([
                name if side == "request" else "", side, number(found["n"]), number(found["mean"]),
                *(number(found["quantiles"].get(q)) for q in _QUANTILES), number(found["max"]),
                f"{number(zipf['theta'])} ({number(zipf['ks'])})" if zipf else "-",
                f"{number(lognormal['sigma'])} ({number(lognormal['ks'])})" if lognormal else "-",
            ])  # fmt: skip
    header = ["", "", "n", "mean", *_QUANTILES, "max", "Zipf θ (KS)", "log-normal σ (KS)"]
    return _table("Tokens", header, rows, words=2)


def _bursts(facts: Facts, clock: Clock) -> list[RenderableType]:
    found = rows_of(facts["bursts"]["episodes"])
    found.sort(key=lambda row: -(row["excess"] or 0.0))
    rows = [
        [
            moment(row["onset_s"], absolute=clock.absolute),
            "to the end" if row["duration_s"] is None else duration(row["duration_s"]),
            *(number(row[key]) for key in ("baseline_per_s", "peak_per_s", "factor", "excess")),
        ]
        for row in found[:_BURSTS_SHOWN]
    ]
    header = ["began", "lasted", "base/s", "peak/s", "factor", "requests above base"]
    return _table(f"Greatest of {number(facts['bursts']['n'])} bursts", header, rows)


def _failures(facts: Facts) -> list[RenderableType]:
    found = facts["failures"]
    if not found["failed"]:
        return []
    groups: Sequence[tuple[str, Callable[[Any], str]]] = (
        ("by_model", lambda row: str(row["name"])),
        ("by_log_type", lambda row: str(row["name"])),
        ("by_load", lambda row: f"{number(row['from_per_s'])} to {number(row['to_per_s'])} requests/s"),
        ("by_burstiness", lambda row: f"CV {number(row['from_cv'])} to {number(row['to_cv'])}"),
    )
    rows = []
    for group, title in groups:
        named = rows_of(found[group])
        ends = named if group in {"by_model", "by_log_type"} else [named[0], named[-1]] if len(named) > 1 else []
        for row in ends:
            cells = [number(row["n"]), number(row["failed"]), percent(row["ratio"]), span(row["lower"], row["upper"])]
            rows.append([title(row), *cells])
    return _table("Failures", ["", "requests", "failed", "ratio", "95 % bounds"], rows)


def _beside(facts: Facts) -> list[RenderableType]:
    """Return the figures that were published of BurstGPT, too, and that this trace has."""
    figures: list[Figure] = [*RATE, *BURSTINESS, *LENGTHS, *RELATION, *SESSIONS[:3], *FAILURES]
    rows = [
        [figure.what, ours, figure.told(figure.api), figure.told(figure.conversation)]
        for figure in figures
        if (ours := figure.of(facts)) != "-"
    ]
    header = ["", "this trace", "BurstGPT_3 API", "BurstGPT_3 Conversation"]
    title = f"Beside {BURSTGPT_3}; its CVs are of 5-minute windows"
    return _table(title, header, rows)
