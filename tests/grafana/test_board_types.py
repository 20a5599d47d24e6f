"""Grafana's published types know every key and value of every committed board."""

import copy
import re
import shutil

import pytest

from tests.grafana.board_types import typescript
from tests.grafana.node import BOARDS, INSTALL, needs_libraries, panels_of, read_board, run_program

pytestmark = [pytest.mark.grafana_js, needs_libraries]

ERROR = re.compile(r"^(\w[\w-]*)\.ts\(\d+,\d+\): (error .*)", re.MULTILINE)
STRICT = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext")


@pytest.fixture
def complaints():
    """What tsc says of boards, by name. They lie under the installed libraries, where tsc looks for types."""
    folder = INSTALL / "board-types"

    def check(boards: dict[str, dict]) -> dict[str, list[str]]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = []
        for name, board in boards.items():
            files.append(folder / f"{name}.ts")
            files[-1].write_text(typescript(board))
        answer = run_program("tsc", *STRICT, "--types", "", *map(str, files))
        found: dict[str, list[str]] = {}
        for line in answer.stdout.splitlines():
            if match := ERROR.match(line.rpartition("/")[2] if line.startswith(("/", "board-types")) else line):
                found.setdefault(match[1], []).append(match[2])
        assert (answer.returncode == 0) == (not found), answer.stdout + answer.stderr
        return found

    return check


def test_every_board_is_of_grafanas_types(complaints):
    assert BOARDS
    assert {} == complaints({path.stem: read_board(path) for path in BOARDS})


def first_panel(board, kind="timeseries"):
    return next(panel for panel in panels_of(board) if panel["type"] == kind)


def misspelt_unit(board):
    defaults = first_panel(board)["fieldConfig"]["defaults"]
    defaults["unitt"] = defaults.pop("unit")


def unknown_legend_mode(board):
    first_panel(board)["options"]["legend"]["displayMode"] = "tabel"


def unknown_option(board):
    first_panel(board)["options"]["legnd"] = {}


def unknown_line(board):
    first_panel(board)["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "lines"


def unknown_override(board):
    override = {"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "custom.fillOpacty", "value": 5}]}
    first_panel(board)["fieldConfig"]["overrides"].append(override)


def unknown_variable(board):
    board["templating"]["list"][0]["type"] = "datasrc"


def unknown_query_key(board):
    first_panel(board)["targets"][0]["legendFromat"] = "x"


def unknown_threshold_mode(board):
    first_panel(board)["fieldConfig"]["defaults"]["thresholds"]["mode"] = "absolut"


def text_for_a_threshold(board):
    first_panel(board)["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] = "0.95"


MISTAKES = (
    misspelt_unit, unknown_legend_mode, unknown_option, unknown_line, unknown_override, unknown_variable,
    unknown_query_key, unknown_threshold_mode, text_for_a_threshold,
)  # fmt: skip


def test_each_of_these_mistakes_is_caught(complaints):
    """All in one run of tsc, because starting it costs more than checking."""
    good = read_board(next(path for path in BOARDS if path.stem == "overview"))
    boards = {}
    for mistake in MISTAKES:
        boards[mistake.__name__] = board = copy.deepcopy(good)
        mistake(board)
    found = complaints(boards)
    assert {mistake.__name__ for mistake in MISTAKES} == set(found)
    assert all(len(lines) == 1 for lines in found.values()), found
