"""Boards and rules ask only for what the worker exports, with labels it has, and the generated files are current."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards import generate
from dashboards.boards import BOARDS
from dashboards.boards.overview import WINDOWS
from dashboards.rules import ALERTS, RECORDINGS, rules_yaml
from streams.export.catalogue import CATALOGUE, LABELS, MetricType
from streams.stats.burn_rate import BURN_RULES

ROOT = Path(__file__).parents[2]

NAME = re.compile(r"(?<![\w:])[a-zA-Z_][\w:]*burstwatch_[\w:]+|(?<![\w:])burstwatch_\w+")
SELECTOR = re.compile(r"([\w:]*burstwatch_[\w:]+)\{([^}]*)\}")
MATCHER = re.compile(r'\s*(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"\s*')
BY = re.compile(r"(?:by|on)\s*\(([^)]*)\)")
WRAPPED = re.compile(r"(?:rate|increase)\((burstwatch_\w+)")
LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)[^}]*\}\}")

RECORDED = {recording.record: recording.expr for recording in RECORDINGS}


def panels():
    return [(name, p) for name, board in BOARDS.items() for p in board["panels"] if p["type"] != "row"]


QUERIES = [(f"{name}: {p['title']}", t["expr"], t["legendFormat"]) for name, p in panels() for t in p["targets"]]
EXPRESSIONS = (
    [(title, expr) for title, expr, _ in QUERIES]
    + [(r.record, r.expr) for r in RECORDINGS]
    + [(a.alert, a.expr) for a in ALERTS]
)


def split(labels: str) -> set[str]:
    return {label.strip() for label in labels.split(",") if label.strip()}


def labels_of(name: str) -> set[str]:
    return set(CATALOGUE[name].labels) if name in CATALOGUE else split(BY.findall(RECORDED[name])[0])


def surviving(expr: str) -> set[str]:
    """The labels a query's result still has."""
    first = BY.search(expr)
    if first and first[0].startswith("by"):
        return split(first[1])
    return labels_of(NAME.findall(expr)[0])


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_metric_and_label_asked_for_is_in_the_catalogue(where, expr):
    names = NAME.findall(expr)
    assert names
    for name in names:
        assert name in CATALOGUE or name in RECORDED, f"{where} asks for {name}, which nobody exports"
    for name, inside in SELECTOR.findall(expr):
        asked = MATCHER.findall(inside)
        assert len(asked) == inside.count('"') // 2
        assert set(asked) <= labels_of(name), f"{where}: {name} has no such label"
    for grouped in BY.findall(expr):
        assert all(split(grouped) <= labels_of(name) for name in names), f"{where} groups by a label that is not there"


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_counters_are_rated_and_gauges_are_not(where, expr):
    rated = set(WRAPPED.findall(expr))
    for name in NAME.findall(expr):
        if name in CATALOGUE:
            assert (name in rated) == (CATALOGUE[name].type is MetricType.COUNTER), f"{where}: {name}"


@pytest.mark.parametrize(("where", "expr", "legend"), QUERIES, ids=[f"{q[0]} {q[2]}" for q in QUERIES])
def test_legends_name_only_labels_the_result_has(where, expr, legend):
    assert set(LEGEND.findall(legend)) <= surviving(expr)


@pytest.mark.parametrize("alert", ALERTS, ids=[a.alert for a in ALERTS])
def test_every_alert_has_a_runbook_heading_and_speaks_of_labels_it_has(alert):
    headings = re.findall(r"^## (\w+)$", (ROOT / "dashboards/runbook.md").read_text(), re.MULTILINE)
    assert alert.alert in headings
    assert len(headings) == len(ALERTS)
    asked = {label for label in LEGEND.findall(alert.summary + alert.description) if label != "value"}
    if not alert.expr.startswith("absent"):
        assert asked - {"value"} <= surviving(alert.expr) | {"humanizePercentage", "humanize"}


def test_the_budget_alerts_are_the_window_pairs_of_the_sre_workbook():
    pages, tickets = (next(a for a in ALERTS if a.alert == f"LLMFailureBudgetBurns{kind}") for kind in ("Fast", ""))

    def label(seconds: int) -> str:
        return (
            f"{seconds // 86_400}d"
            if seconds % 86_400 == 0
            else (f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds // 60}m")
        )

    for rule in BURN_RULES:
        for window in (label(rule.long_s), label(rule.short_s)):
            wanted = f"failure_burn:rate{window} > {rule.factor:g}"
            assert wanted in (pages if rule.page else tickets).expr


def test_the_windows_offered_are_those_the_worker_exports():
    assert all(window in LABELS["window"] for window in WINDOWS)


def test_the_rules_file_is_yaml_that_says_what_the_source_says():
    groups = yaml.safe_load(rules_yaml())["groups"]
    assert [(r["record"], r["expr"]) for r in groups[0]["rules"]] == [(r.record, r.expr) for r in RECORDINGS]
    rules = groups[1]["rules"]
    assert [(r["alert"], r["expr"], r["for"]) for r in rules] == [(a.alert, a.expr, a.wait) for a in ALERTS]
    assert [r["annotations"]["summary"] for r in rules] == [a.summary for a in ALERTS]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: rules only parsed as YAML")
def test_promtool_accepts_the_rules():
    path = ROOT / "dashboards/generated/rules/burstwatch.yml"
    subprocess.run(["promtool", "check", "rules", str(path)], check=True)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_their_own_number_and_place_and_a_description(name):
    board = BOARDS[name]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert all(panel["description"] for panel in board["panels"] if panel["type"] != "row")


@pytest.mark.parametrize("name", BOARDS)
def test_boards_use_only_variables_they_define_and_no_fixed_data_source(name):
    board = BOARDS[name]
    defined = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([board["panels"], board["templating"]])))
    assert used - {"__rate_interval", "__all"} == defined
    for panel in board["panels"]:
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    for variable in board["templating"]["list"]:
        for metric in NAME.findall(variable.get("definition", "")):
            assert metric in CATALOGUE


def test_what_is_committed_is_what_the_sources_give():
    assert generate.stale(ROOT) == []


def test_stale_missing_and_left_over_files_are_named_and_mended(tmp_path: Path):
    assert sorted(generate.write(tmp_path)) == sorted(generate.files())
    (tmp_path / "METRICS.md").write_text("edited by hand")
    (tmp_path / "dashboards/generated/boards/overview.json").unlink()
    (tmp_path / "dashboards/generated/boards/gone.json").write_text("{}")
    expected = ["METRICS.md", "dashboards/generated/boards/gone.json", "dashboards/generated/boards/overview.json"]
    assert generate.stale(tmp_path) == expected
    assert generate.write(tmp_path) == expected
    assert generate.stale(tmp_path) == []


def test_metrics_md_lists_every_metric():
    text = (ROOT / "METRICS.md").read_text()
    assert all(f"`{name}`" in text for name in CATALOGUE)
