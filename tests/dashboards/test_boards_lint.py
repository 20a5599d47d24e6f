"""The lint of the boards is no ornament: break a board in one way, and it says so."""

import copy

import pytest

from dashboards.boards import BOARDS
from tests.dashboards.test_boards import HEADINGS, RECORDED
from tests.support import board_lint, board_queries


def broken(change):
    board = copy.deepcopy(BOARDS["memory"])
    change(board)
    others = [other for name, other in BOARDS.items() if name != "memory"]
    return board_lint.complaints(board, [board, *others], HEADINGS) + board_queries.complaints(board, RECORDED)


def panel(board, title):
    return next(found for found in board["panels"] if found["title"] == title)


def ask(expr, legend=None):
    def change(board):
        target = panel(board, "Requests running")["targets"][0]
        target["expr"] = expr
        if legend is not None:
            target["legendFormat"] = legend

    return change


def set_in(title, *path_and_value):
    *path, value = path_and_value

    def change(board):
        thing = panel(board, title)
        for key in path[:-1]:
            thing = thing[key]
        thing[path[-1]] = value

    return change


def set_default(key, value, title="Requests running"):
    return set_in(title, "fieldConfig", "defaults", key, value)


def remove_variable(name):
    def change(board):
        found = board["templating"]["list"]
        board["templating"]["list"] = [variable for variable in found if variable["name"] != name]

    return change


def add_variable(board):
    extra = copy.deepcopy(board["templating"]["list"][1])
    board["templating"]["list"].append(extra | {"name": "model"})


def misspell_variable(board):
    board["templating"]["list"][1]["query"]["query"] = "label_values(burstwatch_arrivals, service)"


def link_to(url):
    return set_default("links", [{"title": "there", "url": url}])


RUNNING = 'max by (node, engine) (burstwatch_engine_requests_running{service=~"$service", node=~"$node"})'

BREAKS = {
    "a metric nobody exports": (ask(RUNNING.replace("running", "walking")), "nobody exports"),
    "a label the metric has not": (ask(RUNNING.replace("node=~", "host=~")), "has no label host"),
    "a grouping by a label that is not there": (ask(RUNNING.replace("by (node", "by (host")), "grouped by host"),
    "a legend of a label that is gone": (ask(RUNNING, "{{gpu}} {{node}} {{engine}}"), "legend names gpu"),
    "lines that differ by what no legend names": (ask(RUNNING, "{{node}}"), "lines differ by engine"),
    "no PromQL": (ask("max by (service"), "no PromQL"),
    "a gauge that is rated": (
        ask("max by (node, engine) (rate(burstwatch_engine_requests_running[$__rate_interval]))"),
        "is a gauge and is rated",
    ),
    "a counter that is not": (ask("max by (node, engine) (burstwatch_engine_preemptions_total)"), "is not rated"),
    "a histogram that is not": (ask("sum by (le) (burstwatch_request_tokens_bucket)"), "is not rated"),
    "a rate over a fixed range": (
        ask("sum by (node, engine) (rate(burstwatch_engine_preemptions_total[5m]))"),
        "not over $__rate_interval",
    ),
    "a counter's total that is not there": (
        ask('sum(rate(burstwatch_arrivals_total{model="all"}[$__rate_interval]))', ""),
        "knows classes only",
    ),
    "a value that never occurs": (
        ask('max by (service) (burstwatch_burst_kv_exhaustion_seconds{bound="upper"})'),
        "bound is never 'upper'",
    ),
    "several services matched as one": (ask(RUNNING.replace("service=~", "service=")), "must be matched with =~"),
    "a variable that is not defined": (ask(RUNNING.replace("$node", "$rack")), "variable rack is not defined"),
    "a variable that was taken away": (remove_variable("node"), "variable node is not defined"),
    "a variable nobody uses": (add_variable, "variable model is not used"),
    "a variable of a metric nobody exports": (misspell_variable, "variable service: burstwatch_arrivals does not"),
    "a dollar in a title": (set_in("Requests running", "title", "Costs in $"), "a $"),
    "two panels of one number": (set_in("Requests running", "id", 302), "id 302 is there 2 times"),
    "two panels of one title": (set_in("Requests running", "title", "Requests waiting"), "is there 2 times"),
    "a panel over another": (set_in("Requests running", "gridPos", "x", 6), "overlaps"),
    "a panel out of the grid": (set_in("Requests waiting", "gridPos", "x", 13), "not within the 24 columns"),
    "no unit": (set_default("unit", None), "unit None is not set"),
    "a unit Grafana has not": (set_default("unit", "requests"), "unit 'requests' is not set or not known"),
    "no description": (set_in("Requests running", "description", ""), "its description lacks"),
    "a description of another metric": (
        set_in("Requests running", "description", "**Normal:** **If not:** From `x`"),
        "does not name burstwatch_engine_requests_running",
    ),
    "nothing said of absence": (set_default("noValue", ""), "absence"),
    "thresholds that fall": (
        set_default("thresholds", {"steps": [{"value": None}, {"value": 2}, {"value": 1}]}),
        "thresholds do not rise",
    ),
    "a data source by name": (
        set_in("Requests running", "datasource", {"type": "prometheus", "uid": "prometheus"}),
        "datasource is not",
    ),
    "a stat over a range": (
        set_in("Pressure episodes begun", "targets", 0, "range", True),
        "a number of now asks an instant query",
    ),
    "a link to no board": (
        link_to("/d/burstwatch-gone?${__url_time_range}&${__all_variables}"),
        "burstwatch-gone, which is no board",
    ),
    "a link that loses the time": (link_to("/d/burstwatch-bursts?${__all_variables}"), "loses the time"),
    "a link that loses the service": (link_to("/d/burstwatch-bursts?${__url_time_range}"), "loses service"),
    "a link that loses the node": (
        link_to("/d/burstwatch-failures?${__url_time_range}&${datasource:queryparam}&var-service=a"),
        "loses node",
    ),
    "a sum over the time shown at every point of it": (
        ask("increase(burstwatch_engine_preemptions_total[$__range])"),
        "$__range on a time axis",
    ),
    "a link that sets what is not there": (
        link_to("/d/burstwatch-pipeline?${__url_time_range}&var-service=a&var-node=b"),
        "sets node, which that board has not",
    ),
    "a link with a label the result has not": (
        link_to("/d/burstwatch-bursts?${__url_time_range}&var-service=${__field.labels.service}"),
        "a link takes service along",
    ),
    "a link to a heading that is not there": (
        set_in("Memory pressure", "links", [{"title": "x", "url": "http://127.0.0.1/runbook#llmgone"}]),
        "no heading llmgone",
    ),
    "no way to the other boards": (lambda board: board["links"].pop(0), "no links to the other boards"),
}


def test_the_board_that_is_broken_below_is_whole():
    assert broken(lambda _board: None) == []


@pytest.mark.parametrize("name", BREAKS)
def test_the_lint_tells_of(name):
    change, told = BREAKS[name]
    assert any(told in complaint for complaint in broken(change)), broken(change)


def test_a_metric_that_falls_off_every_board_is_told():
    without = [board for name, board in BOARDS.items() if name != "traffic"]
    gone = board_queries.asked(BOARDS.values()) - board_queries.asked(without)
    assert {"burstwatch_request_tokens", "burstwatch_negative_durations_total"} <= gone
