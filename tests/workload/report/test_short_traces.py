"""What a short or coarse trace cannot tell is not told as a number."""

import json

import numpy as np
import pytest
from rich.console import Console

from tests.support.report_made import bare, trace
from tests.support.report_pages import Page
from workload.analyse.analysis import Options, analyse
from workload.analyse.compare import compare
from workload.report.analysis_html import analysis_page
from workload.report.analysis_text import analysis_text
from workload.report.analyze_cli import main
from workload.report.differences import number_rows, summary
from workload.trace.columns import OutcomeCode, Trace
from workload.trace.write import write_trace


def _told(facts):
    console = Console(width=160, record=True, file=open("/dev/null", "w"), highlight=False)  # noqa: PTH123, SIM115
    console.print(analysis_text(facts, name="t.csv"))
    return console.export_text(), Page(analysis_page(facts, name="t.csv")).words


def test_bursts_are_not_said_to_be_absent_where_none_was_looked_for():
    short = analyse(bare(100), Options(classes_max=0)).as_dict()
    assert short["file"]["span_s"] < short["bursts"]["warmup_s"] == 300
    assert short["bursts"]["n"] is short["bursts"]["per_day"] is short["bursts"]["time_ratio"] is None
    for told in _told(short):
        assert "Bursts were not looked for: the trace is no longer than the 5 min in which the detector learns" in told
        assert "No burst was found" not in told
        assert "0 a day" not in told


def test_what_was_not_searched_of_a_longer_trace_is_told():
    longer = analyse(bare(400), Options(classes_max=0)).as_dict()
    assert longer["bursts"]["n"] == 0
    for told in _told(longer):
        assert "No burst was found. The first 5 min, in which the detector learns, were not searched." in told


@pytest.mark.parametrize("resolution_us", [1, 1_000_000])
def test_a_window_that_the_trace_does_not_fill_has_the_rate_of_what_it_fills(resolution_us):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(1e6 / 1.5, 60)).astype(np.int64) // resolution_us * resolution_us
    failed = np.where(rng.random(60) < 0.3, OutcomeCode.FAILED, OutcomeCode.OK).astype(np.int8)
    trace = Trace.build(times, outcome=failed, resolution_us=resolution_us)
    facts = analyse(trace, Options(classes_max=0)).as_dict()
    found, mean = facts["burstiness"], facts["rate"]["mean_per_s"]
    assert mean == pytest.approx(59e6 / (times[-1] - times[0])) == pytest.approx(found["overall"]["rate_per_s"])
    assert found["windows"]["covered_s"] == [pytest.approx(facts["file"]["span_s"])]
    assert found["windows"]["rate_per_s"] == [pytest.approx(mean)]
    assert found["quantiles"]["beta"]["p50"] == pytest.approx(found["quantiles"]["alpha"]["p50"] * mean)
    assert facts["failures"]["by_load"]["from_per_s"] == [pytest.approx(mean)]


def test_windows_at_the_ends_have_the_rate_of_steady_traffic():
    facts = analyse(Trace.build(np.arange(700, 3100, 2) * 1_000_000), Options(classes_max=0)).as_dict()
    windows = facts["burstiness"]["windows"]
    assert windows["covered_s"] == [500, 1200, 698]
    assert windows["rate_per_s"] == pytest.approx([0.5, 0.5, 0.5], rel=0.01)


def test_no_dispersion_is_told_of_a_few_bins():
    rng = np.random.default_rng(2)
    facts = analyse(Trace.build(np.sort(rng.integers(0, 290_000_000, 500))), Options(classes_max=0)).as_dict()
    overall = facts["burstiness"]["overall"]
    assert overall["idc"]["60"] is overall["allan"]["60"] is overall["idc"]["10"] is None
    assert overall["idc"]["1"] is not None
    assert all(bins >= 30 for bins in facts["dispersion"]["scales"]["bins"])
    assert "Counts per 60 s" not in _told(facts)[0]


def test_whole_seconds_of_dense_traffic_are_not_judged_by_the_cv_of_their_gaps():
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.gamma(0.45, 1e6 / 6 / 0.45, 9000)).astype(np.int64)
    fine, cut = (Trace.build(times // step * step, resolution_us=step) for step in (1, 1_000_000))
    facts = analyse(cut, Options(classes_max=0)).as_dict()
    for told in _told(facts):
        assert "the CV of the gaps (median" in told
        assert "from counts, not comparable with an α or a CV of gaps" in told
        assert "More regular than Poisson" not in told
    text, page = _told(facts)
    assert "CV of gaps cut to whole seconds, which means little" in text
    assert "of cut gaps: means little" in page
    assert "means little" not in _told(analyse(fine, Options(classes_max=0)).as_dict())[0]
    compared = compare(fine, cut).as_dict()["all"]
    assert "CV" not in summary(compared), "two clocks are no difference of the traffic"
    rows = number_rows(compared)
    assert ["α of all gaps", "by ye_chen", "by dispersion", "not comparable: other methods"] in rows


def test_the_windows_that_were_fitted_are_counted_and_so_are_the_others():
    times = np.concatenate([np.cumsum(np.random.default_rng(4).exponential(7, 120)), [5000.0, 9000.0]]) * 1e6
    facts = analyse(Trace.build(times.astype(np.int64)), Options(classes_max=0)).as_dict()
    found = facts["burstiness"]
    assert (found["fitted"], len(found["windows"]["n"])) == (1, 3)
    for told in _told(facts):
        assert "1 of 1 window (2 others have too few gaps" in told
        assert "1 windows" not in told


def test_a_comparison_names_its_greatest_difference_first():
    one = trace(2000)
    fast = Trace.build(one.submitted_us // 7, request_tokens=one.request_tokens, response_tokens=one.response_tokens)
    told = summary(compare(one, fast).as_dict()["all"])
    assert told.startswith("The greatest difference is the ")
    assert "The greatest" not in summary(compare(one, one).as_dict()["all"])


def test_a_shorter_warm_up_searches_a_short_trace(tmp_path, capsys):
    write_trace(bare(100), tmp_path / "t.csv")
    assert main([str(tmp_path / "t.csv"), "--burst-warmup-s", "30", "--json"]) == 0
    bursts = json.loads(capsys.readouterr().out)["bursts"]
    assert (bursts["warmup_s"], bursts["n"], bursts["per_day"]) == (30, 0, 0)
    assert main([str(tmp_path / "t.csv"), "--burst-warmup-s", "30"]) == 0
    assert "No burst was found. The first 30 s" in capsys.readouterr().out
