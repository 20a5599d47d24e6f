import pytest

from tests.support.report_made import HOSTILE
from tests.support.report_pages import Page
from workload.report.page import Html, Section, element, listed, page, paragraph, text, tiles
from workload.report.tables import pairs, table


def test_every_way_into_a_page_escapes():
    body = [
        paragraph(HOSTILE), listed([HOSTILE]), tiles([(HOSTILE, HOSTILE, HOSTILE)]), pairs([(HOSTILE, HOSTILE)]),
        table([HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]], caption=HOSTILE), element("p", title=f'"{HOSTILE}'),
    ]  # fmt: skip
    made = Page(page(HOSTILE, [text(HOSTILE)], [Section("one", HOSTILE, body)], HOSTILE))
    made.assert_harmless()
    assert made.words.count(HOSTILE) == 18


def test_what_is_markup_already_stays_and_tables_align_numbers():
    assert text(Html("<b>1</b>")) == "<b>1</b>"
    made = table(["", "n"], [["a", Html("<b>1</b>")]])
    assert '<th scope="row">a</th><td class="n"><b>1</b></td>' in made


@pytest.mark.parametrize("wanted", ["prefers-color-scheme: dark", "@media print", "max-width: 720px", "device-width"])
def test_a_page_suits_the_dark_paper_and_phones(wanted):
    assert wanted in page("t", [], [], "f")
