"""What the sections of an analysis share: its time axis, its classes, its figures beside the published ones.

``Facts`` is an analysis as a dict (``Analysis.as_dict``), or a class of it; everything in it may be None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from workload.report.page import Html, published
from workload.report.plot_specs import Axis
from workload.report.published import BURSTGPT_3, Figure
from workload.report.tables import table
from workload.report.thin import Floats, floats

Facts: TypeAlias = Mapping[str, Any]
_RELATIVE = ((3 * 86_400, 86_400, "days"), (3 * 3_600, 3_600, "hours"), (600, 60, "minutes"), (0, 1, "seconds"))
CLASS_COLOURS = ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7")


@dataclass(frozen=True, slots=True)
class Clock:
    """The trace's time as an axis: dates where they are known, else days, hours ... since its second 0."""

    absolute: bool
    span_s: float
    zone_s: int = 0

    @classmethod
    def of(cls, facts: Facts) -> "Clock":
        """Return the clock of a whole analysis."""
        told = facts["file"]
        return cls(bool(told["absolute"]), float(told["span_s"] or 0.0))

    def axis(self) -> Axis:
        """Return the axis; its values are those of ``places``."""
        if self.absolute:
            return Axis(scale="time", label="UTC")
        return Axis(label=f"{self._unit()[1]} since the trace's second 0")

    def places(self, at_s: object) -> Floats:
        """Return times (seconds of the trace's clock) as places on the axis."""
        seconds = floats(at_s)  # type: ignore[arg-type]
        return seconds if self.absolute else seconds / self._unit()[0]

    def _unit(self) -> tuple[int, str]:
        return next((size, name) for least, size, name in _RELATIVE if self.span_s >= least)


def rows_of(columns: Facts) -> list[dict[str, Any]]:
    """Return a group of columns as rows; none where a column group is absent or empty."""
    names = [name for name, values in columns.items() if isinstance(values, list)]
    return [dict(zip(names, row, strict=True)) for row in zip(*(columns[name] for name in names), strict=True)]


def classes_of(facts: Facts) -> list[Facts]:
    """Return the classes of an analysis (log types, and models within them)."""
    return list(facts.get("classes") or ())


def log_types_of(facts: Facts) -> dict[str, Facts]:
    """Return the classes that are a whole log type, by name ("API log")."""
    whole = [of for of in classes_of(facts) if of.get("model") is None and of.get("log_type")]
    return {of["log_type"]: {**of, "failures": {"ratio": of["failed_ratio"]}} for of in whole}


def beside_published(facts: Facts, figures: Sequence[Figure], *, note: str = "") -> Html:
    """Return a table of a trace's figures beside BurstGPT's, and where those are from.

    A trace with log types is compared log type by log type.
    """
    types = log_types_of(facts)
    api, conversation = types.get("API log"), types.get("Conversation log")
    has_api = any(figure.api is not None for figure in figures)
    header = ["", "this trace"]
    ours: list[Facts] = [facts]
    split = has_api and (api is not None or conversation is not None)
    if split:
        for name, of in (("its API log", api), ("its Conversation log", conversation)):
            if of is not None:
                header.append(name)
                ours.append(of)
    header += ["BurstGPT_3 API", "BurstGPT_3 Conversation"] if has_api else ["BurstGPT_3 Conversation"]
    rows = []
    for figure in figures:
        row = [figure.what, *(figure.of(of) for of in ours)]
        rows.append([*row, *([figure.told(figure.api)] if has_api else []), figure.told(figure.conversation)])
    told = table(header, rows)
    return Html(published(f"{note}{' ' if note else ''}Source: {BURSTGPT_3}.") + told)
