from dataclasses import replace

import numpy as np
import pytest

from tests.support.report_made import HOSTILE, HOSTILE_MATH, bare, trace
from tests.support.report_pages import Page
from workload.analyse.analysis import Options, analyse
from workload.report.analysis_html import analysis_page
from workload.report.analysis_parts import Clock
from workload.report.numbers import duration, known, number, percent
from workload.report.page import page as page_of
from workload.report.section_classes import class_sections

SECTIONS = ("rate", "burstiness", "dispersion", "bursts", "lengths", "relation", "sessions", "failures", "latency")


def _made(requests, **options):
    facts = analyse(requests, Options(window_s=300, **options)).as_dict()
    return facts, Page(analysis_page(facts, name=f"{HOSTILE}.csv"))


@pytest.fixture(scope="module")
def made():
    return _made(trace())


def _promised(facts):
    """Every number that the page promises, as it is written there."""
    rate, windows, overall = facts["rate"], facts["burstiness"]["quantiles"], facts["burstiness"]["overall"]
    yield from (number(facts["file"]["rows"]), duration(facts["file"]["span_s"]))
    yield from (number(rate[key]) for key in ("mean_per_s", "peak_minute_per_s"))
    yield from (number(windows[key][q]) for key in ("rate_per_s", "cv", "alpha", "beta") for q in ("p10", "p50", "p90"))
    yield from (number(overall[key]) for key in ("gaps", "cv", "alpha", "alpha_lower", "alpha_upper", "beta", "misfit"))
    yield from (percent(share) for share in facts["burstiness"]["wins"].values())
    yield from (number(ks) for ks in facts["burstiness"]["ks_mean"].values())
    yield from (number(idc) for idc in facts["dispersion"]["scales"]["idc"])
    yield from (number(allan) for allan in facts["dispersion"]["scales"]["allan"])
    for side in ("request", "response"):
        of = facts["lengths"][side]
        yield from (number(of[key]) for key in ("n", "mean", "max"))
        yield from (number(value) for name, value in of["quantiles"].items())
        yield from (number(of["zipf"][key]) for key in ("theta", "ks"))
        yield from (number(of["lognormal"][key]) for key in ("mu", "sigma", "ks"))
    yield from (number(value) for key in ("median", "mean", "q05", "q95") for value in facts["relation"]["bins"][key])
    yield from (number(facts["relation"][key]) for key in ("pearson", "spearman"))
    sessions = facts["sessions"]
    yield from (percent(sessions[key]) for key in ("single_ratio", "later_turn_ratio", "shrinks_ratio"))
    yield from (number(p) for p in sessions["turns_pmf"][:4])
    yield from (duration(sessions[key]["mean"]) for key in ("gap_s", "think_s", "duration_s"))
    failures = facts["failures"]
    yield from (percent(failures[key]) for key in ("ratio", "lower", "upper"))
    yield from (number(failures[key]) for key in ("failed", "n", "rate_correlation", "cv_correlation"))
    for group in ("by_model", "by_load", "by_burstiness"):
        yield from (percent(value) for value in failures[group]["ratio"])
    yield from (number(count) for count in failures["by_reason"]["failed"])
    yield from (duration(facts["latency"]["elapsed_s"]["quantiles"][q]) for q in ("p50", "p90", "p99"))
    for of in facts["classes"]:
        yield of["name"]
        yield from (number(of["lengths"]["request"]["mean"]), number(of["burstiness"]["overall"]["cv"]))


def test_every_number_it_promises_is_on_the_page(made):
    facts, page = made
    promised = list(_promised(facts))
    assert len(promised) > 150
    assert [told for told in promised if told not in page.words] == []


def test_every_section_teaches_and_says_its_method(made):
    facts, page = made
    assert [name for name in SECTIONS if not page.ids[name]] == []
    assert page.words.count("How to read it.") == len(SECTIONS) - (facts["bursts"]["n"] == 0)
    assert page.words.count("Method.") == len(SECTIONS)


def test_published_figures_stand_beside_with_their_source(made):
    _, page = made
    assert page.words.count("BurstGPT_3.csv as released") >= 6
    for told in ("72.5 %", "29.7 %", "125,591", "0.355, 0.204", "35.5 %", "436", "7.56 %", "0.438", "34.8"):
        assert told in page.words, told


def test_names_that_attack_are_words_and_nothing_is_fetched(made):
    _, page = made
    page.assert_harmless()
    assert page.words.count(HOSTILE) > 5
    assert HOSTILE_MATH in page.words


def test_drawings_are_whole_told_and_the_page_is_light(made):
    _, page = made
    assert len(page.drawings) >= 14
    for drawing in page.drawings:
        title, description = drawing[0], drawing[1]
        assert (title.tag.endswith("title"), description.tag.endswith("desc")) == (True, True)
        assert title.text
        assert description.text
    assert len(page.html) < 600_000


def test_a_class_has_its_own_section_where_asked():
    facts = analyse(trace(300), Options(window_s=300, classes_max=1)).as_dict()
    page = Page(page_of("x", [], class_sections(facts, Clock.of(facts)), "f"))
    page.assert_harmless()
    assert [f"class-{place}" in page.ids for place in range(2)] == [True, False]
    assert f"Class: {facts['classes'][0]['name']}" in page.words
    assert number(facts["classes"][0]["n"]) + " requests" in page.words
    alone = analyse(bare(5), Options()).as_dict()
    assert "all its requests are one class" in class_sections(alone, Clock.of(alone))[0].body[0]


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        (bare(0), ["The trace has no requests.", "Too short a trace", "Too few requests with both lengths known"]),
        (bare(1), ["Fewer than two requests", "Bursts were not looked for", "None of 1 request is marked as failed"]),
        (bare(40, gap_us=0), ["all at once: no rate"]),
        (bare(100, gap_us=1_000_000), ["Dispersion by scale", "CV of the gaps: not known of any window."]),
        (
            bare(25),
            [
                "has 30 gaps or more",
                "The trace tells no token counts.",
                "No row names a session",
                "None of 25 requests is marked as failed. With 95 % confidence fewer than",
                "The trace tells no response times.",
            ],
        ),
    ],
)
def test_what_a_trace_does_not_tell_is_said_and_why(requests, told):
    facts, page = _made(requests)
    page.assert_harmless()
    assert [words for words in told if words not in page.words] == []


def test_a_trace_with_dates_has_dates_on_its_axis():
    at_us = np.int64(1_700_000_000_000_000)
    requests = bare(25, gap_us=60_000_000)
    facts, page = _made(replace(requests, submitted_us=requests.submitted_us + at_us, absolute=True))
    assert "From 2023-11-14 22:13:20 to 2023-11-14 22:37:20 UTC" in page.words
    assert "2023-Nov-14" in page.words
    assert known(facts["rate"]["mean_per_s"])
