"""Grafana's own model of a board, its foundation SDK, reads ours and writes it again without losing a key.

A key it does not know is one Grafana's strict API would refuse or drop. Nothing is excused: there is no allow-list.
"""

import copy
import json
from collections.abc import Iterator

import pytest

from dashboards.boards import BOARDS

dashboard = pytest.importorskip(
    "grafana_foundation_sdk.models.dashboard", reason="grafana-foundation-sdk==0.0.21 is not installed"
)


def round_trip(board):
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    return json.loads(json.dumps(dashboard.Dashboard.from_json(copy.deepcopy(board)), cls=JSONEncoder))


def lost(ours, theirs, where="") -> Iterator[str]:
    """What is in ours and not, or not the same, in theirs. Keys the SDK adds (its defaults) are no loss."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs[key], f"{where}/{key}") if key in theirs else [f"{where}/{key} is lost"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{where}/{index}")
    elif ours != theirs:
        yield f"{where} became {theirs!r}"


@pytest.mark.parametrize("name", BOARDS)
def test_no_board_loses_a_key(name):
    assert list(lost(BOARDS[name], round_trip(BOARDS[name]))) == []


def test_a_misspelt_option_is_told():
    board = copy.deepcopy(BOARDS["overview"])
    stat = next(panel for panel in board["panels"] if panel["type"] == "stat")
    stat["options"]["colourMode"] = "background"
    stat["fieldConfig"]["defaults"]["unitt"] = "s"
    found = "\n".join(lost(board, round_trip(board)))
    assert "options/colourMode is lost" in found
    assert "defaults/unitt is lost" in found
