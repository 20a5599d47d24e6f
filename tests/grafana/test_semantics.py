"""What Grafana's own code makes of units, thresholds, words and transformations of the committed boards."""

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.grafana.node import BOARDS, grafana_answers, needs_libraries, panels_of, read_board

pytestmark = [pytest.mark.grafana_js, needs_libraries]

NOTHING = "#7b8087"  # grey: what is not known is neither good nor bad

# (board, panel): values, and what a person shall read; lines take any colour (None). Thresholds are where alerts fire.
READ = {
    ("overview", "Services in a burst"): [(0, "none", "green"), (1, "1", "orange"), (None, "no service yet", NOTHING)],
    ("overview", "Services failing"): [(0, "none", "green"), (1, "1", "red")],
    ("overview", "Fullest KV cache"): [(0.94, "94%", "green"), (0.95, "95%", "orange"), (1, "100%", "orange")],
    ("overview", "Soonest KV exhaustion"): [
        (59, "59 s", "red"),
        (60, "1 min", "orange"),
        (600, "10 mins", "green"),
        (None, "no cache grows", NOTHING),
    ],
    ("overview", "Messages missing"): [(0, "none", "green"), (1, "1", "orange")],
    ("overview", "Episodes"): [(0, "no", "green"), (1, "burst", "orange"), (2, "failing", "red")],
    ("overview", "Requests per second"): [(4.5, "4.50 req/s", "text")],
    ("bursts", "Bursts"): [(0, "calm", "green"), (1, "burst", "orange")],
    ("failures", "Failure episodes"): [(0, "within budget", "green"), (1, "failing", "red")],
    ("overview", "Fastest budget burn, ×"): [
        (0.9, "0.9", "green"),
        (1, "1.0", "orange"),
        (6, "6.0", "red"),
        (14.4, "14.4", "dark-red"),
    ],
    ("failures", "Failures allowed"): [(0.01, "1%", "text")],
    ("memory", "Memory pressure"): [(0, "enough", "green"), (1, "short of memory", "purple")],
    ("memory", "KV cache in use now"): [(0.94, "94%", "green"), (0.95, "95%", "orange")],
    ("memory", "Device memory used"): [(0.9, "90%", None), (0.97, "97%", None)],
    ("memory", "Device memory by state"): [(80 * 1024**3, "80 GiB", None)],
    ("traffic", "Time to first token"): [(0.02, "20 ms", None)],
    ("pipeline", "Longest silent agent"): [(59, "59 s", "green"), (60, "1 min", "red")],
    ("pipeline", "Workers and captures"): [(0, "down", "red"), (1, "up", "green")],
    ("pipeline", "Alerts"): [(1, "pending", "yellow"), (2, "firing", "red")],
}

COLUMNS = {
    ("bursts", "How shape and rate were estimated"): ["method", "service", "Used", "Known for"],
    ("memory", "Capacity of one engine"): ["method", "service", "Requests/s"],
    ("overview", "Every service now"): [
        "service", "Requests/s", "CV of gaps", "Gamma shape", "Burst", "Failing at least", "Failures",
        "Fullest KV cache", "Memory",
    ],
    ("overview", "Last 5 minutes over those an hour ago"): [
        "service", "Requests", "CV of gaps", "Request tokens", "Response tokens", "Duration", "Failure ratio",
    ],
    ("overview", "Episodes begun in the time shown"): ["service", "Bursts", "Failures", "Memory"],
    ("pipeline", "Partitions"): ["partition", "topic", "Next offset", "Behind"],
    ("pipeline", "Versions"): ["instance", "version", "Runs"],
    ("traffic", "Models in the time shown"): ["model", "Requests", "Request tokens", "Response tokens", "Failed"],
}  # fmt: skip


def boards() -> dict[str, dict]:
    return {path.stem: read_board(path) for path in BOARDS}


def panel_named(all_boards: dict[str, dict], board: str, title: str) -> dict:
    return next(panel for panel in panels_of(all_boards[board]) if panel["title"] == title)


def configs(board: dict) -> list[tuple[str, dict]]:
    """The field settings of every panel, and of every override that changes what is said of a value."""
    found = []
    for panel in panels_of(board):
        defaults = panel["fieldConfig"]["defaults"]
        found.append((panel["title"], defaults))
        for override in panel["fieldConfig"]["overrides"]:
            changed = {item["id"]: item["value"] for item in override["properties"] if "." not in item["id"]}
            found.append((f"{panel['title']}, {override['matcher']['options']}", defaults | changed))
    return found


Check = tuple[dict, Callable[[list], list[str]]]  # a question, and what is wrong with Grafana's answer


def complaints(all_boards: dict[str, dict]) -> list[str]:
    """All that is wrong by Grafana's code, asked in one go: starting Node costs more than any answer."""
    checks = list(reading_checks(all_boards))
    for name, board in all_boards.items():
        for where, config in configs(board):
            checks += unit_and_colour_checks(f"{name}: {where}", config)
            checks += step_checks(f"{name}: {where}", config)
    answers = grafana_answers([question for question, _ in checks])
    return [wrong for (_, judge), answer in zip(checks, answers, strict=True) for wrong in judge(answer)]


def unit_and_colour_checks(where: str, config: dict) -> Iterator[Check]:
    unit = config["unit"]
    yield {"ask": "unknownUnits", "ids": [unit]}, lambda bad: [f"{where}: no unit {unit}" for _ in bad]
    names = [step["color"] for step in config["thresholds"]["steps"]]
    for mapping in config["mappings"]:
        options = mapping["options"]
        names += [to["color"] for to in (options.values() if mapping["type"] == "value" else [options["result"]])]
    yield {"ask": "unknownColours", "names": names}, lambda bad: [f"{where}: no colour {name}" for name in bad]


def step_checks(where: str, config: dict) -> Iterator[Check]:
    """A step's colour begins at its value and not before: Grafana takes the steps in the order they stand."""
    plain = config | {"mappings": [], "color": {"mode": "thresholds"}}
    for before, step in itertools.pairwise(config["thresholds"]["steps"]):
        below = step["value"] - abs(step["value"]) * 1e-6
        wanted = [before["color"], step["color"]]
        question = {"ask": "display", "config": plain, "values": [below, step["value"]]}
        yield question, partial(compared, f"{where}, at {step['value']}", [(None, color) for color in wanted])


def reading_checks(all_boards: dict[str, dict]) -> Iterator[Check]:
    for (board, title), rows in READ.items():
        config = panel_named(all_boards, board, title)["fieldConfig"]["defaults"]
        question = {"ask": "display", "config": config, "values": [value for value, _, _ in rows]}
        yield question, partial(compared, f"{board}: {title}", [(text, color) for _, text, color in rows])


def compared(where: str, wanted: list[tuple[str | None, str | None]], answer: list[dict]) -> list[str]:
    """What is read otherwise than wanted; None is anything."""
    return [
        f"{where}: {text} {color} wanted, {shown['text']} {shown['color']} read"
        for (text, color), shown in zip(wanted, answer, strict=True)
        if text not in {None, shown["text"]} or color not in {None, shown["color"]}
    ]


def test_units_colours_thresholds_and_words_are_read_as_meant():
    found = complaints(boards())
    assert not found, "\n".join(found)


def unit_typo(found):
    panel_named(found, "overview", "Fullest KV cache")["fieldConfig"]["defaults"]["unit"] = "percentunits"


def wrong_unit(found):
    panel_named(found, "memory", "KV cache in use now")["fieldConfig"]["defaults"]["unit"] = "percent"


def wrong_threshold(found):
    panel_named(found, "overview", "Fullest KV cache")["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] = (
        95
    )


def steps_out_of_order(found):
    panel_named(found, "failures", "Burn rate in the window")["fieldConfig"]["defaults"]["thresholds"]["steps"][1:] = [
        {"value": 6, "color": "red"},
        {"value": 1, "color": "orange"},
    ]


def colour_typo(found):
    panel_named(found, "bursts", "CV of the gaps")["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["color"] = (
        "ornge"
    )


def wrong_word(found):
    panel_named(found, "pipeline", "Workers and captures")["fieldConfig"]["defaults"]["mappings"][0]["options"] = {
        "0": {"text": "up", "color": "green", "index": 0}
    }


@pytest.mark.parametrize(
    "mistake", [unit_typo, wrong_unit, wrong_threshold, steps_out_of_order, colour_typo, wrong_word]
)
def test_a_mistake_is_caught(mistake):
    found = copy.deepcopy(boards())
    mistake(found)
    assert set(complaints(found)) - set(complaints(boards()))


def test_what_is_not_known_is_neither_good_nor_bad():
    """Grafana gives a number that is absent the colour of the first step, unless a mapping says otherwise."""
    panels = [
        (name, panel) for name, board in boards().items() for panel in panels_of(board) if panel["type"] == "stat"
    ]
    questions = [
        {"ask": "display", "config": panel["fieldConfig"]["defaults"], "values": [None]} for _, panel in panels
    ]
    assert len(panels) > 10
    for (name, panel), ((shown),) in zip(panels, grafana_answers(questions), strict=True):
        assert shown["color"] in {NOTHING, "text"}, f"{name}: {panel['title']}"
        assert panel["fieldConfig"]["defaults"]["noValue"] == shown["text"] or shown["color"] == "text"


BY = re.compile(r"by \(([^)]*)\)")


def instant_frame(target: dict, *, several: bool) -> dict:
    """Two series as the Prometheus data source hands over the answer to an instant query in table format."""
    labels = sorted(BY.search(target["expr"])[1].split(", "))
    value = f"Value #{target['refId']}" if several else "Value"
    texts = [{"name": label, "type": "string", "values": [f"{label} 1", f"{label} 2"]} for label in labels]
    time = {"name": "Time", "type": "time", "values": [0, 0]}
    return {"refId": target["refId"], "fields": [time, *texts, {"name": value, "type": "number", "values": [1, 2]}]}


def test_transformations_give_the_columns_and_one_row_for_each_thing():
    found = boards()
    panels = {
        (name, panel["title"]): panel
        for name, board in found.items()
        for panel in panels_of(board)
        if panel.get("transformations")
    }
    assert set(COLUMNS) == set(panels)
    questions = []
    for panel in panels.values():
        several = len(panel["targets"]) > 1
        frames = [instant_frame(target, several=several) for target in panel["targets"]]
        questions.append({"ask": "transform", "frames": frames, "transformations": panel["transformations"]})
    for where, frames in zip(panels, grafana_answers(questions), strict=True):
        (columns,) = frames
        assert COLUMNS[where] == [name for name, _ in columns], where
        assert all(len(values) == 2 for _, values in columns), where
