import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.support.report_made import HOSTILE, HOSTILE_MATH
from workload.report.plot_specs import Axis, HeatMap, Plot, Series
from workload.report.plots import draw, draw_heat_map
from workload.report.thin import MOST_POINTS, summarised, thinned

WORDS = {"name": "rate", "title": f"Rate of {HOSTILE}", "description": "a & b"}


def _parsed(svg):
    return ET.fromstring(svg)  # noqa: S314 - our own drawing


def _texts(svg):
    return [text.strip() for element in _parsed(svg).iter() if (text := element.text or "").strip()]


@pytest.fixture(scope="module")
def svg():
    x = np.arange(50_000.0)
    series = [
        Series(x=x, y=np.sin(x), label=HOSTILE),
        Series(x=x, y=np.cos(x), label=HOSTILE_MATH, style="dots", colour="s1"),
        Series(x=x[:9], y=x[:9], upper=x[:9] + 1, style="band", colour="bad"),
    ]
    return draw(Plot(**WORDS, series=series, x=Axis(scale="time"), marks=[(0.5, "<mean>")]))


def test_labels_that_attack_are_words_in_the_drawing(svg):
    texts = _texts(svg)
    assert HOSTILE in texts
    assert "\u200b" + HOSTILE_MATH in texts
    assert "<mean>" in texts
    assert texts[:2] == [WORDS["title"], WORDS["description"]]
    assert "<script" not in svg


def test_a_drawing_fits_where_it_is_put_and_takes_the_pages_colours(svg):
    root = _parsed(svg)
    assert root.get("viewBox")
    assert root.get("width") is None
    assert root.get("role") == "img"
    drawn = re.sub(r">[^<]*<", "><", svg)
    assert "var(--s0, #1d4ed8)" in drawn
    assert set(re.findall(r"(?<!, )#[0-9a-f]{6}\b", drawn)) == set()


def test_a_line_has_no_more_points_than_can_be_seen(svg):
    longest = max(len(path.get("d").split()) // 3 for path in _parsed(svg).iter() if path.get("d"))
    assert 1000 < longest <= 2 * MOST_POINTS  # a dot is two commands: move there, and a line of no length
    assert len(svg) < 150_000


def test_the_same_data_give_the_same_bytes_and_other_names_other_ids():
    def made(name):
        return draw(Plot(name=name, title="t", description="d", series=[Series(x=[1, 2], y=[3, 4])], size="small"))

    assert made("a") == made("a")
    ids = [set(re.findall(r'id="([^"]+)"', made(name))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_gaps_in_the_data_are_gaps_in_the_line():
    svg = draw(Plot(name="g", title="t", description="d", series=[Series(x=[1, 2, 3, 4], y=[1, None, 2, 3])]))
    line = next(p.get("d") for p in _parsed(svg).iter() if "--s0" in (p.get("style") or ""))
    assert line.count("M") == 2


def test_a_heat_map_has_its_numbers_in_it_and_leaves_the_unknown_empty():
    plot = HeatMap(name="h", title="t", description="d", columns=["1", "4"], rows=["2/s", "8/s"],
                   values=[[1.0, 0.87], [0.993, None]], good_from=0.99)  # fmt: skip
    svg = draw_heat_map(plot)
    assert [text for text in _texts(svg) if "%" in text] == ["100 %", "87 %", "99.3 %"]
    assert [svg.count(f"fill: var(--{colour},") for colour in ("good", "bad")] == [2, 1]


def test_log_axes_of_less_than_a_decade_have_ticks():
    svg = draw(Plot(name="l", title="t", description="d", series=[Series(x=[1, 2, 3], y=[0.9, 1.4, 1.8])],
                    y=Axis(scale="log")))  # fmt: skip
    assert "1.5" in _texts(svg)


@pytest.mark.parametrize("y", [[0, 0, 0], [None, None, None], [-1, 0, None]])
def test_log_axes_without_a_point_on_them_are_drawn(y):
    plot = Plot(name="p", title="t", description="d", series=[Series(x=[1, 2, 5], y=y)],
                x=Axis(scale="log"), y=Axis(scale="log"))  # fmt: skip
    assert _parsed(draw(plot)).tag.endswith("svg")


def test_thinning_keeps_peaks_troughs_and_gaps():
    x = np.arange(100_000.0)
    y = np.zeros(100_000)
    y[12_345], y[77_777] = 9, -9
    y[50_000:51_000] = np.nan
    xs, ys = thinned(x, y)
    assert len(xs) <= MOST_POINTS
    assert (np.nanmax(ys), np.nanmin(ys)) == (9, -9)
    assert xs[np.nanargmax(ys)] == 12_345
    assert np.isnan(ys).any()
    assert all(a < b for a, b in pairwise(xs))
    assert next(v.tolist() for v in thinned([1, 2], [3, None])) == [1, 2]


def test_a_cloud_is_summarised_by_its_quantiles():
    middles, (low, middle) = summarised(np.arange(100.0), np.r_[np.zeros(50), np.full(49, 4.0), np.nan], (0.0, 0.5), 2)
    assert middles.tolist() == [24.5, 74.5]
    assert (low.tolist(), middle.tolist()) == ([0, 4], [0, 4])
