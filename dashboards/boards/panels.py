"""Panels and boards as the plain dictionaries Grafana reads. Pure; nothing here knows a metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Board = dict[str, Any]

SCHEMA_VERSION = 39  # what vLLM's boards carry, which are tested from Grafana 10.4 to 13
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_GRID = 24
_HEIGHT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One time series panel: a title, what it means, its queries (expression, legend) and its unit.

    ``alarm`` colours values from there on red; ``step`` draws states instead of slopes.
    """

    title: str
    text: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    width: int = 12
    most: float | None = None
    alarm: float | None = None
    step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A heading and the panels under it."""

    title: str
    panels: Sequence[Panel]


def board(uid: str, title: str, text: str, *, rows: Sequence[Row], variables: Sequence[Board]) -> Board:
    """Return a whole board: panels placed on the 24-column grid, numbered in order from 1."""
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["burstwatch"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": list(variables)},
        "panels": _placed(rows),
    }


def _placed(rows: Sequence[Row]) -> list[Board]:
    panels: list[Board] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": _GRID, "x": 0, "y": top}
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": place})
        panels[-1]["panels"] = []
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > _GRID:
                left, top = 0, top + _HEIGHT
            place = {"h": _HEIGHT, "w": panel.width, "x": left, "y": top}
            panels.append(_time_series(panel, len(panels) + 1, place))
            left += panel.width
        top += _HEIGHT
    return panels


def _time_series(panel: Panel, number: int, place: dict[str, int]) -> Board:
    steps: list[Board] = [{"color": "green", "value": None}]
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    defaults: Board = {
        "unit": panel.unit,
        "min": 0,
        "custom": {
            "drawStyle": "line",
            "lineInterpolation": "stepAfter" if panel.step else "linear",
            "fillOpacity": 20 if panel.step else 0,
            "showPoints": "never",
            "spanNulls": False,
            "thresholdsStyle": {"mode": "off" if panel.alarm is None else "line"},
        },
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.most is not None:
        defaults["max"] = panel.most
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend, "range": True}
            for i, (expr, legend) in enumerate(panel.queries)
        ],
    }


def datasource_variable() -> Board:
    """Return the variable that picks the Prometheus, so that no board names one."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }


def label_variable(name: str, metric: str, text: str) -> Board:
    """Return a variable over the values one label has in one metric; all of them by default."""
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": text,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "variable"},
        "current": {"text": ["All"], "value": ["$__all"]},
        "allValue": ".*",
        "includeAll": True,
        "multi": True,
        "hide": 0,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def choice_variable(name: str, text: str, values: Sequence[str], chosen: str) -> Board:
    """Return a variable with a fixed list of values."""
    return {
        "name": name,
        "label": text,
        "type": "custom",
        "query": ",".join(values),
        "current": {"text": chosen, "value": chosen},
        "options": [{"text": value, "value": value, "selected": value == chosen} for value in values],
        "includeAll": False,
        "multi": False,
        "hide": 0,
    }
