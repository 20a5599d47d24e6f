"""Plots as SVG text: the only file that knows matplotlib. The same data give the same bytes.

Every function takes ``name`` (unique on the page), ``title`` and ``description`` (for those who cannot see it) and
returns what ``workload.report.svg.for_page`` makes of the drawing: page colours, a viewBox, text as text.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from io import StringIO
from math import ceil
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from workload.report.numbers import number
from workload.report.plot_specs import SIZES, Axis, HeatMap, Plot, Scale, Series
from workload.report.svg import for_page, sentinel
from workload.report.thin import MOST_POINTS, floats, thinned

_MARK = "mark"  # the group of texts beside a mark
_RC: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud, and costs a tenth of the bytes
    "svg.hashsalt": "burstwatch",
    "text.parse_math": False,  # a model may be called $\\alpha$
    "font.family": "sans-serif",
    "font.size": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": sentinel("muted"),
    "axes.labelcolor": sentinel("muted"),
    "axes.linewidth": 0.8,
    "xtick.color": sentinel("muted"),
    "ytick.color": sentinel("muted"),
    "text.color": sentinel("text"),
    "grid.color": sentinel("line"),
    "grid.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.handlelength": 1.4,
    "path.simplify": False,  # it drops strokes of no length, which are the dots here; thinned() has done the work
}


def draw(plot: Plot) -> str:
    """Return the plot as SVG for a page."""

    def paint(axes: Axes) -> None:
        for series in plot.series:
            _PAINT[series.style](axes, series, plot.x.scale)
        for at, what in plot.marks:
            axes.axhline(at, color=sentinel("muted"), linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                what, (1, at), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=10.5, color=sentinel("muted"), gid=_MARK,
            )  # fmt: skip
        _set_axis(axes, "x", _possible(plot.x, plot))
        _set_axis(axes, "y", _possible(plot.y, plot))
        labels = [series.label for series in plot.series if series.label]
        if len(labels) > 1:
            columns = int(SIZES[plot.size][0] * 0.9 / (max(map(len, labels)) * _LETTER + 40)) or 1
            place: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0}
            axes.legend(ncols=min(columns, len(labels)), columnspacing=1.4, **place)

    return _svg(paint, plot.name, plot.title, plot.description, plot.size)


def draw_heat_map(plot: HeatMap) -> str:
    """Return the heat map as SVG for a page; each cell has its number in it."""

    def paint(axes: Axes) -> None:
        axes.grid(visible=False)
        for y, row in enumerate(plot.values):
            for x, value in enumerate(row):
                if value is None:
                    continue
                colour, alpha = ("good", 0.30) if value >= plot.good_from else ("bad", 0.12 + 0.6 * (1 - value))
                axes.add_patch(_cell(x, y, sentinel(colour), alpha))
                axes.text(x, y, f"{100 * value:.3g} %", ha="center", va="center")
        axes.set_xlim(-0.5, len(plot.columns) - 0.5)
        axes.set_ylim(-0.5, len(plot.rows) - 0.5)
        axes.set_xticks(range(len(plot.columns)), plot.columns)
        axes.set_yticks(range(len(plot.rows)), plot.rows)
        axes.set_xlabel(plot.x_label)
        axes.set_ylabel(plot.y_label)

    return _svg(paint, plot.name, plot.title, plot.description, plot.size)


def _cell(x: int, y: int, colour: str, alpha: float) -> Any:  # noqa: ANN401 - a matplotlib patch
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - needed for heat maps only

    return Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=colour, alpha=alpha, linewidth=0)


def _svg(paint: Callable[[Axes], None], name: str, title: str, description: str, size: str) -> str:
    width, height = SIZES[size]
    with rc_context(_RC):
        figure = Figure(figsize=(width / 72, height / 72))
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        paint(axes)
        _make_room(figure, axes, width, height)
        out = StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        # not savefig, which draws everything twice
        FigureCanvasSVG(figure).print_svg(out, metadata=metadata)  # type: ignore[no-untyped-call]
    return for_page(out.getvalue(), name=name, title=title, description=description)


_LETTER = 7.0  # pixels of a letter or digit of a tick's text, at most
_LINE = 17.0  # pixels of a line of text


def _make_room(figure: Figure, axes: Axes, width: int, height: int) -> None:
    """Leave room for the texts around the axes. Matplotlib's own layouts measure every text, three times as slow."""
    ticks_y, ticks_x = (_widest(axis) * _LETTER for axis in (axes.yaxis, axes.xaxis))
    left = 8 + ticks_y + (_LINE if axes.get_ylabel() else 0)
    below = (
        8 + _LINE + (_LINE if axes.get_xlabel() or isinstance(axes.xaxis.get_major_locator(), AutoDateLocator) else 0)
    )
    above = 8 + _LINE * _legend_lines(axes)
    marked = max((len(text.get_text()) for text in axes.texts if text.get_gid() == _MARK), default=0)
    right = max(6 + marked * 6.2, ticks_x / 2)
    figure.subplots_adjust(left=left / width, right=1 - right / width, bottom=below / height, top=1 - above / height)


def _legend_lines(axes: Axes) -> int:
    legend = axes.get_legend()
    columns = getattr(legend, "_ncols", 1)  # it has no getter
    return 0 if legend is None else ceil(len(legend.get_texts()) / columns)


def _widest(axis: XAxis | YAxis) -> int:
    low, high = sorted(axis.get_view_interval())
    places = [place for place in axis.get_majorticklocs() if low <= place <= high]
    return max((len(text) for text in axis.get_major_formatter().format_ticks(places)), default=1)


def _x(values: ArrayLike, scale: Scale) -> Any:  # noqa: ANN401 - numbers or datetimes, as matplotlib takes them
    """Times become days since the epoch, which is matplotlib's own unit of dates."""
    return floats(values) / 86_400 if scale == "time" else floats(values)


def _label(series: Series) -> str | None:
    """Matplotlib leaves labels that begin with an underscore out of legends; a space of no width before it does not."""
    return f"\u200b{series.label}" if series.label.startswith("_") else series.label or None


def _paint_line(axes: Axes, series: Series, scale: Scale, **look: Any) -> None:  # noqa: ANN401 - matplotlib's own
    x, y = thinned(series.x, series.y)
    look = {"linewidth": 1.6, "color": sentinel(series.colour), "label": _label(series), **look}
    axes.plot(_x(x, scale), y, **look)


def _paint_steps(axes: Axes, series: Series, scale: Scale) -> None:
    _paint_line(axes, series, scale, drawstyle="steps-post", linewidth=1.4)


def _paint_dashed(axes: Axes, series: Series, scale: Scale) -> None:
    _paint_line(axes, series, scale, linestyle=(0, (5, 3)), linewidth=1.4)


def _paint_dots(axes: Axes, series: Series, scale: Scale) -> None:
    """Dots as strokes of no length with round ends: one path, where markers would be an element each."""
    every = -(-len(floats(series.x)) // MOST_POINTS) or 1  # a sample: extremes alone would not look like the cloud
    x, y = floats(series.x)[::every], floats(series.y)[::every]
    places, gap = _x(x, scale), np.full(len(x), np.nan)
    xs, ys = (np.column_stack((v, v, gap)).ravel() for v in (places, y))
    look: Any = {"linewidth": 3.4, "solid_capstyle": "round", "alpha": 0.5, "color": sentinel(series.colour)}
    axes.plot(xs, ys, label=_label(series), **look)


def _paint_both(axes: Axes, series: Series, scale: Scale) -> None:
    _paint_line(axes, series, scale, marker="o", markersize=5, markeredgewidth=0)


def _paint_band(axes: Axes, series: Series, scale: Scale) -> None:
    if series.upper is not None:
        axes.fill_between(
            _x(series.x, scale), floats(series.y), floats(series.upper), color=sentinel(series.colour), alpha=0.18,
            linewidth=0, label=_label(series),
        )  # fmt: skip


def _paint_bars(axes: Axes, series: Series, scale: Scale) -> None:
    width = series.width / 86_400 if scale == "time" else series.width
    axes.bar(
        _x(series.x, scale), floats(series.y), width=width, color=sentinel(series.colour), alpha=0.85, linewidth=0,
        label=_label(series),
    )  # fmt: skip


_PAINT: dict[str, Callable[[Axes, Series, Scale], None]] = {
    "line": _paint_line,
    "steps": _paint_steps,
    "dashed": _paint_dashed,
    "dots": _paint_dots,
    "line+dots": _paint_both,
    "band": _paint_band,
    "bars": _paint_bars,
}


def _set_axis(axes: Axes, which: Literal["x", "y"], axis: Axis) -> None:
    mine = axes.xaxis if which == "x" else axes.yaxis
    mine.set_label_text(axis.label)
    if axis.scale == "log":
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    if axis.low is not None or axis.high is not None:
        (axes.set_xlim if which == "x" else axes.set_ylim)(axis.low, axis.high)
    if axis.scale == "time":
        locator = AutoDateLocator(minticks=3, maxticks=9, tz=UTC)  # type: ignore[no-untyped-call]
        mine.set_major_locator(locator)
        mine.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        return
    if axis.ticks is not None:
        mine.set_ticks([at for at, _ in axis.ticks], [text for _, text in axis.ticks])
        mine.set_minor_locator(NullLocator())
        return
    mine.set_major_locator(_log_ticks(axes, which) if axis.scale == "log" else MaxNLocator(7, steps=(1, 2, 2.5, 5, 10)))
    mine.set_minor_locator(NullLocator())
    mine.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _possible(axis: Axis, plot: Plot) -> Axis:
    """Return the axis, linear where no point is on a logarithmic one: even gaps have a CV and a dispersion of 0."""
    if axis.scale != "log" or any(_on_log_axes(series, plot) for series in plot.series):
        return axis
    return replace(axis, scale="linear")


def _on_log_axes(series: Series, plot: Plot) -> bool:
    x, y = floats(series.x), floats(series.y if series.upper is None else series.upper)
    low_x, low_y = (0.0 if axis.scale == "log" else -np.inf for axis in (plot.x, plot.y))
    return bool(np.any((x > low_x) & (y > low_y)))


def _log_ticks(axes: Axes, which: Literal["x", "y"]) -> LogLocator:
    """Powers of ten alone would leave an axis of less than two of them with a tick or none."""
    low, high = sorted(axes.get_xlim() if which == "x" else axes.get_ylim())
    subs = (1,) if high > 60 * low else (1, 2, 5) if high > 6 * low else (1, 1.5, 2, 3, 4, 5, 7)
    return LogLocator(10, subs=subs, numticks=8)


_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def _tick(value: float) -> str:
    """Return a short text: 20k for 20,000 (log axes in powers of ten would be formulas, not text)."""
    for size, letter in _LARGE:
        if abs(value) >= size * (10 if letter == "k" else 1):
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}" if abs(value) >= 1e-4 or not value else number(value, 1)
