"""Who is told, and what is not told because something else says it: amtool, laws on the file, a real Alertmanager."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards.rules import ALERTS
from tests.support.alertmanager import FILE, Alertmanager

CONFIG = yaml.safe_load(FILE.read_text())
BY_NAME = {alert.alert: alert for alert in ALERTS}
RANK = {"info": 0, "warning": 1, "critical": 2}
RECEIVER = {"critical": "page", "warning": "chat", "info": "quiet"}
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')

needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool is not installed (prometheus-alertmanager)"
)
needs_server = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None, reason="prometheus-alertmanager is not installed"
)


def labels_of(alert, **values: str) -> dict[str, str]:
    return {
        "alertname": alert.alert,
        "severity": alert.severity,
        **{label: values.get(label, "x") for label in alert.labels},
    }


def matched(matchers: list[str]) -> list:
    """The alerts all of ``matchers`` take, whatever their labels besides name and severity hold."""
    found = []
    for alert in ALERTS:
        labels = {"alertname": alert.alert, "severity": alert.severity}
        asked = [MATCHER.fullmatch(matcher).groups() for matcher in matchers]
        known = [(labels[name], sign, value) for name, sign, value in asked if name in labels]
        if all((re.fullmatch(value, held) is not None) == sign.startswith("=") for held, sign, value in known):
            found.append(alert)
    return found


@needs_amtool
def test_amtool_accepts_the_file():
    subprocess.run(["amtool", "check-config", str(FILE)], check=True, capture_output=True)


@needs_amtool
@pytest.mark.parametrize("alert", ALERTS, ids=[alert.alert for alert in ALERTS])
def test_each_alert_goes_where_its_severity_says(alert):
    labels = [f"{name}={value}" for name, value in labels_of(alert).items()]
    command = ["amtool", "config", "routes", "test", f"--config.file={FILE}", *labels]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == [
        RECEIVER[alert.severity]
    ]


@needs_amtool
def test_a_severity_nobody_thought_of_is_seen():
    command = ["amtool", "config", "routes", "test", f"--config.file={FILE}", "alertname=New", "severity=fatal"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["chat"]


def test_nothing_secret_is_in_the_file_and_it_calls_nobody_else():
    urls = re.findall(r"^[^#\n]*?(https?://[^\s]+)", FILE.read_text(), re.MULTILINE)
    assert urls
    assert all(url.startswith("http://127.0.0.1:") for url in urls)
    assert not re.search(r"^[^#\n]*(password|token|api_key|routing_key|credentials)", FILE.read_text(), re.MULTILINE)


def test_inhibitions_name_alerts_there_are_by_labels_they_have():
    for rule in CONFIG["inhibit_rules"]:
        for matchers in (rule["source_matchers"], rule["target_matchers"]):
            names = [v for m in matchers for label, _, v in [MATCHER.fullmatch(m).groups()] if label == "alertname"]
            wanted = {name for value in names for name in value.split("|")}
            assert wanted
            assert wanted == {alert.alert for alert in matched(matchers)}
            asked = {MATCHER.fullmatch(matcher)[1] for matcher in matchers} - {"alertname", "severity"}
            assert all(asked <= set(alert.labels) for alert in matched(matchers))


def test_no_alert_is_silenced_by_one_that_is_told_less_loudly():
    pairs = [
        (source, target, rule.get("equal", []))
        for rule in CONFIG["inhibit_rules"]
        for source in matched(rule["source_matchers"])
        for target in matched(rule["target_matchers"])
    ]
    assert len(pairs) > 8
    for source, target, equal in pairs:
        assert RANK[source.severity] >= RANK[target.severity], f"{source.alert} silences {target.alert}"
        assert source is not target
        if "service" in source.labels:
            assert "service" in equal, f"{source.alert} would silence other services' {target.alert}"


def test_the_symptom_that_pages_is_silenced_by_nothing():
    targets = {alert.alert for rule in CONFIG["inhibit_rules"] for alert in matched(rule["target_matchers"])}
    assert not targets & {"LLMFailureEpisode", "BurstwatchWorkerAbsent", "BurstwatchCaptureIncomplete"}
    assert "BurstwatchWorkerStale" in targets


def test_grouping_is_by_service():
    assert CONFIG["route"]["group_by"] == ["service"]


def inhibited(server: Alertmanager, firing: list[dict[str, str]]) -> list[str]:
    """Fire these; return the names of those another one inhibits.

    Alerts are taken in one after the other: when the second of the last pair is inhibited, all have been.
    """
    last = fire("LLMFailureEpisode", "LLMFailureBudgetBurns", service="the last pair")
    server.fire(firing + last)
    found = []

    def taken_in() -> bool:
        found[:] = server.alerts()
        return last[1] in [alert["labels"] for alert in found if alert["status"]["inhibitedBy"]]

    server.until(taken_in)
    assert len(found) == len(firing + last)
    ours = [alert for alert in found if alert["labels"] not in last]
    return sorted(alert["labels"]["alertname"] for alert in ours if alert["status"]["inhibitedBy"])


def fire(*names: str, **values: str) -> list[dict[str, str]]:
    return [labels_of(BY_NAME[name], **values) for name in names]


EXPLAINED = ["LLMBurstActive", "LLMMemoryPressure", "LLMKVCacheNearlyFull", "LLMPreemptionStorm"]

STORIES = {
    "a burst alone silences nothing": (
        fire("LLMBurstActive", "LLMFailureEpisode", "LLMMemoryPressure", service="chat"),
        [],
    ),
    "a burst that exhausts the cache is told once, and failures are paged all the same": (
        fire("LLMBurstExhaustsKVCache", "LLMFailureEpisode", *EXPLAINED, service="chat"),
        sorted(EXPLAINED),
    ),
    "it explains the ticket of its service": (
        fire("LLMBurstExhaustsKVCache", "LLMFailureBudgetBurns", service="chat"),
        ["LLMFailureBudgetBurns"],
    ),
    "of its service only": (
        fire("LLMBurstExhaustsKVCache", service="chat") + fire(*EXPLAINED, "LLMFailureBudgetBurns", service="code"),
        [],
    ),
    "it does not explain a page": (
        fire("LLMBurstExhaustsKVCache", "LLMFailureBudgetBurnsFast", service="chat"),
        [],
    ),
    "one page is enough": (
        fire("LLMFailureEpisode", "LLMFailureBudgetBurnsFast", "LLMFailureBudgetBurns", service="chat"),
        ["LLMFailureBudgetBurns", "LLMFailureBudgetBurnsFast"],
    ),
    "for each service": (
        fire("LLMFailureEpisode", service="chat") + fire("LLMFailureBudgetBurnsFast", service="code"),
        [],
    ),
    "the fast burn is more than the slow one": (
        fire("LLMFailureBudgetBurnsFast", "LLMFailureBudgetBurns", service="chat"),
        ["LLMFailureBudgetBurns"],
    ),
    "without a worker nothing else of the worker is news": (
        fire("BurstwatchWorkerAbsent", "BurstwatchWorkerStale", "BurstwatchAgentSilent", "BurstwatchWorkerLags")
        + fire("BurstwatchTargetDown", job="burstwatch-worker", instance="w1")
        + fire("BurstwatchTargetDown", job="burstwatch-capture", instance="c1"),
        ["BurstwatchAgentSilent", "BurstwatchTargetDown", "BurstwatchWorkerLags", "BurstwatchWorkerStale"],
    ),
    "one worker of several silences nothing": (
        fire("BurstwatchTargetDown", "BurstwatchAgentSilent", "BurstwatchWorkerLags", job="burstwatch-worker"),
        [],
    ),
    "workers that read nothing hear of no agent": (
        fire("BurstwatchWorkerStale", "BurstwatchAgentSilent", "BurstwatchCaptureIncomplete"),
        ["BurstwatchAgentSilent"],
    ),
}  # fmt: skip


@needs_server
@pytest.mark.parametrize("story", STORIES)
def test_what_a_real_alertmanager_keeps_quiet(tmp_path: Path, story):
    firing, expected = STORIES[story]
    with Alertmanager(tmp_path) as server:
        assert inhibited(server, firing) == expected
