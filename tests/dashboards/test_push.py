"""`burstwatch dashboards push` at a stand-in for Grafana: what it makes, that it makes it once, and whose it is."""

import json

import pytest

from dashboards.boards import BOARDS
from tests.support.fake_grafana import FakeGrafana

ALL = ("--datasource-url", "http://prometheus:9090", "--contact-point-webhook", "http://hook/x")
UIDS = {board["uid"] for board in BOARDS.values()}
ONE = min(UIDS)


def said(capsys) -> str:
    return capsys.readouterr().out


def objects_said(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_push_makes_folder_and_boards_and_nothing_that_was_not_asked_for(grafana: FakeGrafana, push, capsys):
    assert push() == 0
    assert {uid: folder["title"] for uid, folder in grafana.folders.items()} == {"burstwatch": "Burstwatch"}
    assert grafana.boards.keys() == UIDS
    for board in BOARDS.values():
        kept = grafana.boards[board["uid"]]
        assert {k: v for k, v in kept["dashboard"].items() if k not in {"id", "version"}} == {
            k: v for k, v in board.items() if k not in {"id", "version"}
        }
        assert kept["meta"]["folderUid"] == "burstwatch"
    assert (grafana.sources, grafana.groups, grafana.points) == ({}, {}, {})
    shown = said(capsys)
    assert f"{1 + len(UIDS)} created" in shown
    assert f"look at {grafana.url}/dashboards/f/burstwatch" in shown


def test_a_second_push_writes_nothing_and_says_so(grafana: FakeGrafana, push, capsys):
    assert push(*ALL) == 0
    written = list(grafana.writes)
    capsys.readouterr()
    assert push(*ALL) == 0
    assert grafana.writes == written
    assert f"nothing to change: {3 + len(UIDS)} unchanged" in said(capsys)


def test_what_a_person_changed_is_named_and_put_back(grafana: FakeGrafana, push, capsys):
    push()
    first = next(panel["id"] for panel in grafana.boards[ONE]["dashboard"]["panels"])
    grafana.edit_board(ONE, lambda board: board["panels"][0].update(title="Mine"))
    capsys.readouterr()
    assert push("--dry-run") == 0
    shown = said(capsys)
    assert f"would update  board         {ONE}" in shown
    assert f'panels[id={first}].title: "Mine" -> ' in shown
    assert grafana.boards[ONE]["dashboard"]["panels"][0]["title"] == "Mine"
    assert push() == 0
    assert grafana.boards[ONE]["dashboard"]["panels"][0]["title"] != "Mine"
    assert grafana.writes.count("POST /api/dashboards/db") == len(UIDS) + 1


def test_a_dry_run_writes_nothing_and_check_says_it_by_its_exit_code(grafana: FakeGrafana, push, capsys):
    assert push("--dry-run", *ALL) == 0
    assert push("--check", *ALL) == 1
    assert grafana.writes == []
    assert "would create" in said(capsys)
    push(*ALL)
    assert push("--check", *ALL) == 0


def test_json_is_one_object_for_each_of_grafanas(grafana: FakeGrafana, push, capsys):
    push("--json", *ALL)
    found = objects_said(capsys)
    assert [(o["kind"], o["action"], o["written"]) for o in found] == [
        ("folder", "create", True),
        ("data source", "create", True),
        *[("board", "create", True)] * len(UIDS),
        ("contact point", "create", True),
    ]
    push("--json", "--dry-run", "--folder-title", "Other")
    changed = next(o for o in objects_said(capsys) if o["action"] != "unchanged")
    assert (changed["kind"], changed["written"]) == ("folder", False)
    assert changed["changes"] == [{"path": "title", "found": "Burstwatch", "wanted": "Other"}]


def test_a_board_that_grafana_brings_to_its_own_schema_is_not_pushed_for_ever(grafana: FakeGrafana, push, capsys):
    push()
    grafana.migrates = True
    capsys.readouterr()
    assert push() == 0
    assert "nothing to change" in said(capsys)
    grafana.edit_board(ONE, lambda board: board.update(title="Mine"))
    assert push("--check") == 1


@pytest.mark.parametrize("migrates", [False, True])
def test_a_board_somebody_moved_is_put_back_though_its_newest_version_is_ours(grafana: FakeGrafana, push, migrates):
    push()
    grafana.migrates = migrates
    grafana.boards[ONE]["meta"]["folderUid"] = "theirs"
    assert push("--check") == 1
    assert push() == 0
    assert grafana.boards[ONE]["meta"]["folderUid"] == "burstwatch"


def test_boards_move_into_the_folder_asked_for(grafana: FakeGrafana, push):
    push()
    assert push("--folder", "team", "--folder-title", "Team") == 0
    assert {board["meta"]["folderUid"] for board in grafana.boards.values()} == {"team"}


def test_a_data_source_keeps_what_people_set_beside_ours(grafana: FakeGrafana, push, capsys):
    push("--datasource-url", "http://old:9090")
    grafana.sources["prometheus"] |= {"basicAuth": True, "isDefault": True}
    grafana.sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"] = []
    assert push("--datasource-url", "http://new:9090/") == 0
    source = grafana.sources["prometheus"]
    assert (source["url"], source["basicAuth"], source["isDefault"]) == ("http://new:9090", True, True)
    assert source["jsonData"].keys() == {"httpMethod", "timeInterval", "exemplarTraceIdDestinations"}
    assert "Grafana reaches it" in said(capsys)


def test_a_data_source_of_that_name_elsewhere_is_not_ours_to_take(grafana: FakeGrafana, push, capsys):
    grafana.sources["abc"] = {"uid": "abc", "name": "Prometheus", "type": "prometheus", "readOnly": False, "version": 1}
    assert push("--datasource-url", "http://p:9090") == 2
    assert "another uid" in capsys.readouterr().err


def test_a_contact_point_is_updated_by_its_uid_and_its_address_is_not_shown(grafana: FakeGrafana, push, capsys):
    push("--contact-point-webhook", "http://hook/old-secret")
    assert push("--contact-point-webhook", "http://hook/new-secret") == 0
    assert [point["settings"]["url"] for point in grafana.points.values()] == ["http://hook/new-secret"]
    push("--json", "--dry-run", "--contact-point-webhook", "http://hook/old-secret")
    shown = said(capsys)
    assert "settings.url" in shown
    assert "secret" not in shown


def test_nobodys_notification_policies_are_touched(grafana: FakeGrafana, push):
    push(*ALL)
    assert not [path for path in grafana.asked if "policies" in path]


# -- one owner per object


def test_what_files_own_is_left_alone_and_said(grafana: FakeGrafana, push, capsys):
    push(*ALL)
    grafana.boards[ONE]["meta"] |= {"provisioned": True, "provisionedExternalId": "one.json"}
    grafana.sources["prometheus"]["readOnly"] = True
    grafana.points["burstwatch-webhook"]["provenance"] = "file"
    capsys.readouterr()
    written = list(grafana.writes)
    assert push(*ALL) == 0
    assert said(capsys).count("left alone") == 4  # three objects and the summary
    assert grafana.writes == written


def test_what_files_own_and_differs_is_exit_code_1(grafana: FakeGrafana, push, capsys):
    push()
    grafana.edit_board(ONE, lambda board: board.update(title="From a file"))
    grafana.boards[ONE]["meta"] |= {"provisioned": True, "provisionedExternalId": "one.json"}
    capsys.readouterr()
    assert push() == 1
    shown = said(capsys)
    assert "provisioned from one.json, which owns it" in shown
    assert 'title: "From a file" -> ' in shown
    assert grafana.boards[ONE]["dashboard"]["title"] == "From a file"


LOCKS = {
    "POST /api/dashboards/db": (400, "Cannot save provisioned dashboard"),
    "PUT /api/datasources/uid/prometheus": (403, "Cannot update read-only data source"),
    "PUT /api/v1/provisioning/contact-points": (409, "cannot update with provided provenance 'api', needs 'file'"),
}


@pytest.mark.parametrize("where", LOCKS)
def test_a_lock_that_shows_only_when_writing_is_recognised_too(grafana: FakeGrafana, push, capsys, where):
    push(*ALL)
    grafana.edit_board(ONE, lambda board: board.update(title="Mine"))
    status, words = LOCKS[where]
    grafana.fail(where, status, message=words)
    capsys.readouterr()
    assert push("--datasource-url", "http://other", "--contact-point-webhook", "http://other") == 1
    shown = said(capsys)
    assert shown.count("which owns it") == 1
    assert words in shown


# -- boards that code no longer has


def test_boards_no_longer_in_code_are_reported_and_deleted_only_when_asked(grafana: FakeGrafana, push, capsys):
    push()
    old = {"title": "Old", "tags": ["burstwatch"], "version": 1}
    meta = {"folderUid": "burstwatch", "provisioned": False}
    for uid in ("burstwatch-old", "burstwatch-file", "theirs"):
        grafana.boards[uid] = {"dashboard": old | {"uid": uid}, "meta": dict(meta), "versions": []}
    grafana.boards["burstwatch-file"]["meta"]["provisioned"] = True
    grafana.boards["burstwatch-elsewhere"] = {
        "dashboard": old | {"uid": "burstwatch-elsewhere"}, "meta": meta | {"folderUid": "other"}, "versions": [],
    }  # fmt: skip
    capsys.readouterr()
    assert push() == 0
    assert "surplus       board         burstwatch-old" in said(capsys)
    assert push("--prune", "--dry-run") == 0
    assert "would delete  board         burstwatch-old" in said(capsys)
    assert "burstwatch-old" in grafana.boards
    assert push("--prune") == 0
    assert grafana.boards.keys() - UIDS == {"burstwatch-file", "burstwatch-elsewhere", "theirs"}
