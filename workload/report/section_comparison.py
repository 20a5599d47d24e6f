"""Section: two traces beside each other."""

from workload.report.analysis_parts import Facts
from workload.report.page import Section, absent


def comparison_section(comparison: Facts, name: str, other: str) -> Section:
    """Return the section."""
    return Section("comparison", f"{name} beside {other}", [absent(str(comparison))])
