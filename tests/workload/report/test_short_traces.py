"""What a short trace cannot tell is not told as a number."""

from rich.console import Console

from tests.support.report_made import bare
from tests.support.report_pages import Page
from workload.analyse.analysis import Options, analyse
from workload.report.analysis_html import analysis_page
from workload.report.analysis_text import analysis_text


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
