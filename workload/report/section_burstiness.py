"""Section: burstiness by window, and which family of distributions the gaps are of."""

import numpy as np

from workload.report.analysis_parts import Clock, Facts, beside_published, classes_of
from workload.report.findings import cut_gaps, of_windows
from workload.report.numbers import count, duration, known, number, percent
from workload.report.page import Html, Section, absent, element, figure, how_to_read, method, paragraph, side_by_side
from workload.report.plot_specs import Axis, Plot, Series, is_drawable
from workload.report.plots import draw
from workload.report.published import BURSTINESS
from workload.report.tables import table
from workload.report.thin import Floats, floats, summarised

_DOTS_MAX = 700  # windows drawn one by one; of more, the median and the middle 90 % of each stretch
_JOINED_MAX = 60  # so few windows are joined by a line
_WINDOWS_LEAST = 8  # fewer say nothing of a distribution
_STRETCHES = 200
FAMILY_NAMES = {"exponential": "exponential", "gamma": "Gamma", "weibull": "Weibull", "lognormal": "log-normal"}
_QUANTILES = ("p10", "p25", "p50", "mean", "p75", "p90")
_CUT = (
    " Here stamps are whole seconds and most gaps are shorter: they are cut to 0, so the CV means little, and α comes "
    "from counts, which is not comparable with one of gaps."
)
_MEASURES = {"rate_per_s": "rate, requests/s", "cv": "CV", "alpha": "α (Gamma shape)", "beta": "β (Gamma rate)"}


def burstiness_section(facts: Facts, clock: Clock) -> Section:
    """Return the section of windows; it says why where no window has enough gaps."""
    found = facts["burstiness"]
    title = f"Burstiness in windows of {duration(found['window_s'])}"
    if not is_drawable(found["windows"].get("cv") or []):
        why = (
            f"No window of {duration(found['window_s'])} has {found['gaps_min']} gaps or more: try a longer --window-s."
        )
        return Section("burstiness", title, [absent(why), _overall(facts)])
    note = "" if found["window_s"] == 300 else (
        "The published windows are of 5 minutes, these are not (--window-s 300 makes them so)."
    )  # fmt: skip
    body = [
        how_to_read(
            "CV is the standard deviation of the gaps between requests over their mean. 1 is Poisson traffic, what "
            "queueing formulas and most load generators assume; above 1 requests come in clumps. α is the shape of a "
            "Gamma distribution of the gaps: 1 is Poisson, smaller is burstier (α = 1/CV² if the gaps are Gamma)."
            + (_CUT if cut_gaps(facts) else "")
        ),
        window_values_over_time(facts, clock, ("cv", "CV of the gaps")),
        window_values_over_time(facts, clock, ("alpha", "Gamma shape α")),
        *_distributions(facts),
        _quantile_table(facts),
        beside_published(facts, BURSTINESS, note=note),
        element("h3", "Which distribution the gaps follow"),
        *_families(facts),
        element("h3", "The whole trace, and its classes"),
        _overall(facts),
        method(_method(facts)),
    ]
    return Section("burstiness", title, body)


def _windows(facts: Facts, name: str) -> Floats:
    return floats(facts["burstiness"]["windows"][name])


def window_values_over_time(facts: Facts, clock: Clock, column: tuple[str, str], prefix: str = "") -> Html:
    """Return the plot of one column of the windows over time; ``prefix`` keeps names of drawings apart."""
    name, label = column
    found = facts["burstiness"]
    x, y = clock.places(found["windows"]["start_s"]), _windows(facts, name)
    y = np.where(y > 0, y, np.nan)
    if len(x) <= _DOTS_MAX:
        series = [Series(x=x, y=y, style="dots" if len(x) > _JOINED_MAX else "line+dots")]
        what = "one dot a window"
    else:
        middles, (low, median, high) = summarised(x, y, (0.05, 0.5, 0.95), _STRETCHES)
        series = [
            Series(x=middles, y=low, upper=high, style="band", label="middle 90 % of windows"),
            Series(x=middles, y=median, label="median"),
        ]
        what = f"median and middle 90 % of {len(x) // _STRETCHES} windows at a time"
    if not is_drawable(y):
        return absent(f"{label}: not known of any window.")
    told = found["quantiles"].get(name) or {}
    plot = Plot(
        name=f"{prefix}{name}-time",
        title=f"{label} over time",
        description=f"Median {number(told.get('p50'))}; 10 % of windows are above {number(told.get('p90'))}.",
        series=series,
        x=clock.axis(),
        y=Axis(label=label, scale="log"),
        size="wide",
        marks=[(1.0, "Poisson")],
    )
    return figure(draw(plot), f"{label} over time, {what}.", size="wide")


def _distributions(facts: Facts) -> list[Html]:
    if (_windows(facts, "cv") > 0).sum() < _WINDOWS_LEAST:
        return []
    return [side_by_side(_distribution(facts), _against_rate(facts))]


def _distribution(facts: Facts) -> Html:
    lines = []
    for name, label, colour in (("cv", "CV", "s0"), ("alpha", "α", "s1")):
        values = _windows(facts, name)
        values = np.sort(values[values > 0])
        if len(values):
            lines.append(Series(x=values, y=np.arange(1, len(values) + 1) / len(values), label=label, colour=colour))
    plot = Plot(
        name="cv-distribution",
        title="Distribution of CV and α over the windows",
        description=f"{percent(facts['burstiness']['cv_above_one_ratio'])} of windows have a CV above 1.",
        series=lines,
        x=Axis(label="value", scale="log"),
        y=Axis(label="share of windows below", low=0, high=1),
    )
    return figure(
        draw(plot),
        f"Share of windows below a value. {percent(facts['burstiness']['cv_above_one_ratio'])} of windows have a CV "
        "above 1.",
    )


def _against_rate(facts: Facts) -> Html:
    rate, cv = _windows(facts, "rate_per_s"), _windows(facts, "cv")
    good = (rate > 0) & (cv > 0)
    plot = Plot(
        name="cv-rate",
        title="CV against rate",
        description="One dot a window.",
        series=[Series(x=rate[good], y=cv[good], style="dots")],
        x=Axis(label="requests/s in the window", scale="log"),
        y=Axis(label="CV", scale="log"),
        marks=[(1.0, "Poisson")],
    )
    return figure(draw(plot), "CV against the window's rate, one dot a window (2,000 of them at most).")


def _quantile_table(facts: Facts) -> Html:
    quantiles = facts["burstiness"]["quantiles"]
    rows = [[title, *(number(quantiles.get(name, {}).get(q)) for q in _QUANTILES)] for name, title in _MEASURES.items()]
    return table(["over the windows", *_QUANTILES], rows)


def _families(facts: Facts) -> list[Html]:
    found = facts["burstiness"]
    if not found["fitted"]:
        return [absent("No window has enough gaps to fit distributions to.")]
    rows = [
        [
            name,
            percent(found["wins"].get(family)),
            number(found["aic_over_best"].get(family)),
            number(found["ks_mean"].get(family)),
            percent(found["ks_passed"].get(family)),
        ]
        for family, name in FAMILY_NAMES.items()
    ]
    best = max(found["wins"], key=lambda family: found["wins"][family] or 0.0)
    header = ["family", "best by AIC", "mean AIC above the best", "mean KS distance", "KS within 5 % bound"]
    return [
        paragraph(
            f"{FAMILY_NAMES.get(best, best)} is the best of the four in {of_windows(facts, best)}. "
            "Best of four is not good: the KS columns say how well each describes."
        ),
        table(header, rows),
    ]


def _overall(facts: Facts) -> Html:
    header = ["", "gaps", "rate/s", "CV", "α", "α 95 %", "β", "method", "misfit", "same stamp", "windows CV p50",
              "CV > 1"]  # fmt: skip
    rows = [_overall_row("all", facts), *(_overall_row(of["name"], of) for of in classes_of(facts))]
    return table(header, rows, wide=True)


def _overall_row(name: str, facts: Facts) -> list[str]:
    found = facts["burstiness"]
    of = found["overall"]
    interval = f"{number(of['alpha_lower'])}-{number(of['alpha_upper'])}" if known(of["alpha_lower"]) else "-"
    return [
        name, number(of["gaps"]), number(of["rate_per_s"]), number(of["cv"]), number(of["alpha"]), interval,
        number(of["beta"]), of["method"] or "-", number(of["misfit"]), percent(of["zero_ratio"]),
        number((found["quantiles"].get("cv") or {}).get("p50")), percent(found["cv_above_one_ratio"]),
    ]  # fmt: skip


_METHODS = {
    "mle": "maximum likelihood, corrected for bias",
    "ye_chen": "Ye and Chen’s closed form, corrected for bias",
    "moment": "1/CV², the moment estimate",
    "triangular": "the likelihood of gaps cut to whole seconds",
    "dispersion": "the dispersion of counts, inverted",
}


def _method(facts: Facts) -> str:
    found = facts["burstiness"]
    used: dict[str, int] = {}
    for name in found["windows"].get("method") or ():
        if name:
            used[name] = used.get(name, 0) + 1
    told = "; ".join(f"{_METHODS.get(name, name)} ({count(n, 'window')})" for name, n in sorted(used.items()))
    stamps = (
        "Stamps are whole seconds, so gaps below a second are lost and the likelihood is of the cut gaps. "
        if facts["file"]["whole_seconds"]
        else "Stamps are finer than a second, so the likelihood is of the gaps themselves. "
    )
    return (
        f"Windows begin at whole multiples of {duration(found['window_s'])}; one needs {found['gaps_min']} gaps. α "
        f"by: {told or 'no window'}. {stamps}CV is corrected for finite size. Misfit is ln(α by moments/α by "
        "likelihood): 0 for Gamma gaps, below 0 where the tail is heavier."
    )
