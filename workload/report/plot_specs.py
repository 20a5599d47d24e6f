"""What is to be drawn, as data: the sections say it, ``plots`` draws it. Pure; matplotlib is not needed to say it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from workload.report.thin import floats

Style = Literal["line", "steps", "dots", "dashed", "band", "bars", "line+dots"]
Scale = Literal["linear", "log", "time"]

SIZES = {"wide": (940, 250), "half": (460, 280), "small": (300, 180)}  # pixels at full width of the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is drawn of one column of numbers; absent values (None, NaN) are gaps.

    Attributes:
        x, y: equally long.
        label: in the legend; empty for none.
        style: ``band`` fills from ``y`` up to ``upper``; ``bars`` are ``width`` wide (in units of x).
        colour: a name of ``svg.COLOURS``.
    """

    x: ArrayLike
    y: ArrayLike
    label: str = ""
    style: Style = "line"
    colour: str = "s0"
    upper: ArrayLike | None = None
    width: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        label: what it measures, with its unit.
        scale: ``time``: values are seconds since the epoch.
        low, high: bounds; None: as the data want.
        ticks: (place, text) to write instead of numbers.
    """

    label: str = ""
    scale: Scale = "linear"
    low: float | None = None
    high: float | None = None
    ticks: Sequence[tuple[float, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot: ``series`` over shared axes. ``marks`` are values of y to compare with: (y, what it is)."""

    name: str
    title: str
    description: str
    series: Sequence[Series]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    size: str = "half"
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """A table of ratios as colours, ``values[row][column]``: good from ``good_from`` on, else the worse the redder.

    None is left empty.
    """

    name: str
    title: str
    description: str
    columns: Sequence[str]
    rows: Sequence[str]
    values: Sequence[Sequence[float | None]]
    good_from: float = 0.99
    x_label: str = ""
    y_label: str = ""
    size: str = "half"


def is_drawable(values: ArrayLike) -> bool:
    """Return whether there is any number to draw."""
    return bool(np.any(np.isfinite(floats(values))))
