"""Rows of panels, and where they come to stand on Grafana's 24 columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.boards.panels import Panel
from dashboards.boards.queries import Json

COLUMNS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A heading and the panels under it. ``id`` is for ever: deep links and the golden file name it."""

    id: int
    title: str
    panels: Sequence[Panel]


def placed(rows: Sequence[Row]) -> list[Json]:
    """Return rows and panels from left to right and top to bottom; a line is as high as its highest panel.

    Raises ``ValueError`` for a panel wider than the grid.
    """
    found: list[Json] = []
    top = 0
    for row in rows:
        found.append(_heading(row, top))
        top += 1
        left = deepest = 0
        for panel in row.panels:
            if panel.width > COLUMNS:
                raise ValueError(f"panel {panel.title!r} is wider than {COLUMNS} columns")
            if left + panel.width > COLUMNS:
                left, top, deepest = 0, top + deepest, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            found.append(panel.json() | {"gridPos": place})
            left += panel.width
            deepest = max(deepest, panel.height)
        top += deepest
    return found


def _heading(row: Row, top: int) -> Json:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
    return {"id": row.id, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
