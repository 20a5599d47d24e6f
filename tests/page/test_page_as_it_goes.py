"""The live page while something goes on: a burst from its first second to its ebb, and a service nobody asks."""

import pytest

from tests.support.page_messages import END, US, burst, failure, memory, pressure, row, window

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# What is written into the charts, the latest drawing of each panel.
WRITTEN = """() => {
    const write = CanvasRenderingContext2D.prototype.fillText;
    window.written = {};
    CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
        const panel = this.canvas.closest("[data-panel]").dataset.panel;
        (window.written[panel] ??= []).push(text);
        return write.call(this, text, ...where);
    };
}"""
LAST_BURST = "() => (window.written.rate ?? []).filter(text => text.startsWith('burst')).at(-1)"


def text(page, selector):
    return page.text_content(selector)


def wait_text(page, selector, part):
    page.wait_for_function("([s, part]) => document.querySelector(s)?.textContent.includes(part)", arg=[selector, part])


def rated(service, end, rate):
    """A row of a service with ``rate`` req/s in its last 10 s."""
    return row(service, end, windows={"10": window(0, rate=rate, arrivals=int(10 * rate)), "60": window(7)})


def opened(look, service="chat"):
    page = look()
    page.wait_for_selector(f"#table tr[data-service={service}]")
    return page


def test_a_bursts_rate_is_its_own_from_its_first_second_to_its_ebb(stage, look):
    stage.put(rated("chat", END, 1.5))
    page = opened(look)
    stage.put(burst("chat", END + US, arrivals=30))
    wait_text(page, "#verdict-detail", "· 15.0 req/s over 2.0 s, expected 2.0")  # not the 1.5 of before
    stage.put(rated("chat", END + 5 * US, 1.9))  # mostly of before: less than there is
    wait_text(page, "#span", "22:13:25")
    assert "· 15.0 req/s over 2.0 s, expected 2.0" in text(page, "#verdict-detail")
    stage.put(rated("chat", END + 10 * US, 13.0))
    wait_text(page, "#verdict-detail", "· 13.0 req/s, expected 2.0")
    stage.put(rated("chat", END + 20 * US, 1.8))
    wait_text(page, "#verdict-detail", "· 1.8 req/s, back near the expected 2.0")
    stage.put(rated("chat", END + 30 * US, 2.0))
    wait_text(page, "#verdict-detail", "· 2.0 req/s, back near the expected 2.0")


def test_pressure_and_failures_are_not_told_by_a_row_that_is_older(stage, look):
    stage.put(row("chat", END, memory=memory(0.6)))
    page = opened(look)
    stage.put(pressure("chat", END + US), failure("chat", END + 2 * US))
    wait_text(page, "#verdict", "Memory pressure, failures")
    assert text(page, "#verdict-detail") == "chat since 22:13:21, 14 Nov 2023 · KV cache 97.0\u00a0%"
    stage.put(row("chat", END + 10 * US, memory=memory(0.99)))
    wait_text(
        page, "#verdict-detail", "14 Nov 2023 · KV cache 99.0\u00a0%, peak of 10 s · 7.0\u00a0% failing over 1 min"
    )


def test_chart_and_list_say_the_same_of_how_great_a_burst_is(stage, look):
    look.pardon("getImageData")
    stage.put(rated("chat", END, 1.5))
    page = opened(look)
    page.evaluate(WRITTEN)
    stage.put(burst("chat", END, arrivals=30))
    page.wait_for_function(f"() => ({LAST_BURST})() === 'burst 7.5×'")
    assert text(page, "#episode-list .words") == "30 requests in 2 s against 2.0/s expected = 7.5x, z 9.0"
    stage.put(rated("chat", END + 10 * US, 12.0))  # less than in its first seconds
    wait_text(page, "#span", "22:13:30")
    page.wait_for_function("() => { window.written = {}; return true; }")
    page.wait_for_function(f"() => ({LAST_BURST})() === 'burst 7.5×'")
    assert "= 7.5x, z 9.0" in text(page, "#episode-list .words")
    stage.put(rated("chat", END + 20 * US, 18.0))  # it grows
    page.wait_for_function(f"() => ({LAST_BURST})() === 'burst 9.0×'")
    assert text(page, "#episode-list .words") == "18.0/s over 10 s against 2.0/s expected = 9.0x so far"
    stage.put(burst("chat", END, END + 30 * US, peak_rate=19.0))
    page.wait_for_function(f"() => ({LAST_BURST})() === 'burst 9.5×'")
    assert "19.0/s over 10 s against 2.0/s = 9.5x" in text(page, "#episode-list .words")


def test_a_service_nobody_asks_is_neither_calm_nor_anything_else(stage, look):
    stage.put(*(rated("chat", END + i * 10 * US, rate) for i, rate in enumerate([3.0, 0.0, 0.0])))
    page = opened(look)
    assert text(page, "#table tr[data-service=chat] .kinds") == "calm"  # 20 s of nothing happen
    assert text(page, "#verdict") == "All calm"
    stage.put(rated("chat", END + 30 * US, 0.0))
    wait_text(page, "#verdict", "No requests")
    assert text(page, "#verdict-detail") == "chat: no requests since 22:13, 14 Nov 2023"
    assert page.get_attribute("#verdict", "data-tone") == "idle"
    assert text(page, "#table tr[data-service=chat] .pill.idle") == "no requests since 22:13"
    stage.put(rated("code", END + 30 * US, 3.0))  # others are asked
    page.wait_for_selector("#table tr[data-service=code] .pill.calm")
    assert text(page, "#verdict") == "All calm"
    assert text(page, "#verdict-detail").startswith("2 services (1 without requests), no burst")
    stage.put(rated("chat", END + 40 * US, 0.1))
    page.wait_for_selector("#table tr[data-service=chat] .pill.calm")


def test_a_service_without_rows_for_a_while_is_not_said_to_have_had_no_requests_then(stage, look):
    stage.put(*(rated("chat", END + at * US, 0.0) for at in (0, 10, 60, 70)))
    page = opened(look)
    assert text(page, "#table tr[data-service=chat] .kinds") == "calm"
    stage.put(rated("chat", END + 80 * US, 0.0))
    wait_text(page, "#table tr[data-service=chat] .kinds", "no requests since 22:14")


def test_over_how_long_a_number_is_stands_beside_it(stage, look):
    stage.put(row("chat", END, memory=memory(0.5)))
    page = opened(look)
    notes = [text(page, f".panel:has([data-panel={panel}]) .panel-head .muted") for panel in ("rate", "kv", "failures")]
    assert notes == ["over 10 s", "fullest engine, peak of 10 s", "over 1 min, so it lags, with 95 % bounds"]
    assert text(page, "#memory-title") == "KV cache per engine newest reading, not the peak"


def test_episodes_are_listed_by_when_they_began_and_none_that_goes_on_is_left_out(stage, look):
    long = burst("code", END - 900 * US)
    short = [burst("chat", END + i * 60 * US, END + (60 * i + 50 - i) * US) for i in range(31)]
    stage.put(row("chat", END), row("code", END), long, *short)
    page = opened(look)
    page.wait_for_function("() => document.querySelectorAll('#episode-list li[data-id]').length === 31")
    shown = page.eval_on_selector_all("#episode-list li", "items => items.map(item => item.dataset.id)")
    assert shown == [*(f"chat burst {END + i * 60 * US}" for i in range(30, 0, -1)), f"code burst {END - 900 * US}"]
    assert text(page, "#episode-list li .when") == "began 22:43:20, lasted 20 s"
    assert text(page, "#episode-list li:last-child .when") == "began 21:58:20, going on"
