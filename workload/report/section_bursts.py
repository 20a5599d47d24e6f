"""Sections: dispersion of counts by scale, and bursts found."""

from collections.abc import Sequence
from math import nan

from workload.report.analysis_parts import Clock, Facts, classes_of, rows_of
from workload.report.findings import no_bursts
from workload.report.numbers import count, duration, known, moment, number, percent
from workload.report.page import Html, Section, absent, figure, how_to_read, method, paragraph, side_by_side
from workload.report.plot_specs import Axis, Plot, Series
from workload.report.plots import draw
from workload.report.tables import table

_BURSTS_SHOWN = 20
_QUANTILES = ("p10", "p50", "p90", "mean")


def dispersion_section(facts: Facts) -> Section:
    """Return the section of counts by scale."""
    rows = [row for row in rows_of(facts["dispersion"]["scales"]) if known(row["idc"]) or known(row["allan"])]
    if not rows:
        return Section("dispersion", "Dispersion by scale", [absent("Too short a trace: no scale has 30 bins.")])
    scales = [row["scale_s"] for row in rows]
    plot = Plot(
        name="dispersion",
        title="Dispersion of counts by scale",
        description="Index of dispersion and Allan factor; 1 is Poisson.",
        series=[
            Series(x=scales, y=[row["idc"] or nan for row in rows], style="line+dots", label="index of dispersion"),
            Series(
                x=scales, y=[row["allan"] or nan for row in rows], style="line+dots", colour="s1", label="Allan factor"
            ),
        ],
        x=Axis(label="scale, seconds", scale="log"),
        y=Axis(label="variance over mean", scale="log"),
        marks=[(1.0, "Poisson")],
    )
    header = ["scale", "bins", "requests a bin", "IDC", "Allan"]
    cells = [
        [duration(row["scale_s"]), number(row["bins"]), number(row["mean"]), number(row["idc"]), number(row["allan"])]
        for row in rows
    ]
    body = [
        how_to_read(
            "Poisson traffic stays at 1 at every scale. A line that rises with the scale is clumping that does not "
            "average out: a queue sized for the mean of a minute is wrong for the next one. IDC far above Allan is a "
            "drifting rate (day and night) rather than bursts."
        ),
        side_by_side(figure(draw(plot), "Both axes are logarithmic."), table(header, cells)),
        *_class_dispersion(facts),
        method("Counts in bins of each scale; at least 30 bins. Allan: squared differences of neighbouring bins."),
    ]
    return Section("dispersion", "Dispersion by scale", body)


def _class_dispersion(facts: Facts) -> list[Html]:
    classes = classes_of(facts)
    told = [(kind, scale) for kind in ("idc", "allan") for scale in ("1", "10", "60")]
    rows = [
        [name, *(number(of["burstiness"]["overall"][kind].get(scale)) for kind, scale in told)]
        for name, of in (("all", facts), *((of["name"], of) for of in classes))
    ]
    header = ["", *(f"{kind.upper() if kind == 'idc' else 'Allan'} {scale} s" for kind, scale in told)]
    return [table(header, rows, caption="By class of requests")] if classes else []


def bursts_section(facts: Facts, clock: Clock) -> Section:
    """Return the section of episodes; none found is told as such."""
    found = facts["bursts"]
    rows = rows_of(found["episodes"])
    how = method(
        f"Detector {found['detector']}, as the live analysis runs it: a score above {number(found['threshold'])} on "
        f"windows of 1 s to 60 s against the rate expected; none in the first {duration(found['warmup_s'])}."
    )
    if not rows:
        return Section("bursts", "Bursts", [absent(no_bursts(found)), how])
    rows.sort(key=lambda row: -(row["excess"] or 0.0))
    quantiles = [
        [title, *(write(found[name].get(q)) for q in _QUANTILES), write(_greatest(found["episodes"][name]))]
        for name, title, write in (("duration_s", "lasted", duration), ("factor", "peak over base rate", number))
    ]
    body = [
        how_to_read(
            "A burst is a stretch in which requests come much faster than they just did. Those with the most requests "
            "above the base rate are listed first: they are what fills a queue or a KV cache."
        ),
        paragraph(
            f"{count(found['n'], 'burst')}: {number(found['per_day'])} a day, {percent(found['time_ratio'])} of the "
            f"time, {percent(found['arrivals_ratio'])} of the requests."
        ),
        table(["over the bursts", *_QUANTILES, "max"], quantiles),
        _bursts_table(rows[:_BURSTS_SHOWN], clock, found["n"]),
        how,
    ]
    return Section("bursts", "Bursts", body)


def _greatest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if known(value)), default=None)


def _bursts_table(rows: Sequence[Facts], clock: Clock, n: int) -> Html:
    header = ["began", "lasted", "base/s", "peak/s (10 s)", "factor", "requests", "above base", "score"]
    cells = [
        [
            moment(row["onset_s"], absolute=clock.absolute),
            "to the end" if row["duration_s"] is None else duration(row["duration_s"]),
            *(number(row[name]) for name in ("baseline_per_s", "peak_per_s", "factor")),
            *(number(row[name]) for name in ("arrivals", "excess", "peak_z")),
        ]
        for row in rows
    ]
    caption = f"The {len(rows)} greatest of {count(n, 'burst')}, by requests above the base rate"
    return table(header, cells, caption=caption)
