import json

import pytest
from rich.console import Console

from tests.support.report_made import HOSTILE, bare, trace
from tests.support.report_pages import Page
from workload.analyse.compare import compare
from workload.report.analysis_text import comparison_text
from workload.report.analyze_cli import main
from workload.report.differences import word
from workload.report.numbers import duration, number, percent
from workload.report.page import page as page_of
from workload.report.section_comparison import comparison_section
from workload.trace.write import write_trace


@pytest.fixture(scope="module")
def compared():
    return compare(trace(700), trace(500, seed=2, rate_per_s=3.0)).as_dict()


def _page(compared):
    return Page(page_of("x", [], [comparison_section(compared, "one.csv", HOSTILE)], "f"))


def _text(compared):
    console = Console(width=180, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(comparison_text(compared, "one.csv", HOSTILE))
    return console.export_text()


def _promised(compared):
    whole = compared["all"]
    yield from (number(whole["requests"][side]) for side in ("a", "b", "ratio"))
    for key, write in (("rate_per_s", number), ("cv", number), ("idc_10_s", number), ("failed_ratio", percent)):
        yield from (write(whole["numbers"][key]["a"]), write(whole["numbers"][key]["b"]))
    for key, write in (("gap_s", duration), ("request_tokens", number), ("response_tokens", number)):
        found = whole["differences"][key]
        yield from (number(found["ks"]), word(found["ks"]), write(found["mean_a"]), write(found["mean_b"]))
    yield from compared["notes"][0].split(". ")[:1]


def test_the_page_holds_numbers_distances_and_quantiles(compared):
    page = _page(compared)
    page.assert_harmless()
    assert [told for told in _promised(compared) if told[1:] not in page.words] == []
    quantiles = compared["all"]["differences"]["request_tokens"]["quantiles"]
    assert [value for value in quantiles["b"] if number(value) not in page.words] == []
    assert len(page.drawings) == 4
    assert compared["classes"]
    assert [of["name"] for of in compared["classes"] if of["name"] not in page.words] == []


def test_the_terminal_holds_them_too(compared):
    told = " ".join(_text(compared).split())
    assert [words for words in _promised(compared) if words not in told] == []


def test_what_only_one_trace_has_is_named_and_nothing_in_common_is_said():
    one = compare(trace(300), bare(0)).as_dict()
    page = _page(one)
    page.assert_harmless()
    assert "Only in A: " in page.words
    assert "no column in common" in page.words
    assert "no column in common" in _text(one).lower()


def test_the_command_compares(capsys, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_trace(bare(25), tmp_path / name / "t.csv")
    first, second = (str(tmp_path / name / "t.csv") for name in ("a", "b"))
    assert main([first, "--compare", second]) == 0
    told = capsys.readouterr().out
    assert "alike (KS 0)" in told
    assert main([first, "--compare", second, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["comparison"]["all"]["differences"]["gap_s"]["ks"] == 0
