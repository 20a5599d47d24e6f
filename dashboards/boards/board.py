"""A whole board from its rows, variables and marks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dashboards.boards.annotations import marks
from dashboards.boards.grid import Row, placed
from dashboards.boards.navigation import TAG, board_links
from dashboards.boards.panels import Board
from dashboards.boards.queries import Json

# What vLLM's boards carry, which are tested from Grafana 10.4 to 13. Newer servers migrate upwards (40 to 42 change
# nothing our panels have); a number from the future is what an older server would not know.
SCHEMA_VERSION = 39


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one board is. ``shown`` names the episodes that are marked without being asked for."""

    uid: str
    title: str
    text: str
    rows: Sequence[Row]
    variables: Sequence[Json]
    shown: Collection[str] = ()


def board(plan: Plan) -> Board:
    """Return the board as Grafana reads it. All boards share the crosshair of their time axes."""
    return {
        "uid": plan.uid,
        "title": plan.title,
        "description": plan.text,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "weekStart": "",
        "annotations": marks(plan.shown),
        "links": board_links(),
        "templating": {"list": list(plan.variables)},
        "panels": placed(plan.rows),
    }
