"""Sections of the classes of requests (log types, and models within them), one each: ``--by-class``."""

from workload.report.analysis_parts import Clock, Facts, classes_of, rows_of
from workload.report.numbers import duration, known, number, percent, span
from workload.report.page import Html, Section, absent, paragraph, side_by_side
from workload.report.plot_specs import is_drawable
from workload.report.section_burstiness import window_values_over_time
from workload.report.section_lengths import relation_plot, tails
from workload.report.section_rate import rate_over_time


def class_sections(facts: Facts, clock: Clock) -> list[Section]:
    """Return a section a class; one that says so where the trace has none."""
    classes = classes_of(facts)
    if not classes:
        why = "The trace names one log type and model at most: all its requests are one class."
        return [Section("classes", "Classes of requests", [absent(why)])]
    return [_section(of, clock, place) for place, of in enumerate(classes)]


def _section(of: Facts, clock: Clock, place: int) -> Section:
    prefix = f"class-{place}-"
    found, quantiles = of["burstiness"], of["burstiness"]["quantiles"]
    windows = duration(found["window_s"])
    parts: list[Html] = [
        paragraph(
            f"{number(of['n'])} requests, {number(of['rate']['mean_per_s'])}/s; failed {percent(of['failed_ratio'])} "
            f"({span(of['failed_lower'], of['failed_upper'])}). CV of windows of {windows}: median "
            f"{number((quantiles.get('cv') or {}).get('p50'))}, p90 {number((quantiles.get('cv') or {}).get('p90'))}; "
            f"α median {number((quantiles.get('alpha') or {}).get('p50'))}."
        )
    ]
    if known(of["rate"]["mean_per_s"]):
        parts.append(rate_over_time(of, clock, prefix))
    if is_drawable(found["windows"].get("cv") or []):
        parts.append(window_values_over_time(of, clock, ("cv", "CV of the gaps"), prefix))
    else:
        parts.append(absent(f"No window of {windows} has the {found['gaps_min']} gaps that a CV needs."))
    plots = tails(of, prefix)
    if rows_of(of["relation"]["bins"]):
        plots.append(relation_plot(of, prefix))
    return Section(f"class-{place}", f"Class: {of['name']}", [*parts, side_by_side(*plots)] if plots else parts)
