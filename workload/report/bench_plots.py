"""The plots of a benchmark: what a figure does as burstiness rises, the map of what is met, the cache over time.

Each takes the runs grouped by rate (``bench_rows.by_rate``) and returns figures; none where nothing was measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import nan
from typing import TypeAlias

from workload.report.bench_rows import Run, cv, rate_title, rate_words, reasons, target
from workload.report.numbers import known, number, percent
from workload.report.page import Html, element, figure
from workload.report.plot_specs import Axis, HeatMap, Plot, Series
from workload.report.plots import draw, draw_heat_map
from workload.report.thin import floats

Groups: TypeAlias = Sequence[tuple[float | None, Sequence[Run]]]
_COLOURS = ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7")
_SMALL_MULTIPLES = 18


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a run to draw against its burstiness; ``bounds`` are the keys of its 95 % interval."""

    name: str
    title: str
    value: Callable[[Run], float | None]
    axis: Axis
    bounds: tuple[str, str] | None = None

    @classmethod
    def of(cls, key: str, title: str, axis: Axis, bounds: tuple[str, str] | None = None) -> "Measure":
        """Return the measure that stands under ``key`` of a run."""
        return cls(key.replace("_", "-"), title, lambda run: run.get(key), axis, bounds)


def against_cv(groups: Groups, measure: Measure) -> list[Html]:
    """Return one plot with a line per rate; none where nothing was measured."""
    series: list[Series] = []
    for (asked, runs), colour in zip(groups, cycle(_COLOURS), strict=False):
        measured = [run for run in runs if known(cv(run)) and known(measure.value(run))]
        if not measured:
            continue
        xs = floats([cv(run) or 0.0 for run in measured])
        if measure.bounds:
            low, high = (floats([run.get(key, nan) for run in measured]) for key in measure.bounds)
            series.append(Series(x=xs, y=low, upper=high, style="band", colour=colour))
        ys = floats([measure.value(run) or 0.0 for run in measured])
        series.append(Series(x=xs, y=ys, label=rate_words(asked), style="line+dots", colour=colour))
    if not series:
        return []
    drawn = Plot(
        name=measure.name,
        title=measure.title,
        description=f"{measure.title}, one line per rate, burstiness rising to the right.",
        series=series,
        x=_cv_axis(groups),
        y=measure.axis,
    )
    caption = f"{measure.title}{'; bands hold 95 %' if measure.bounds else ''}."
    return [figure(draw(drawn), caption)]


def _cv_axis(groups: Groups) -> Axis:
    asked = sorted({v for _, runs in groups for run in runs if known(v := run.get("cv_target")) and v > 0})
    ticks = [(float(v), f"{v:g}") for v in asked] or None
    return Axis(label="CV of the gaps", scale="log", ticks=ticks)


def by_reason(groups: Groups) -> list[Html]:
    """Return failures by reason at the highest rate, where they tell most."""
    asked, runs = groups[-1]
    lines = []
    for reason, colour in zip(reasons(runs)[: len(_COLOURS)], cycle(_COLOURS), strict=False):
        xs = floats([cv(run) or 0.0 for run in runs])
        ys = [(run.get("failures") or {}).get(reason, 0) for run in runs]
        lines.append(Series(x=xs, y=ys, label=reason, style="line+dots", colour=colour))
    if not lines:
        return []
    title = f"Failures by reason, {rate_title(asked)}"
    plot = Plot(name="reasons", title=title, description=title, series=lines, x=_cv_axis(groups),
                y=Axis(label="requests", low=0))  # fmt: skip
    return [figure(draw(plot), f"{title}: {', '.join(reasons(runs)[: len(_COLOURS)])}.")]


def heat_map(groups: Groups, share: float) -> list[Html]:
    """Return the map of burstiness and rate; none for a single rate. ``share``: who must be served well."""
    told = [(asked, runs) for asked, runs in groups if asked is not None]
    if len(told) < 2:
        return []
    wanted = sorted({v for _, runs in told for run in runs if (v := target(run)) is not None})
    values: list[list[float | None]] = []
    for _, runs in told:
        found = {target(run): run.get("slo_ok_ratio") for run in runs}
        values.append([found.get(v) for v in wanted])
    title = "Share of requests within the SLO, by burstiness and rate"
    plot = HeatMap(
        name="heat", title=title, description=f"{title}: green is met, red is missed.",
        columns=[f"{v:g}" for v in wanted], rows=[f"{number(asked)}/s" for asked, _ in told], values=values,
        good_from=share, x_label="CV of the gaps", y_label="rate", size="half",
    )  # fmt: skip
    return [figure(draw_heat_map(plot), f"{title}. Down and to the left is calm; the edge of the green is your limit.")]


def small_multiples(groups: Groups) -> list[Html]:
    """Return the KV cache over time, a small plot a run, the highest rate first, as many rates as fit."""
    parts: list[Html] = []
    shown = 0
    for place, (asked, runs) in enumerate(reversed(groups)):
        drawn = [svg for number_, run in enumerate(runs) if (svg := _kv_over_time(run, f"kv-{place}-{number_}"))]
        if drawn and shown + len(drawn) <= _SMALL_MULTIPLES:
            shown += len(drawn)
            parts += [
                element("h3", f"KV cache over time, {rate_title(asked)}"),
                element("div", *drawn, class_="plots small"),
            ]
    return parts


def _kv_over_time(run: Run, name: str) -> Html | None:
    series = run.get("series") or {}
    if not series.get("t_s") or not series.get("kv"):
        return None
    title = f"KV usage over time at CV {number(cv(run))}"
    plot = Plot(
        name=name, title=title, description=f"{title}; 1 is full.", size="small",
        series=[
            Series(x=series["t_s"], y=[0.0] * len(series["t_s"]), upper=series["kv"], style="band"),
            Series(x=series["t_s"], y=series["kv"]),
        ],
        x=Axis(label="seconds"), y=Axis(low=0, high=1.05),
    )  # fmt: skip
    failed = f", {percent(run.get('failed_ratio'))} failed" if known(run.get("failed_ratio")) else ""
    return figure(draw(plot), f"CV {number(cv(run))}: peak {percent(run.get('kv_usage_peak'))}{failed}")
