"""What a push would change, worked out without any Grafana."""

import copy

import pytest

from dashboards.boards import BOARDS
from dashboards.grafana import objects
from dashboards.grafana.client import NEEDED
from dashboards.grafana.differences import ABSENT, Difference, differences
from dashboards.grafana.objects import Found, Wanted, seconds
from dashboards.grafana.report import as_json, lines, summary
from dashboards.push import LEFT, SAME, UPDATE, Outcome, outcome

BOARD = {"uid": "burstwatch-x", "title": "X", "version": 1, "tags": ["burstwatch"],
         "panels": [{"id": 1, "title": "a", "targets": [{"refId": "A", "expr": "up"}]}, {"id": 2, "title": "b"}],
         "templating": {"list": [{"name": "service", "query": "q"}]}}  # fmt: skip


def paths(found, wanted, **how) -> list[str]:
    return [difference.path for difference in differences(found, wanted, **how)]


def test_equal_json_has_no_differences_and_every_kind_of_difference_has_its_path():
    other = copy.deepcopy(BOARD)
    assert paths(BOARD, other) == []
    other["title"] = "Y"
    other["panels"][0]["targets"][0]["expr"] = "down"
    other["templating"]["list"][0]["query"] = "p"
    other["new"] = None
    del other["tags"]
    assert paths(BOARD, other) == [
        "new",
        "panels[id=1].targets[refId=A].expr",
        "tags",
        "templating.list[name=service].query",
        "title",
    ]


def test_a_panel_that_is_new_gone_or_moved_is_one_difference():
    more = copy.deepcopy(BOARD)
    more["panels"].insert(0, {"id": 3, "title": "c"})
    assert paths(BOARD, more) == ["panels[id=3]"]
    assert list(differences(more, BOARD)) == [Difference("panels[id=3]", {"id": 3, "title": "c"}, ABSENT)]
    moved = BOARD | {"panels": BOARD["panels"][::-1]}
    assert paths(BOARD, moved) == ["panels (order)"]


def test_lists_without_names_are_compared_by_place():
    assert paths({"a": [1, 2]}, {"a": [1, 3, 4]}) == ["a[1]", "a[2]"]
    twice = [{"id": 1, "x": 1}, {"id": 1, "x": 2}]
    assert paths({"a": twice}, {"a": [twice[0], {"id": 1, "x": 3}]}) == ["a[1].x"]


def test_what_grafana_adds_is_its_own_affair_but_not_labels_people_read():
    found = {"uid": "r", "updated": "today", "labels": {"severity": "info", "team": "x"}, "data": [{"m": 1, "n": 2}]}
    wanted = {"uid": "r", "labels": {"severity": "info"}, "data": [{"m": 1}]}
    assert paths(found, wanted, extras=True) == ["labels.team"]
    assert paths(found, wanted) == ["data[0].n", "labels.team", "updated"]


def test_a_board_is_the_same_whatever_grafana_numbers_it():
    wanted = objects.board(BOARD, "f")
    answer = {"dashboard": BOARD | {"id": 77, "version": 12}, "meta": {"folderUid": "f", "provisioned": False}}
    assert outcome(wanted, objects.found_board(answer)).action == SAME
    elsewhere = answer | {"meta": {"folderUid": "other"}}
    moved = outcome(wanted, objects.found_board(elsewhere))
    assert (moved.action, [change.path for change in moved.changes]) == (UPDATE, ["folderUid"])


def test_a_board_from_a_file_is_left_alone_and_missed_only_if_it_differs():
    wanted = objects.board(BOARD, "f")
    meta = {"folderUid": "f", "provisioned": True, "provisionedExternalId": "x.json"}
    left = outcome(wanted, objects.found_board({"dashboard": BOARD, "meta": meta}))
    assert (left.action, left.missed, left.writes) == (LEFT, False, False)
    assert "x.json" in left.note
    differing = outcome(wanted, objects.found_board({"dashboard": BOARD | {"title": "Y"}, "meta": meta}))
    assert (differing.action, differing.missed) == (LEFT, True)


def group(**rule) -> dict:
    rules = [
        {
            "uid": "r1",
            "title": "R",
            "for": "60s",
            "keep_firing_for": "0s",
            "labels": {"severity": "info"},
            "notification_settings": None,
            "orgID": 1,
        }
        | rule
    ]
    return {"title": "g", "folderUid": "f", "interval": 20, "rules": rules}


@pytest.mark.parametrize(
    ("found", "differing"),
    [
        (group(), []),
        (group(**{"for": "1m"}), []),
        (group(provenance="api", id=4, updated="x"), []),
        (group(**{"for": "2m"}), ["rules[uid=r1].for"]),
        (group(keep_firing_for="1m"), ["rules[uid=r1].keep_firing_for"]),
        (group(orgID=5), []),
        (group(notification_settings={"receiver": "x"}), ["rules[uid=r1].notification_settings"]),
        (group(labels={}), ["rules[uid=r1].labels.severity"]),
        (group() | {"interval": 60}, ["interval"]),
        (group() | {"rules": [*group()["rules"], {"uid": "old"}]}, ["rules[uid=old]"]),
    ],
)
def test_rule_groups_are_compared_as_grafana_writes_them(found, differing):
    wanted = Wanted(kind="rule group", uid="g", title="g", body=group())
    assert [change.path for change in outcome(wanted, Found(body=found)).changes] == differing


def test_a_grafana_that_knows_no_keep_firing_for_is_not_updated_for_ever():
    old = group()
    del old["rules"][0]["keep_firing_for"]
    wanted = Wanted(kind="rule group", uid="g", title="g", body=group())
    assert outcome(wanted, Found(body=old)).action == SAME


def test_a_contact_points_hidden_settings_are_not_a_difference():
    wanted = objects.contact_point("http://h/x")
    hidden = wanted.body | {"settings": {"url": "[REDACTED]", "httpMethod": "POST"}, "provenance": "api"}
    assert outcome(wanted, Found(body=hidden)).action == SAME
    other = wanted.body | {"settings": {"url": "http://h/y", "httpMethod": "POST"}}
    assert [change.path for change in outcome(wanted, Found(body=other)).changes] == ["settings.url"]


@pytest.mark.parametrize(("text", "expected"), [("1m30s", 90.0), ("0s", 0.0), ("1d", 86400.0), ("500ms", 0.5)])
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "5x", "-1s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


def test_the_report_names_paths_with_both_values_and_shortens_what_is_long():
    changes = tuple(Difference(f"panels[id={i}].title", "old", "x" * 200) for i in range(20))
    said = list(lines(Outcome(kind="board", uid="u", title="T", action=UPDATE, changes=changes), written=False))
    assert said[0].startswith("would update  board")
    assert said[1] == '    panels[id=0].title: "old" -> "' + "x" * 56 + "..."
    assert said[-1] == "    and 8 more"
    assert max(map(len, said)) < 120


def test_the_summary_says_plainly_when_nothing_had_to_change():
    same = Outcome(kind="board", uid="u", title="T", action=SAME)
    assert summary([same, same], written=True) == "nothing to change: 2 unchanged"
    changed = Outcome(kind="board", uid="u", title="T", action=UPDATE)
    assert summary([same, changed], written=True) == "1 updated, 1 unchanged"
    assert summary([same, changed], written=False).startswith("dry run, nothing was written; would be 1 updated")


def test_json_leaves_out_the_side_that_is_not_there():
    one = Outcome(kind="board", uid="u", title="T", action=UPDATE, changes=(Difference("a", ABSENT, None),))
    assert as_json(one, written=True)["changes"] == [{"path": "a", "wanted": None}]
    assert as_json(one, written=True)["written"] is True
    assert as_json(one, written=False)["written"] is False


def test_the_version_asked_for_is_the_one_the_boards_schema_came_with():
    """A newer schema needs a newer Grafana: look up which, and raise ``NEEDED`` with it."""
    assert {board["schemaVersion"] for board in BOARDS.values()} == {39}
    assert NEEDED == (10, 4)


def test_every_board_of_ours_can_be_pruned_one_day():
    for board in BOARDS.values():
        assert board["uid"].startswith(objects.BOARD_PREFIX)
        assert len(board["uid"]) <= 40
        assert objects.BOARD_TAG in board["tags"]
