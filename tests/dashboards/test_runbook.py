"""The runbook keeps its word: a heading per alert; panels, metrics, commands that exist; silences that silence."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from burstwatch.cli import COMMANDS
from burstwatch.cli import main as burstwatch
from dashboards.boards import BOARDS
from dashboards.links import LINKS
from dashboards.rules import ALERTS, RECORDINGS
from streams.export.catalogue import CATALOGUE
from tests.support import promql
from tests.support.alertmanager import Alertmanager
from tests.support.promtool import BY_NAME, seconds

TEXT = (Path(__file__).parents[2] / "dashboards/runbook.md").read_text()
INTRODUCTION, *_SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)
SECTIONS = {section.partition("\n")[0]: section.partition("\n")[2] for section in _SECTIONS}
RECORDED = {recording.record for recording in RECORDINGS}
OWN = {"up", "scrape_samples_post_metric_relabeling"}
PANELS = {
    board["title"].removeprefix("Burstwatch / "): {
        panel["title"] for panel in board["panels"] if panel["type"] != "row"
    }
    for board in BOARDS.values()
}
AMTOOL = "amtool --alertmanager.url=http://127.0.0.1:9093"
by_alert = pytest.mark.parametrize("name", SECTIONS)


def blocks(section: str, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.replace("\\\n", " ").splitlines()]


def test_there_is_a_heading_for_every_alert_and_an_alert_for_every_heading():
    assert list(SECTIONS) == [alert.alert for alert in ALERTS]


@by_alert
def test_the_heading_is_where_the_alert_leads_to(name):
    """A Markdown reader makes an anchor of a heading by writing it small."""
    assert LINKS.runbook(name).partition("#")[2] == name.lower()


@by_alert
def test_each_says_how_bad_where_to_look_what_to_do_how_to_silence_and_when_it_clears(name):
    section = SECTIONS[name]
    assert section.lstrip().startswith(f"*{BY_NAME[name].severity}.* ")
    marks = [
        "**See it**: ",
        "```promql\n",
        "**Do**\n\n1. ",
        "**Silence**",
        f"```sh\n{AMTOOL} silence add ",
        "**Clears** ",
    ]
    places = [section.find(mark) for mark in marks]
    assert -1 not in places
    assert places == sorted(places)


@by_alert
def test_the_panels_it_names_are_on_the_boards_it_names(name):
    named = re.findall(r"\*([A-Z][\w ]*?)\s›\s([^*]+)\*", SECTIONS[name])
    assert named
    for board, panel in named:
        assert board in PANELS
        assert panel in PANELS[board]
    shown = {f"burstwatch-{board.split()[0].lower()}" for board, _ in named}
    assert f"burstwatch-{BY_NAME[name].board}" in shown, "the board the alert links to is not spoken of"


@by_alert
def test_its_queries_are_promql_of_metrics_there_are_and_one_is_the_alerts_own(name):
    queries = blocks(SECTIONS[name], "promql")
    asked = {use.name for query in queries for use in promql.uses(query)}
    assert asked <= set(CATALOGUE) | RECORDED | OWN
    for use in (use for query in queries for use in promql.uses(query)):
        if use.name in CATALOGUE:
            assert use.labels <= {*CATALOGUE[use.name].labels, "job", "instance"}
    recorded = {r.record: promql.names(r.expr) for r in RECORDINGS}
    own = {metric for one in promql.names(BY_NAME[name].expr) for metric in {one, *recorded.get(one, ())}}
    assert asked & own


@by_alert
def test_alerts_named_in_passing_exist(name):
    mentioned = set(re.findall(r"\b(?:LLM|Burstwatch)[A-Z]\w+", INTRODUCTION + SECTIONS[name]))
    assert mentioned <= set(BY_NAME)


@by_alert
def test_it_says_how_long_the_alert_is_kept(name):
    words = {"a minute": 60, "two minutes": 120, "five minutes": 300, "ten minutes": 600, "a quarter of an hour": 900,
             "twenty minutes": 1200, "half an hour": 1800}  # fmt: skip
    alert = BY_NAME[name]
    said = SECTIONS[name].partition("**Clears** ")[2].replace("\n", " ")
    # What is counted in a window is seen for as long as the window.
    counts = ("_total" in alert.expr and name != "BurstwatchWorkerStale") or name == "BurstwatchAgentDrops"
    windows = [60 * int(minutes) for minutes in re.findall(r"\[(\d+)m\]", alert.expr)] if counts else []
    assert max(length for word, length in words.items() if word in said) == seconds(alert.keep) + max(
        windows, default=0
    )


COMMANDS_NAMED = sorted(set(re.findall(r"`burstwatch ([^`]+)`", TEXT)))


def help_of(*verbs: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        burstwatch([*verbs, "--help"])
    return printed.getvalue()


@pytest.mark.parametrize("command", COMMANDS_NAMED)
def test_commands_are_there_with_the_options_named(command):
    words = shlex.split(command)
    assert words[0] in COMMANDS
    verbs = words[:2] if words[0] in {"dashboards", "trace"} else words[:1]
    options = {word for word in words if word.startswith("-")}
    assert all(re.search(rf"(?<![\w-]){option}\b", help_of(*verbs)) for option in options)


def test_options_named_alone_are_options_of_the_worker():
    options = set(re.findall(r"`(--[a-z-]+)[^`]*`", TEXT)) - {"--alertmanager"}
    assert len(options) > 5
    text = help_of("worker")
    assert {option for option in options if f"{option} " not in text} == set()


@pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None or shutil.which("amtool") is None,
    reason="prometheus-alertmanager is not installed",
)
def test_every_silence_silences_its_alert_and_no_other(tmp_path: Path):
    commands = {name: blocks(section, "sh") for name, section in SECTIONS.items()}
    assert all(len(lines) == 1 for lines in commands.values())
    with Alertmanager(tmp_path) as server:
        for name, (line,) in commands.items():
            values = dict(word.split("=", 1) for word in shlex.split(line) if re.match(r"\w+=", word))
            assert set(values) - {"alertname"} <= set(BY_NAME[name].labels), "a silence by a label it has not"
            server.fire([{"alertname": name, "severity": BY_NAME[name].severity, **values}])
            server.amtool(*shlex.split(line.removeprefix(AMTOOL)))
        silenced = server.alerts()
        assert {alert["labels"]["alertname"] for alert in silenced} == set(BY_NAME)
        assert {len(alert["status"]["silencedBy"]) for alert in silenced} == {1}
