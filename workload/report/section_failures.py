"""Sections: failures over time, against load and burstiness; and how long answers took."""

from collections.abc import Sequence

from workload.report.analysis_parts import Clock, Facts, beside_published, classes_of, rows_of
from workload.report.numbers import count, duration, known, number, percent, span
from workload.report.page import (
    Html,
    Section,
    absent,
    element,
    figure,
    how_to_read,
    method,
    paragraph,
    published,
    side_by_side,
)
from workload.report.plot_specs import Axis, Plot, Series
from workload.report.plots import draw
from workload.report.published import FAILURES, LATENCY, PAPER
from workload.report.tables import table

_QUANTILES = ("p10", "p25", "p50", "p75", "p90", "p95", "p99", "p99.9")
_PAPER = (
    "“We observe a relatively high failure rate in BurstGPT. In our evaluation, we identify that this is primarily "
    "due to inefficiencies in KV cache management.” The conversation service’s average “is consistently high, "
    "exceeding 5% for ChatGPT”. "
)


def failures_section(facts: Facts, clock: Clock) -> Section:
    """Return the section; a trace without failures says so, with the upper bound that is known."""
    found = facts["failures"]
    if not found["failed"]:
        upper = f" With 95 % confidence fewer than {percent(found['upper'])} fail." if known(found["upper"]) else ""
        words = f"None of {count(found['n'], 'request')} is marked as failed.{upper}"
        note = absent(words, " A trace may simply have left failures out (the published *_without_fails_* files do).")
        return Section("failures", "Failures", [note])
    body = [
        how_to_read(
            "Bands are 95 % bounds of the ratio. Failures that rise with load point to capacity; failures that rise "
            "with burstiness at equal load point to memory and queues that are sized for the mean."
        ),
        paragraph(
            f"{count(found['failed'], 'request')} of {number(found['n'])} failed: {percent(found['ratio'])} "
            f"({span(found['lower'], found['upper'])}); {number(found['cancelled'])} were cancelled by the client."
        ),
        _over_time(facts, clock),
        side_by_side(
            *_against(facts, "by_load", ("from_per_s", "to_per_s"), "window's request rate, requests/s"),
            *_against(facts, "by_burstiness", ("from_cv", "to_cv"), "window's CV"),
        ),
        paragraph(
            "Spearman correlation over windows, of the failed ratio with the rate "
            f"{number(found['rate_correlation'])}, with the CV {number(found['cv_correlation'])}."
        ),
        published(_PAPER, element("cite", f"{PAPER}, p. 2, as quoted.")),
        beside_published(facts, FAILURES),
        *_groups(facts),
        method(
            "Failed: marked so, or 0 response tokens in BurstGPT’s formats. Cancelled requests count neither way. "
            "Bounds are Wilson’s; they take requests as independent, so inside outages they are too narrow."
        ),
    ]
    return Section("failures", "Failures", body)


def _over_time(facts: Facts, clock: Clock) -> Html:
    found = facts["failures"]
    over = found["over_time"]
    x = clock.places(over["start_s"])
    plot = Plot(
        name="failed-time",
        title="Share of requests that failed, over time",
        description=f"Over the whole trace {percent(found['ratio'])}.",
        series=[
            Series(x=x, y=over["lower"], upper=over["upper"], style="band", colour="bad"),
            Series(x=x, y=over["ratio"], colour="bad"),
        ],
        x=clock.axis(),
        y=Axis(label="failed", low=0),
        size="wide",
    )
    return figure(draw(plot), f"Share that failed, in bins of {duration(found['step_s'])}.", size="wide")


def _against(facts: Facts, group: str, bounds: tuple[str, str], label: str) -> list[Html]:
    rows = [row for row in rows_of(facts["failures"][group]) if known(row["ratio"])]
    if not rows:
        return []
    middles = [(row[bounds[0]] + row[bounds[1]]) / 2 if known(row[bounds[1]]) else row[bounds[0]] for row in rows]
    plot = Plot(
        name=group.replace("_", "-"),
        title=f"Share of requests that failed, by {label}",
        description="Tenths of the windows.",
        series=[
            Series(
                x=middles, y=[r["lower"] for r in rows], upper=[r["upper"] for r in rows], style="band", colour="bad"
            ),
            Series(x=middles, y=[r["ratio"] for r in rows], style="line+dots", colour="bad"),
        ],
        x=Axis(label=label, scale="log" if min(middles) > 0 else "linear"),
        y=Axis(label="failed", low=0),
    )
    return [figure(draw(plot), f"By the {label} (each dot a tenth of the windows).")]


def _groups(facts: Facts) -> list[Html]:
    found = facts["failures"]
    header = ["", "requests", "failed", "ratio", "95 % bounds"]
    rows = []
    for group in ("by_model", "by_log_type", "by_service"):
        named = rows_of(found[group])
        rows += _ratios(named) if len(named) > 1 else []
    rows += [
        [of["name"], number(of["n"]), number(of["failed"]), percent(of["failed_ratio"]),
         span(of["failed_lower"], of["failed_upper"])]
        for of in classes_of(facts) if of.get("model") is not None
    ]  # fmt: skip
    parts = [table(header, rows, caption="By model, log type, service and class")] if rows else []
    if reasons := rows_of(found["by_reason"]):
        cells = [[str(row["name"]), number(row["failed"]), percent(row["share"])] for row in reasons]
        parts.append(table(["reason", "failed", "share"], cells, caption="Why requests failed"))
    for group, bounds, title in (("by_load", ("from_per_s", "to_per_s"), "requests/s"),
                                 ("by_burstiness", ("from_cv", "to_cv"), "CV")):  # fmt: skip
        if named := rows_of(found[group]):
            cells = [[f"{number(r[bounds[0]])} to {number(r[bounds[1]])}", *_ratio(r)] for r in named]
            parts.append(table([title, *header[1:]], cells, caption=f"By the window's {title}"))
    return parts


def _ratios(rows: Sequence[Facts]) -> list[list[str]]:
    return [[str(row["name"]), *_ratio(row)] for row in rows]


def _ratio(row: Facts) -> list[str]:
    return [number(row["n"]), number(row["failed"]), percent(row["ratio"]), span(row["lower"], row["upper"])]


def latency_section(facts: Facts) -> Section:
    """Return the section of times; most published traces tell none."""
    columns = {
        "elapsed_s": "submission to complete response",
        "first_token_s": "submission to first token",
        "per_output_token_s": "per output token",
    }
    rows = []
    for name, of in [("all", facts), *((of["name"], of) for of in classes_of(facts))]:
        for key, title in columns.items():
            column = of["latency"][key]
            if column["n"]:
                cells = [duration(column["quantiles"].get(q)) for q in _QUANTILES]
                rows.append(
                    [name, title, number(column["n"]), duration(column["mean"]), *cells, duration(column["max"])]
                )
    if not rows:
        return Section("latency", "Response times", [absent("The trace tells no response times.")])
    body = [
        how_to_read(
            "Elapsed time is until the last token, so it grows with the answer’s length; the time to the first token "
            "is the wait a user feels. A p99 many times the median means waiting, not computing."
        ),
        table(["", "", "n", "mean", *_QUANTILES, "max"], rows, words=2, wide=True),
        beside_published(facts, LATENCY),
        method("Requests that did not fail and whose time the trace tells."),
    ]
    return Section("latency", "Response times", body)
