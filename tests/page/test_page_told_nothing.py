"""The live page where there is little, old or odd news: one point, a service gone silent, times of another year."""

import pytest

from tests.support.page_messages import END, US, burst, memory, row

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

DAY_US = 86_400 * US
# How many pixels of a chart have the colour of its line.
INKED = """([panel, color]) => {
    const canvas = document.querySelector(`[data-panel=${panel}] canvas`);
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const [r, g, b] = color;
    let found = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30) found += 1;
    }
    return found;
}"""
RATE_BLUE, KV_VIOLET = [0x1D, 0x4E, 0xD8], [0x7C, 0x3A, 0xED]


def text(page, selector):
    return page.text_content(selector)


def test_the_first_row_is_seen_in_the_chart_and_so_is_a_reading_between_two_gaps(stage, look):
    look.pardon("getImageData")  # Chromium's advice to whoever reads pixels often: this test
    stage.put(row("chat", END, memory=memory(0.5)))
    page = look()
    page.wait_for_selector("#table tr[data-service=chat]")
    page.wait_for_function(f"args => ({INKED})(args) > 5", arg=["rate", RATE_BLUE])
    assert page.evaluate(INKED, ["kv", KV_VIOLET]) > 5
    # A memory that has not been read since is not said as if it were of now.
    assert text(page, ".panel:has([data-panel=kv]) .reading") == "50.0 %"
    stage.put(row("chat", END + 10 * US), row("chat", END + 20 * US))
    page.wait_for_function("() => document.querySelector('#span').textContent.includes('22:13:40')")
    assert text(page, ".panel:has([data-panel=kv]) .reading") == "50.0 %  at 22:13:20"
    assert page.evaluate(INKED, ["kv", KV_VIOLET]) > 5


def test_who_is_silent_while_others_speak_is_not_said_to_be_calm_or_in_a_burst(stage, look):
    stage.put(row("gone", END), burst("gone", END), row("chat", END + 90 * US))
    page = look()
    page.wait_for_selector("#table tr[data-service=chat]")
    page.wait_for_selector("#table tr[data-service=gone] .pill.old")
    assert text(page, "#table tr[data-service=gone] .kinds") == "last: burst"
    assert text(page, "#table tr[data-service=gone] .sub") == "as of 22:13:20"
    assert text(page, "#table tr[data-service=chat] .kinds") == "calm"
    assert text(page, "#verdict") == "All calm"
    assert text(page, "#verdict-detail").startswith("2 services (1 silent), no burst")
    stage.put(row("gone", END + 10 * US))  # it is heard again, though its time is behind: a recording that plays
    page.wait_for_selector("#table tr[data-service=gone] .pill.burst")
    assert text(page, "#verdict") == "Burst"


def test_a_recording_dated_in_the_future_is_not_called_live(stage, look):
    future = 4_000_000_000 * US
    stage.put(row("chat", future))
    page = look()
    page.wait_for_selector("#table tr[data-service=chat]")
    page.wait_for_function(
        "() => document.querySelector('#status-text').textContent.startsWith('Replaying, at 2 Oct 2096')"
    )


def test_an_episode_of_another_year_does_not_move_the_axis_there(stage, look):
    stage.put(row("chat", END), burst("chat", END + 400 * DAY_US))
    page = look()
    page.wait_for_selector("#episode-list .pill.burst")
    page.wait_for_selector("#table tr[data-service=chat]")
    assert text(page, "#span").startswith("14 Nov 2023")


def test_a_tab_in_the_background_says_in_its_title_what_begins(stage, look):
    stage.put(row("chat", END))
    page = look()
    page.wait_for_selector("#table tr[data-service=chat]")
    # As a browser treats a tab that is not in sight.
    page.evaluate("() => { Object.defineProperty(document, 'hidden', { get: () => true }); }")
    page.evaluate("() => { window.requestAnimationFrame = () => 0; }")
    stage.put(burst("chat", END))
    page.wait_for_function("() => document.title === 'Burst – Burstwatch'")


def test_event_time_set_back_is_followed(stage, look):
    stage.put(row("chat", END + DAY_US), burst("chat", END + DAY_US))
    page = look()
    page.wait_for_selector("#table tr[data-service=chat]")
    stage.put(*(row("chat", END + i * 10 * US, seed=i) for i in range(5)))
    page.wait_for_function("() => document.querySelector('#table td.num').textContent === '3.38'")
    assert text(page, "#verdict") == "All calm"
    assert text(page, "#span").startswith("14 Nov 2023")
    assert text(page, "#episode-list") == "Nothing out of the ordinary yet"
