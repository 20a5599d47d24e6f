"""Push and annotate at a real Grafana: GRAFANA_URL, with GRAFANA_TOKEN of a service account of role Admin.

GRAFANA_PROMETHEUS_URL is a Prometheus as that Grafana reaches it; without it what needs a data source is skipped.
Everything made has uids of its own and is deleted in the end: boards, rules and folder of a Burstwatch that is in use
stay as they are. Where this was written there was no such server; `test_push_rehearsal.py` runs it at our stand-in,
which proves that these tests run, not that Grafana does.
"""

import copy
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dashboards.boards import BOARDS
from dashboards.grafana import objects
from dashboards.grafana.annotations import Mark, Marker
from dashboards.grafana.client import Grafana, connect
from dashboards.grafana.kinds import KINDS
from dashboards.grafana.objects import Wanted
from dashboards.grafana.rule_groups import rule_groups
from dashboards.links import Links
from dashboards.push import Outcome, push
from tests.support.board_queries import expressions

URL, TOKEN = os.environ.get("GRAFANA_URL", ""), os.environ.get("GRAFANA_TOKEN", "")
PROMETHEUS = os.environ.get("GRAFANA_PROMETHEUS_URL", "")
NOW_MS = 1_700_000_000_000
pytestmark = [
    pytest.mark.grafana,
    pytest.mark.skipif(not (URL and TOKEN), reason="needs a real Grafana in GRAFANA_URL and a token in GRAFANA_TOKEN"),
]
needs_prometheus = pytest.mark.skipif(not PROMETHEUS, reason="needs GRAFANA_PROMETHEUS_URL, as Grafana reaches it")


class Own:
    """Our objects under names nobody else has, in one Grafana."""

    def __init__(self, grafana: Grafana) -> None:
        self.grafana = grafana
        self.name = f"bwtest-{uuid.uuid4().hex[:8]}"
        self.folder = objects.folder(self.name, f"Burstwatch test {self.name}")
        source = objects.data_source(PROMETHEUS, self.name)
        self.source = replace(source, body=source.body | {"name": self.name})
        point = objects.contact_point("http://127.0.0.1:9/nobody")
        self.point = replace(point, uid=self.name, body=point.body | {"uid": self.name, "name": self.name})
        self.boards = [objects.board(self._board(board), self.name) for board in BOARDS.values()]
        links = Links(grafana_url=URL)
        groups = rule_groups(links, folder_uid=self.name, data_source_uid=self.name, receiver=self.name)
        self.groups = [self._group(group) for group in groups]

    def _board(self, board: dict) -> dict:
        end = board["uid"].removeprefix(objects.BOARD_PREFIX)
        return board | {"uid": f"{self.name}-{end}", "tags": [self.name], "title": f"{board['title']} ({self.name})"}

    def _group(self, group: Wanted) -> Wanted:
        own = copy.deepcopy(group)
        for i, rule in enumerate(own.body["rules"]):
            rule["uid"] = f"{self.name}-{group.uid[-12:]}-{i}"
        return own

    def push(self, *wanted: Wanted) -> list[Outcome]:
        return list(push(self.grafana, wanted))

    def delete(self) -> None:
        """Delete all of it, whatever of it was made."""

        def gone(call) -> None:
            self.grafana.ask("cleaning up after the tests", call, right="Admin", absent=True)

        for rule in (rule["uid"] for group in self.groups for rule in group.body["rules"]):
            if KINDS["folder"].read(self.grafana, self.folder):
                gone(lambda api, uid=rule: api.alertingprovisioning.delete_alertrule(uid))
        if KINDS["contact point"].read(self.grafana, self.point):
            gone(lambda api: api.alertingprovisioning.delete_contactpoint(self.name))
        for board in self.boards:
            gone(lambda api, uid=board.uid: api.dashboard.delete_dashboard(uid))
        for kind, wanted in (("folder", self.folder), ("data source", self.source)):
            if KINDS[kind].read(self.grafana, wanted) is None:
                continue
            if kind == "folder":
                gone(lambda api: api.folder.delete_folder(self.name))
            else:
                gone(lambda api: api.datasource.delete_datasource_by_uid(self.name))
        for found in self.annotations():
            gone(lambda api, number=found["id"]: api.annotations.delete_annotations_by_id(number))

    def mark(self, *, lasting: bool) -> Mark:
        end_ms = NOW_MS + (2_000 if lasting else 60_000)
        return Mark(key=self.name, start_ms=NOW_MS, end_ms=end_ms, text=f"test {lasting}",
                    labels=("burst", ("service", self.name)), lasting=lasting)  # fmt: skip

    def annotations(self) -> list[dict]:
        query = {"tags": [self.mark(lasting=True).key_tag], "limit": 10}
        return self.grafana.ask("reading", lambda api: api.client.GET("/annotations", params=query), right="any")


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    made = Own(connect(URL, TOKEN))
    try:
        yield made
    finally:
        made.delete()


def actions(outcomes: list[Outcome]) -> set[str]:
    return {outcome.action for outcome in outcomes}


def test_boards_pushed_twice_are_written_once_and_read_back_the_same(own: Own):
    assert actions(own.push(own.folder, *own.boards)) == {"create"}
    again = own.push(own.folder, *own.boards)
    assert actions(again) == {"unchanged"}, [(o.uid, [c.line() for c in o.changes]) for o in again]
    for board in own.boards:
        found = KINDS["board"].read(own.grafana, board)
        assert found.body["folderUid"] == own.name
        panels = found.body["dashboard"]["panels"]
        assert [panel["id"] for panel in panels] == [panel["id"] for panel in board.body["dashboard"]["panels"]]
        assert [panel["title"] for panel in panels] == [panel["title"] for panel in board.body["dashboard"]["panels"]]


def test_what_a_person_changed_is_put_back(own: Own):
    own.push(own.folder, *own.boards)
    board = own.boards[0]
    changed = board.body["dashboard"] | {"title": f"Changed {own.name}", "id": None}
    body = {"dashboard": changed, "folderUid": own.name, "overwrite": True, "message": "by hand"}
    own.grafana.ask("changing a board", lambda api: api.dashboard.update_dashboard(body), right="Editor")
    (outcome,) = own.push(board)
    assert (outcome.action, "dashboard.title" in [change.path for change in outcome.changes]) == ("update", True)
    assert actions(own.push(board)) == {"unchanged"}


def test_an_episode_is_one_annotation_that_is_completed(own: Own):
    assert Marker(own.grafana, write=True).put(own.mark(lasting=True)).action == "create"
    assert Marker(own.grafana, write=True).put(own.mark(lasting=True)).action == "unchanged"
    assert Marker(own.grafana, write=True).put(own.mark(lasting=False)).action == "update"
    assert Marker(own.grafana, write=True).put(own.mark(lasting=True)).action == "unchanged"
    (found,) = own.annotations()
    assert (found["time"], found["timeEnd"], found["text"]) == (NOW_MS, NOW_MS + 60_000, "test False")
    assert set(found["tags"]) == set(own.mark(lasting=False).tags)


@needs_prometheus
def test_the_data_source_is_written_once_and_is_well(own: Own):
    own.push(own.source)
    (again,) = own.push(own.source)
    assert again.action == "unchanged", [change.line() for change in again.changes]
    health = own.grafana.ask("its health", lambda api: api.datasource.health(own.name), right="datasources:query")
    assert health["status"] == "OK"


@needs_prometheus
def test_rules_and_contact_point_pushed_twice_are_written_once(own: Own):
    wanted = (own.folder, own.source, own.point, *own.groups)
    own.push(*wanted)
    again = own.push(*wanted)
    assert actions(again) == {"unchanged"}, [(o.uid, [c.line() for c in o.changes]) for o in again]


def substituted(expr: str, board: dict) -> str:
    """The query as the browser sends it: Grafana's server knows the $__ names only."""
    for variable in board["templating"]["list"]:
        value = ".*" if variable["type"] == "query" else str(variable["current"].get("value"))
        expr = expr.replace(f"${{{variable['name']}}}", value).replace(f"${variable['name']}", value)
    return expr


@needs_prometheus
@pytest.mark.parametrize("name", BOARDS)
def test_every_query_of_a_board_is_one_that_grafana_can_ask(own: Own, name):
    own.push(own.source)
    wrong = []
    for where, expr in expressions(BOARDS[name]):
        query = {"refId": "A", "datasource": {"type": "prometheus", "uid": own.name}, "range": True, "instant": False,
                 "expr": substituted(expr, BOARDS[name]), "intervalMs": 15_000, "maxDataPoints": 100}  # fmt: skip
        body = {"queries": [query], "from": "now-30m", "to": "now"}
        answer = own.grafana.ask(where, lambda api, body=body: api.client.POST("/ds/query", json=body), right="query")
        wrong += [f"{where}: {said['error']}" for said in answer["results"].values() if said.get("error")]
    assert wrong == []
