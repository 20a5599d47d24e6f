import pytest
from rich.console import Console

from tests.support.report_made import HOSTILE, result, run
from tests.support.report_pages import Page
from workload.report.bench_html import bench_page
from workload.report.bench_rows import by_rate
from workload.report.bench_text import bench_text
from workload.report.numbers import duration, number, percent


def _text(found, width=200):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(bench_text(found))
    return console.export_text()


def _promised(found):
    for one in found["runs"]:
        yield from (number(one[key]) for key in ("cv", "requests", "throughput_tokens_per_s", "goodput_per_s"))
        yield from (
            percent(one[key]) for key in ("slo_ok_ratio", "failed_ratio", "kv_usage_peak", "kv_time_full_ratio")
        )
        yield from (duration(one[key][q]) for key in ("ttft_s", "latency_s") for q in ("p50", "p99"))
        yield duration(one["tpot_s"]["p99"])
        yield from (number(one[key]) for key in ("preemptions", "waiting_peak"))
        yield from (number(count) for count in one["failures"].values())
    yield from found["verdict"]["sentences"]
    yield from found["assumptions"]


@pytest.fixture(scope="module")
def page():
    return Page(bench_page(result()))


def test_every_figure_of_every_run_is_on_the_page(page):
    assert [told for told in _promised(result()) if told not in page.words] == []
    assert [
        told for told in ("2.71", "2.93", "0.678", "1.83", "76,128", "2,600", "431") if told not in page.words
    ] == []


def test_every_figure_is_on_the_terminal_and_the_verdict_first():
    told = _text(result())
    assert [words for words in _promised(result()) if words not in told] == []
    assert told.startswith("At 4 requests/s it fails from CV 4.")


def test_a_narrow_terminal_cuts_no_figure():
    told = " ".join(_text(result(), 90).split())
    assert "…" not in told
    assert [words for words in _promised(result()) if words not in told] == []


def test_a_hostile_server_cannot_harm_the_page(page):
    page.assert_harmless()
    assert page.words.count(HOSTILE) >= 4


def test_there_is_a_drawing_for_each_question_and_each_run(page):
    titles = [drawing[0].text for drawing in page.drawings]
    assert len(titles) == len(page.drawings)
    for wanted in ("first token, p99", "Goodput", "Failures by reason", "KV usage over time", "by burstiness and rate"):
        assert [title for title in titles if wanted in title], wanted
    assert sum("KV usage over time" in title for title in titles) == 4


def test_one_rate_has_no_map_and_no_metrics_no_memory():
    found = result((4.0,))
    for one in found["runs"]:
        one |= {
            "kv_usage_peak": None,
            "kv_time_full_ratio": None,
            "preemptions": None,
            "waiting_peak": None,
            "series": {},
        }
        one |= {"ttft_s": None, "latency_s": {}, "tpot_s": None, "stall_s": None}
    page = Page(bench_page(found))
    page.assert_harmless()
    assert not [drawing for drawing in page.drawings if "by burstiness and rate" in drawing[0].text]
    assert "metrics were not scraped" in page.words
    assert "No response was timed." in page.words


@pytest.mark.parametrize("nothing", [{}, {"runs": [], "verdict": {"sentences": []}, "slo": None}])
def test_nothing_measured_is_said(nothing):
    page = Page(bench_page(nothing))
    page.assert_harmless()
    assert "No run was finished." in page.words
    assert "no run was finished" in _text(nothing)


def test_runs_are_grouped_by_the_rate_asked_and_ordered_by_burstiness():
    runs = [run(4.0, 8.0, 1.0), run(1.0, 8.0, 1.0), run(2.0, 4.0, 1.0)]
    groups = by_rate({"runs": runs})
    assert [(rate, [one["cv_target"] for one in of]) for rate, of in groups] == [(4.0, [2.0]), (8.0, [1.0, 4.0])]
