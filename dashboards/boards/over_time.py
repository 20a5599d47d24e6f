"""Panels with a time axis: lines, states, heatmaps."""

from dataclasses import dataclass
from typing import ClassVar

from dashboards.boards.panels import Panel, of_query
from dashboards.boards.queries import Json, Query

_LEGEND: Json = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_SOFT_ENDS = {"percentunit": 0.05, "s": 0.01}
_WHOLE_WIDTH = 24
_AXIS_PX = 80  # as wide as any label: panels below one another have the same second at the same place
_BARS: Json = {"custom__drawStyle": "bars", "custom__fillOpacity": 60, "custom__lineWidth": 0}
_ROLES: dict[str, Json] = {
    "line": {},
    "bound": {"custom__lineWidth": 1, "custom__lineStyle": {"fill": "dash", "dash": [4, 6]}},
    "limit": {
        "custom__lineStyle": {"fill": "dash", "dash": [10, 6]},
        "color": {"mode": "fixed", "fixedColor": "red"},
        "custom__lineWidth": 1,
    },
    "bars": _BARS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSeries(Panel):
    """Lines. ``stacked`` adds them up; ``logarithmic`` is for values over several decades; ``axis`` names the axis.

    Gaps stay gaps: a series that is absent has not enough data, and a line drawn over it would be made up.
    """

    kind: ClassVar[str] = "timeseries"

    stacked: bool = False
    logarithmic: bool = False
    axis: str = ""

    def colour(self) -> Json:
        """Lines are told apart by colour; thresholds are drawn as lines of their own."""
        return {"mode": "palette-classic"}

    def custom(self) -> Json:
        """Return how lines are drawn."""
        scale: Json = {"type": "log", "log": 10} if self.logarithmic else {"type": "linear"}
        fixed: Json = {"axisWidth": _AXIS_PX} if self.width == _WHOLE_WIDTH else {}
        return (
            self._soft_end()
            | fixed
            | {
                "axisBorderShow": False,
                "axisLabel": self.axis,
                "axisPlacement": "auto",
                "barAlignment": 0,
                "drawStyle": "line",
                "fillOpacity": 30 if self.stacked else 0,
                "gradientMode": "none",
                "hideFrom": {"legend": False, "tooltip": False, "viz": False},
                "lineInterpolation": "linear",
                "lineWidth": 1 if self.stacked else 2,
                "pointSize": 4,
                "scaleDistribution": scale,
                "showPoints": "auto",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "dashed" if self.steps else "off"},
            }
        )

    def _soft_end(self) -> Json:
        """Return how high an axis reaches at least: one of zeros alone would reach to 100, as if that were near."""
        if self.least != 0 or self.most is not None:
            return {}
        return {"axisSoftMax": _SOFT_ENDS.get(self.unit, 1)}

    def options(self) -> Json:
        """Return legend and tooltip: all lines at once, the greatest first."""
        return {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}

    def overrides(self) -> list[Json]:
        """Return what roles, units and right axes ask for."""
        found = [(index, _drawn(query)) for index, query in enumerate(self.queries)]
        return [of_query(index, **drawn) for index, drawn in found if drawn]


def _drawn(query: Query) -> Json:
    drawn = dict(_ROLES[query.role])
    if query.unit:
        drawn["unit"] = query.unit
    if query.right:
        drawn["custom__axisPlacement"] = "right"
    return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTimeline(Panel):
    """States over time, one line for each series."""

    kind: ClassVar[str] = "state-timeline"

    def colour(self) -> Json:
        """Colours come from the words; a value without one is a state nobody thought of."""
        return {"mode": "thresholds"}

    def custom(self) -> Json:
        """Return how states are drawn. Gaps stay gaps, which is the default and no option here."""
        hidden = {"legend": False, "tooltip": False, "viz": False}
        return {"fillOpacity": 80, "lineWidth": 0, "hideFrom": hidden}

    def options(self) -> Json:
        """Return one block for as long as a state lasts, with its word in it."""
        return {
            "alignValue": "left",
            "legend": _LEGEND,
            "mergeValues": True,
            "rowHeight": 0.85,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Heatmap(Panel):
    """How many observations fell into which bucket of a Prometheus histogram; ``unit`` is that of the buckets."""

    kind: ClassVar[str] = "heatmap"
    shape: ClassVar[str] = "heatmap"

    def custom(self) -> Json:
        """Return what the heatmap's fields have."""
        hidden = {"legend": False, "tooltip": False, "viz": False}
        return {"hideFrom": hidden, "scaleDistribution": {"type": "linear"}}

    def options(self) -> Json:
        """Return a scale of one hue: more is darker, nothing here is good or bad."""
        return {
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "short"},
            "color": {
                "mode": "scheme",
                "scheme": "Blues",
                "exponent": 0.5,
                "fill": "dark-blue",
                "reverse": False,
                "steps": 64,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": self.unit},
        }
