"""Section: requests over time; hours, weekdays, periodicity."""

from workload.report.analysis_parts import CLASS_COLOURS, Clock, Facts, beside_published, classes_of, log_types_of
from workload.report.numbers import duration, known, number
from workload.report.page import Html, Section, absent, figure, how_to_read, method, side_by_side
from workload.report.plot_specs import Axis, Plot, Series, is_drawable
from workload.report.plots import draw
from workload.report.published import RATE
from workload.report.tables import table
from workload.report.thin import floats

_HOURS_LEAST = 6  # hours of the day a trace must cover to have a shape
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def rate_section(facts: Facts, clock: Clock) -> Section:
    """Return the section; a trace of fewer than two requests has no rate."""
    rate = facts["rate"]
    if not known(rate["mean_per_s"]):
        return Section("rate", "Rate and periodicity", [absent("Fewer than two requests, or all at once: no rate.")])
    body = [
        how_to_read(
            "People give a day and a week their shape: busy hours, a dip at lunch, quiet nights and weekends. Programs "
            "(APIs) do not: their load comes in campaigns of hours or days. Capacity is decided by the peaks."
        ),
        rate_over_time(facts, clock),
        side_by_side(*_hours(facts), *_hours_by_log_type(facts), *_weekdays(facts), *_autocorrelation(facts)),
        *_classes(facts),
        beside_published(facts, RATE),
        method(
            f"Hours and weekdays: {facts['file']['origin']}. The rate of an hour counts only the time the "
            "trace covers of it. Autocorrelation of hourly counts: near 1 at 24 h is a daily rhythm, near 0 none."
        ),
    ]
    return Section("rate", "Rate and periodicity", body)


def rate_over_time(facts: Facts, clock: Clock, prefix: str = "") -> Html:
    """Return the plot of the rate over time; there must be a mean. ``prefix`` keeps names of drawings apart."""
    rate = facts["rate"]
    plot = Plot(
        name=f"{prefix}rate",
        title="Requests per second over time",
        description=f"Mean {number(rate['mean_per_s'])}/s; busiest minute {number(rate['peak_minute_per_s'])}/s.",
        series=[Series(x=clock.places(rate["series"]["start_s"]), y=rate["series"]["per_s"])],
        x=clock.axis(),
        y=Axis(label="requests/s", low=0),
        size="wide",
        marks=[(rate["mean_per_s"], f"mean {number(rate['mean_per_s'])}")],
    )
    return figure(
        draw(plot),
        f"Requests per second in bins of {duration(rate['series_step_s'])}. Mean {number(rate['mean_per_s'])}, busiest "
        f"hour {number(rate['peak_hour_per_s'])}, busiest minute {number(rate['peak_minute_per_s'])}.",
        size="wide",
    )


def _hours(facts: Facts) -> list[Html]:
    rate = facts["rate"]
    if sum(map(known, rate["hour_of_day"])) < _HOURS_LEAST:
        return []
    hours, ratio = list(range(24)), rate["peak_over_trough"]
    told = f": {number(ratio)} times as many" if known(ratio) else ""
    busiest = (
        f"Busiest at {rate['peak_hour']} h, quietest at {rate['trough_hour']} h{told}."
        if known(rate["peak_hour"])
        else "Hours that the trace does not cover are empty."
    )
    plot = Plot(
        name="hours",
        title="Rate by hour of the day",
        description=busiest,
        series=[
            Series(x=hours, y=rate["hour_of_day"], style="bars", label="mean"),
            Series(x=hours, y=rate["hour_of_day_median"], style="line+dots", colour="s1", label="median of days"),
        ],
        x=Axis(label="hour of the day", low=-0.7, high=23.7, ticks=[(h, str(h)) for h in range(0, 24, 3)]),
        y=Axis(label="requests/s", low=0),
    )
    return [figure(draw(plot), f"By hour of the day. {busiest}")]


def _hours_by_log_type(facts: Facts) -> list[Html]:
    """Return the day of each log type beside the others', each over its own mean: the paper's contrast."""
    lines = []
    for (name, of), colour in zip(log_types_of(facts).items(), CLASS_COLOURS, strict=False):
        rate = of["rate"]
        hours = rate["hour_of_day"]
        if known(rate["mean_per_s"]) and sum(map(known, hours)) >= _HOURS_LEAST:
            y = floats(hours) / rate["mean_per_s"]
            lines.append(Series(x=list(range(24)), y=y, style="line+dots", label=name, colour=colour))
    if len(lines) < 2:
        return []
    plot = Plot(
        name="hours-by-type",
        title="Rate by hour of the day over the log type's mean",
        description="1 is the mean of the log type.",
        series=lines,
        x=Axis(label="hour of the day", low=-0.7, high=23.7, ticks=[(h, str(h)) for h in range(0, 24, 3)]),
        y=Axis(label="over its mean", low=0),
    )
    return [figure(draw(plot), "By hour of the day, each log type over its own mean.")]


def _weekdays(facts: Facts) -> list[Html]:
    weekday = facts["rate"]["weekday"]
    if sum(map(known, weekday)) < 2:
        return []
    plot = Plot(
        name="weekdays",
        title="Rate by weekday",
        description="Monday to Sunday.",
        series=[Series(x=list(range(len(weekday))), y=weekday, style="bars")],
        x=Axis(low=-0.6, high=6.6, ticks=list(enumerate(_DAYS))),
        y=Axis(label="requests/s", low=0),
    )
    return [figure(draw(plot), "By weekday; days the trace does not cover are empty.")]


def _autocorrelation(facts: Facts) -> list[Html]:
    rate = facts["rate"]
    found = rate["autocorrelation"]
    if not found.get("lag_h") or not is_drawable(found["value"]):
        return []
    plot = Plot(
        name="autocorrelation",
        title="Autocorrelation of the hourly rate",
        description="Peaks at multiples of 24 hours are a daily rhythm.",
        series=[Series(x=found["lag_h"], y=found["value"])],
        x=Axis(label="hours apart", ticks=[(h, str(h)) for h in range(0, int(max(found["lag_h"])) + 1, 24)]),
        y=Axis(label="correlation", high=1),
    )
    return [
        figure(
            draw(plot),
            f"Autocorrelation: {number(rate['day_autocorrelation'])} a day apart, "
            f"{number(rate['week_autocorrelation'])} a week apart.",
        )
    ]


def _classes(facts: Facts) -> list[Html]:
    header = ["", "requests", "mean/s", "busiest hour/s", "busiest minute/s", "peak hour", "peak/trough", "r (day)",
              "r (week)"]  # fmt: skip
    classes = classes_of(facts)
    rows = [_row("all", facts), *(_row(of["name"], of) for of in classes)]
    return [table(header, rows, caption="By class of requests")] if classes else []


def _row(name: str, facts: Facts) -> list[str]:
    rate = facts["rate"]
    peak = "-" if rate["peak_hour"] is None else f"{rate['peak_hour']} h"
    return [
        name,
        number(rate["n"]),
        *(number(rate[key]) for key in ("mean_per_s", "peak_hour_per_s", "peak_minute_per_s")),
        peak,
        *(number(rate[key]) for key in ("peak_over_trough", "day_autocorrelation", "week_autocorrelation")),
    ]
