"""The analysis of a trace as a page. ``analysis_page`` takes ``Analysis.as_dict()`` (or the same from ``--json``)."""

from workload.report.analysis_parts import Clock, Facts
from workload.report.findings import cut_gaps, findings
from workload.report.numbers import duration, known, moment, number, percent
from workload.report.page import Cell, Html, listed, page, paragraph, tiles
from workload.report.section_burstiness import burstiness_section
from workload.report.section_bursts import bursts_section, dispersion_section
from workload.report.section_classes import class_sections
from workload.report.section_comparison import comparison_section
from workload.report.section_failures import failures_section, latency_section
from workload.report.section_lengths import lengths_section, relation_section
from workload.report.section_rate import rate_section
from workload.report.section_sessions import sessions_section
from workload.report.tables import pairs

_SHOWN = 12  # values of a column named one by one


def analysis_page(
    facts: Facts, *, name: str, comparison: Facts | None = None, other: str = "", by_class: bool = False
) -> str:
    """Return the whole page.

    Args:
        facts: the analysis as a dict.
        name: what the trace is called, such as its file's name.
        comparison: ``Comparison.as_dict()`` of this trace and another.
        other: what that other trace is called.
        by_class: sections of their own for each class of requests.
    """
    clock = Clock.of(facts)
    sections = [
        rate_section(facts, clock),
        burstiness_section(facts, clock),
        dispersion_section(facts),
        bursts_section(facts, clock),
        lengths_section(facts),
        relation_section(facts),
        sessions_section(facts),
        failures_section(facts, clock),
        latency_section(facts),
    ]
    if by_class:
        sections += class_sections(facts, clock)
    if comparison is not None:
        sections.insert(0, comparison_section(comparison, name, other))
    lead = [paragraph(_head(facts), kind="lead"), _tiles(facts), listed(findings(facts)), _contents(facts)]
    foot = "Written by burstwatch trace analyze. Nothing on this page is fetched from anywhere."
    return page(f"Trace analysis: {name}", lead, sections, foot)


def _head(facts: Facts) -> str:
    told = facts["file"]
    if not told["rows"]:
        return "No requests."
    first, last = (moment(told[key], absolute=bool(told["absolute"])) for key in ("first_s", "last_s"))
    zone = " UTC" if told["absolute"] else " of the trace’s clock"
    stamps = "whole seconds" if told["whole_seconds"] else "finer than a second"
    return f"From {first} to {last}{zone}; stamps are {stamps}."


def _tiles(facts: Facts) -> Html:
    told, rate, found = facts["file"], facts["rate"], facts["burstiness"]
    median = found["quantiles"]
    figures: list[tuple[Cell, Cell, Cell]] = [
        ("Requests", number(told["rows"]), f"in {duration(told['span_s'])}"),
        ("Mean rate", number(rate["mean_per_s"]), "requests/s"),
        ("Busiest minute", number(rate["peak_minute_per_s"]), "requests/s"),
        (
            "CV, median window",
            number((median.get("cv") or {}).get("p50")),
            "of cut gaps: means little" if cut_gaps(facts) else f"{duration(found['window_s'])} windows",
        ),
        ("α, median window", number((median.get("alpha") or {}).get("p50")), "1 is Poisson, less is burstier"),
        ("Bursts", number(facts["bursts"]["n"]), _how_often(facts["bursts"])),
        ("Tokens, mean", f"{number(facts['lengths']['request']['mean'])}", _response(facts)),
        ("Failed", percent(facts["failures"]["ratio"]), f"{number(facts['failures']['failed'])} requests"),
    ]
    return tiles(figures)


def _how_often(bursts: Facts) -> str:
    return "not looked for: too short a trace" if bursts["n"] is None else f"{number(bursts['per_day'])} a day"


def _response(facts: Facts) -> str:
    return f"asked, {number(facts['lengths']['response']['mean'])} answered"


def _contents(facts: Facts) -> Html:
    """Return what the file holds: values by column, and how much of each column is known."""
    told = facts["file"]
    rows: list[tuple[Cell, Cell]] = []
    for key, title in (
        ("models", "Models"), ("log_types", "Log types"), ("services", "Services"), ("outcomes", "Outcomes"),
        ("reasons", "Reasons"),
    ):  # fmt: skip
        if told[key]:
            rows.append((title, _values(told[key])))
    rows.append(("Sessions", number(told["sessions"]) if told["sessions"] else "none named"))
    same = told["same_time_ratio"]
    if known(same):
        rows.append(("At the stamp of the one before", percent(same)))
    parts = {_column(name): ratio or 0 for name, ratio in told["known"].items()}
    if told["rows"]:
        if never := [name for name, ratio in parts.items() if not ratio]:
            rows.append(("Not told by the file", ", ".join(never)))
        if partly := [f"{name} {percent(ratio)}" for name, ratio in parts.items() if 0 < ratio < 1]:
            rows.append(("Told of some rows only", ", ".join(partly)))
    return pairs(rows)


def _column(name: str) -> str:
    return name.removesuffix("_us").replace("_", " ")


def _values(counts: Facts) -> str:
    shown = [f"{name} {number(n)}" for name, n in list(counts.items())[:_SHOWN]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
