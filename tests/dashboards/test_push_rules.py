"""`push --rules`: alert rules Grafana evaluates itself, by the HTTP API, equal to those of the provisioning file."""

import pytest

from dashboards.grafana.objects import seconds
from dashboards.grafana.rule_groups import rule_groups
from dashboards.links import Links
from dashboards.rules import ALERTS, grafana_groups
from tests.support.fake_grafana import FakeGrafana

LINKS = Links(grafana_url="https://g.example", runbook_url="https://r.example/runbook")
ASKED = ("--rules", "--datasource-url", "http://prometheus:9090")


def pushed(grafana: FakeGrafana) -> list[dict]:
    return [rule for group in grafana.groups.values() for rule in group["rules"]]


def test_the_api_has_every_alert_with_its_own_keys():
    groups = rule_groups(LINKS, folder_uid="f", data_source_uid="p")
    rules = [rule for group in groups for rule in group.body["rules"]]
    assert [rule["title"] for rule in rules] == [alert.alert for alert in ALERTS]
    assert [rule["keep_firing_for"] for rule in rules] == [alert.keep for alert in ALERTS]
    assert {(rule["folderUID"], rule["orgID"], rule["notification_settings"]) for rule in rules} == {("f", 1, None)}
    assert {group.uid for group in groups} == {rule["ruleGroup"] for rule in rules}
    assert len({rule["uid"] for rule in rules}) == len(rules)
    assert {query["datasourceUid"] for rule in rules for query in rule["data"]} == {"p", "__expr__"}
    assert not [rule for rule in rules if "keepFiringFor" in rule]


def test_api_and_file_say_the_same_but_for_the_spelling():
    for wanted, group in zip(
        rule_groups(LINKS, folder_uid="f", data_source_uid="prometheus"), grafana_groups(LINKS), strict=True
    ):
        assert wanted.body["interval"] == seconds(group["interval"])
        for ours, theirs in zip(wanted.body["rules"], group["rules"], strict=True):
            same = ("uid", "condition", "data", "noDataState", "execErrState", "for", "annotations", "isPaused")
            assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}


def test_a_dollar_is_written_once_as_no_environment_is_read(monkeypatch):
    escaped = [{"name": "g", "interval": "10s", "rules": [
        {"uid": "u", "title": "$$T", "labels": {"node": "{{ $$labels.node }}"}, "keepFiringFor": "0s", "data": [],
         "annotations": {"summary": "{{ $labels.node }}"}},
    ]}]  # fmt: skip
    monkeypatch.setattr("dashboards.grafana.rule_groups.grafana_groups", lambda _: escaped)
    (rule,) = rule_groups(LINKS, folder_uid="f", data_source_uid="p")[0].body["rules"]
    assert (rule["title"], rule["labels"]) == ("$T", {"node": "{{ $labels.node }}"})
    assert rule["annotations"] == {"summary": "{{ $labels.node }}"}


def test_rules_are_pushed_once_and_link_to_this_very_grafana(grafana: FakeGrafana, push, capsys):
    assert push(*ASKED, "--runbook-url", "https://r.example/runbook") == 0
    rules = pushed(grafana)
    assert sorted(rule["title"] for rule in rules) == sorted(alert.alert for alert in ALERTS)
    for rule in rules:
        assert rule["annotations"]["dashboard_url"].startswith(f"{grafana.url}/d/burstwatch-")
        assert rule["annotations"]["runbook_url"] == f"https://r.example/runbook#{rule['title'].lower()}"
    capsys.readouterr()
    written = list(grafana.writes)
    assert push(*ASKED, "--runbook-url", "https://r.example/runbook") == 0
    assert grafana.writes == written
    assert "nothing to change" in capsys.readouterr().out


def test_without_keep_firing_for_in_grafana_the_second_push_writes_nothing_either(grafana: FakeGrafana, push):
    grafana.keeps_firing = False
    push(*ASKED)
    assert push(*ASKED, "--check") == 0


def test_rules_name_the_contact_point_that_is_pushed_with_them(grafana: FakeGrafana, push):
    push(*ASKED)
    grafana.writes.clear()
    assert {str(rule["notification_settings"]) for rule in pushed(grafana)} == {"None"}
    hook = ("--contact-point-webhook", "http://hook/x")
    assert push(*ASKED, *hook) == 0
    assert {rule["notification_settings"]["receiver"] for rule in pushed(grafana)} == {"Burstwatch webhook"}
    assert grafana.points["burstwatch-webhook"]["name"] == "Burstwatch webhook"
    assert grafana.writes[0] == "POST /api/v1/provisioning/contact-points"  # rules that name it come after


def test_a_rule_that_was_changed_is_named_by_its_place(grafana: FakeGrafana, push, capsys):
    push(*ASKED)
    rule = pushed(grafana)[0]
    rule["for"] = "9h"
    del rule["labels"]["severity"]
    capsys.readouterr()
    assert push(*ASKED, "--check") == 1
    shown = capsys.readouterr().out
    assert f'rules[uid={rule["uid"]}].for: "32400s" -> ' in shown
    assert f"rules[uid={rule['uid']}].labels.severity: (nothing) -> " in shown


def test_rules_from_files_are_left_alone_and_said(grafana: FakeGrafana, push, capsys):
    push(*ASKED)
    for rule in pushed(grafana):
        rule |= {"provenance": "file", "for": "9h"}
    written = list(grafana.writes)
    capsys.readouterr()
    assert push(*ASKED) == 1
    assert grafana.writes == written
    assert "left alone    rule group" in capsys.readouterr().out
    push(*ASKED, "--dry-run")  # known before anything is tried
    assert "would update" not in capsys.readouterr().out


def test_rules_locked_under_another_folder_are_recognised_when_written(grafana: FakeGrafana, push, capsys):
    words = "cannot update with provided provenance 'api', needs 'file'"
    grafana.fail("PUT /api/v1/provisioning/folder", 409, 99, message=words)
    assert push(*ASKED) == 1  # they are not in the folder asked for
    shown = capsys.readouterr().out
    assert shown.count(words) == len(grafana_groups(LINKS))
    assert grafana.groups == {}


def test_rules_need_a_data_source_that_is_there(grafana: FakeGrafana, push, capsys):
    assert push("--rules") == 2
    assert "its Prometheus sources: none" in capsys.readouterr().err
    grafana.sources["abc"] = {"uid": "abc", "type": "prometheus", "name": "Mine", "readOnly": False}
    assert push("--rules") == 2
    assert "its Prometheus sources: abc" in capsys.readouterr().err
    assert push("--rules", "--datasource-uid", "abc") == 0
    assert {query["datasourceUid"] for rule in pushed(grafana) for query in rule["data"]} == {"abc", "__expr__"}


@pytest.mark.parametrize("role", ["editor"])
def test_rules_take_more_rights_and_they_are_named(grafana: FakeGrafana, push, token, capsys, role):
    push(*ASKED)
    token.write_text(role)
    assert push("--rules") == 2
    assert "the Admin role has it" in capsys.readouterr().err
