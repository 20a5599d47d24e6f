"""Boards ask only for what exists, show all there is, and are built so that Grafana draws them right."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards.boards import BOARDS
from dashboards.boards.board import SCHEMA_VERSION
from dashboards.boards.variables import WINDOWS
from dashboards.links import LINKS
from dashboards.rules import ALERTS, RECORDINGS
from streams.export.catalogue import CATALOGUE, LABELS
from tests.support import board_lint, board_queries

ROOT = Path(__file__).parents[2]
HEADINGS = [alert.alert for alert in ALERTS]  # each has a heading in the runbook, says the rules' own test
RECORDED = {recording.record: recording.expr for recording in RECORDINGS}
GOLDEN = ROOT / "tests/golden/board_panels.json"
UIDS = {
    "overview": "burstwatch-overview",
    "bursts": "burstwatch-bursts",
    "failures": "burstwatch-failures",
    "memory": "burstwatch-memory",
    "traffic": "burstwatch-traffic",
    "pipeline": "burstwatch-pipeline",
}


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_built_right(name):
    assert board_lint.complaints(BOARDS[name], list(BOARDS.values()), HEADINGS) == []


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_asks_only_for_what_exists_and_tells_its_lines_apart(name):
    assert board_queries.expressions(BOARDS[name])
    assert board_queries.complaints(BOARDS[name], RECORDED) == []


def test_every_metric_is_on_some_board():
    """All of them: there is no list of exceptions. A new metric needs a panel, or this test a reason."""
    assert board_queries.asked(BOARDS.values()) == set(CATALOGUE)


def test_uids_and_titles_are_those_that_links_and_alerts_name():
    assert {name: board["uid"] for name, board in BOARDS.items()} == UIDS
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)
    assert all(board["tags"] == ["burstwatch"] for board in BOARDS.values())


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.alert for alert in ALERTS])
def test_the_board_an_alert_leads_to_has_a_panel_that_leads_to_its_heading(alert):
    panels = board_lint.panels(BOARDS[alert.board])
    links = [link["url"] for panel in panels for link in panel.get("links", [])]
    assert LINKS.runbook(alert.alert) in links


def test_no_panel_changes_its_number():
    """Deep links and bookmarks name (board, panel). A new panel adds a line to the file, none changes or comes back."""
    found = {board["uid"]: {str(panel["id"]): panel["title"] for panel in board["panels"]} for board in BOARDS.values()}
    assert json.loads(GOLDEN.read_text()) == found


def test_every_panel_of_every_kind_a_board_may_have_is_used():
    kinds = {panel["type"] for board in BOARDS.values() for panel in board["panels"]}
    assert kinds == board_lint.KINDS


def test_a_service_chosen_on_one_board_is_known_on_all_others():
    for board in BOARDS.values():
        assert [variable["name"] for variable in board["templating"]["list"]][:2] == ["datasource", "service"]


def test_all_means_services_that_come_later_too():
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["multi"]:
                assert (variable["allValue"], variable["current"]["value"]) == (".*", ["$__all"])


def test_the_windows_offered_are_those_the_worker_exports():
    assert all(window in LABELS["window"] for window in WINDOWS)


def test_episodes_are_marked_from_prometheus_and_annotations_of_grafana_start_switched_off():
    """Both at once would mark every episode twice."""
    for board in BOARDS.values():
        marks = board["annotations"]["list"]
        assert [mark.get("builtIn", 0) for mark in marks] == [1, 0, 0, 0, 0]
        told = next(mark for mark in marks if mark["name"] == "Episodes told by annotate")
        assert told["target"]["tags"] == ["burstwatch"]
        assert not told["enable"]
    overview = {mark["name"]: mark["enable"] for mark in BOARDS["overview"]["annotations"]["list"] if "expr" in mark}
    assert overview == {"Burst episodes": True, "Failure episodes": True, "Pressure episodes": True}


def test_the_schema_version_is_one_every_supported_grafana_can_migrate_from():
    """Servers take 9 to 42 and migrate upwards; 39 is the latest Grafana 10.4 knows."""
    assert SCHEMA_VERSION == 39
    assert all(board["schemaVersion"] == SCHEMA_VERSION for board in BOARDS.values())


def test_nothing_is_drawn_over_a_gap():
    """An absent series has not enough data; a line over the gap would be made up."""
    for board in BOARDS.values():
        for panel in board_lint.panels(board):
            assert panel["fieldConfig"]["defaults"]["custom"].get("spanNulls", False) is False


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: PromQL only parsed")
def test_promtool_accepts_every_query(tmp_path):
    """The parser of the other tests takes newer grammar than Prometheus 2.42."""
    asked = [expr for board in BOARDS.values() for _, expr in board_queries.expressions(board)]
    rules = [{"record": f"panel:query:{i}", "expr": substituted(expr)} for i, expr in enumerate(asked)]
    file = tmp_path / "boards.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout
    assert len(rules) > 100


def substituted(expr: str) -> str:
    """As Grafana sends it with everything chosen."""
    for name, value in {"$__rate_interval": "1m", "$__range": "1h", "$window": "5m"}.items():
        expr = expr.replace(name, value)
    return re.sub(r"\$\w+", ".*", expr)
