"""Every board drawn with Grafana's own components, in Chromium, over a real Prometheus: what a person would see."""

import functools
import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.grafana.node import BOARDS, ROOT, grafana_answers, needs_libraries, panels_of, read_board
from tests.grafana.pages import PICTURES, build_page, chromium, draw, served
from tests.grafana.prometheus_server import ask, backfill, backfill_rules, prometheus
from tests.grafana.questions import filled_in
from tests.grafana.samples import BURST, END, START, STEP, openmetrics

needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
needs_prometheus = pytest.mark.skipif(not shutil.which("promtool"), reason="prometheus and promtool are not installed")
pytestmark = [pytest.mark.grafana_js, needs_libraries, needs_chromium, needs_prometheus]

RULES = ROOT / "dashboards" / "generated" / "rules" / "burstwatch.yml"
NAMES = [path.stem for path in BOARDS]
# A line one pixel wide across a panel is some hundreds of points; grid and labels of an empty one are fewer.
LEAST_INK = 300
EMPTY_BY_NATURE = {
    "Alerts firing",  # when the story ends nothing fires, and no KV cache grows
    "Soonest KV exhaustion",
    "Requests told apart only as other",  # two models are within every budget
}


@dataclass(frozen=True)
class Screen:
    """A browser, the page it draws boards with, and the Prometheus behind it."""

    browser: BrowserContext
    page: str
    prometheus: str

    def draw(self, name: str, *, picture: str, theme: str = "dark", to: int = END) -> dict[int, dict]:
        """What was drawn, by panel id; the console has nothing to complain of."""
        span = {"from": START, "to": to, "scrape": STEP}
        path = PICTURES / f"{name}-{picture}.png"
        report, complaints = draw(self.browser, self.page, path, board=name, theme=theme, **span)
        assert [] == complaints
        return {one["id"]: one for one in report}

    @functools.cache  # noqa: B019 - lives as long as the suite
    def ask(self, expr: str, at: int) -> list[dict]:
        return ask(self.prometheus, expr, at)


@pytest.fixture(scope="module")
def browser():
    build_page()
    with chromium() as found:
        yield found


@contextmanager
def screen(browser, folder: Path, samples: str | None):
    if samples:
        backfill(folder, samples)
        backfill_rules(folder, RULES, start=START - 600, end=END)
    with prometheus(folder) as url, served(url) as page:
        yield Screen(browser, page, url)


@pytest.fixture(scope="module")
def busy(browser, tmp_path_factory):
    """A service with a burst in the middle."""
    with screen(browser, tmp_path_factory.mktemp("busy"), openmetrics()) as found:
        yield found


@pytest.fixture(scope="module", params=["idle", "nothing"])
def empty(request, browser, tmp_path_factory):
    """A worker that has not met a service yet, or a Prometheus that has not met a worker."""
    samples = openmetrics(idle=True) if request.param == "idle" else None
    with screen(browser, tmp_path_factory.mktemp(request.param), samples) as found:
        yield request.param, found


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def board_named(name: str) -> dict:
    return read_board(next(path for path in BOARDS if path.stem == name))


def answers(on: Screen, panel: dict, board: dict) -> bool:
    """Whether any query of the panel finds something now; for those with a time axis, at any time of the story."""
    whole = f"[{END - START}s:{STEP}s]"
    for target in panel.get("targets", []):
        expr = filled_in(target["expr"], board, END - START)
        if on.ask(expr if target["instant"] else f"last_over_time(({expr}){whole})", END):
            return True
    return False


def says_nothing(panel: dict, text: str) -> bool:
    words = panel["fieldConfig"]["defaults"].get("noValue")
    return "No data" in text or (words is not None and squeezed(words) in squeezed(text))


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("name", NAMES)
def test_a_board_shows_all_that_prometheus_has(name, theme, busy):
    board = board_named(name)
    drawn = busy.draw(name, picture=theme, theme=theme)
    assert {panel["id"] for panel in panels_of(board)} == {i for i, one in drawn.items() if one["type"] != "row"}
    for panel in panels_of(board):
        one = drawn[panel["id"]]
        where = f"{panel['title']}: {one}"
        found = answers(busy, panel, board)
        assert squeezed(panel["title"]) in squeezed(one["text"]), where
        assert [] == one["idleOverrides"], where
        assert found == bool(one["series"]), where
        assert found != says_nothing(panel, one["text"]), where
        if found and panel["type"] == "timeseries":
            assert one["ink"] > LEAST_INK, where
        if found and panel["type"] == "table":
            words = [word for shown in one["shown"] for word in (shown["name"], shown["text"])]
            assert not [word for word in words if squeezed(word) not in squeezed(one["text"])], where


def test_hardly_a_panel_is_left_without_data(busy):
    """The laws above are worth as much as there is to draw. What stays empty is named here, with its reason."""
    without = {
        panel["title"]
        for name in NAMES
        for panel in panels_of(board_named(name))
        if panel.get("targets") and not answers(busy, panel, board_named(name))
    }
    assert without == EMPTY_BY_NATURE


@pytest.mark.parametrize("name", NAMES)
def test_a_number_on_the_screen_is_prometheus_answer_as_grafana_formats_it(name, busy):
    """In the middle of the burst, where the numbers are worth reading."""
    now = BURST[1] - STEP
    board = board_named(name)
    drawn = busy.draw(name, picture="burst", to=now)
    panels = [panel for panel in panels_of(board) if panel["type"] in {"stat", "bargauge"}]
    questions = []
    for panel in panels:
        exprs = [filled_in(target["expr"], board, now - START) for target in panel["targets"]]
        found = [float(series["value"][1]) for expr in exprs for series in busy.ask(expr, now)]
        questions.append({"ask": "display", "config": panel["fieldConfig"]["defaults"], "values": found or [None]})
    for panel, expected in zip(panels, grafana_answers(questions), strict=True):
        texts = sorted(squeezed(number["text"]) for number in expected)
        shown = drawn[panel["id"]]
        assert texts == sorted(squeezed(number["text"]) for number in shown["shown"]), panel["title"]
        assert not [text for text in texts if text not in squeezed(shown["text"])], panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_a_board_without_data_says_so_and_makes_nothing_up(name, empty):
    kind, on = empty
    board = board_named(name)
    drawn = on.draw(name, picture=kind)
    for panel in panels_of(board):
        text = drawn[panel["id"]]["text"]
        assert not re.search(r"NaN|undefined|null|Infinity", text), panel["title"]
        if panel.get("targets") and not answers(on, panel, board):
            assert says_nothing(panel, text), panel["title"]
            assert not drawn[panel["id"]]["series"]


def test_a_query_prometheus_refuses_is_noticed(busy):
    """The judge itself: a board with a broken query must not pass for a quiet one."""
    board = read_board(BOARDS[0])
    panels_of(board)[0]["targets"][0]["expr"] = "rate(burstwatch_arrivals_total"
    asked = {"board": "broken", "theme": "dark", "from": START, "to": END, "scrape": STEP}
    with served(busy.prometheus, {"broken": json.dumps(board).encode()}) as page:
        _, complaints = draw(busy.browser, page, None, **asked)
    assert any("parse error" in line for line in complaints)
