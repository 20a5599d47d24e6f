"""The live page in a real Chromium over a real broker: what it shows, how fast, and for whom."""

import pytest

from collector.schema.topics import EPISODES
from tests.support.page_messages import END, US, burst, failure, memory, pressure, row, window
from tests.support.page_process import SEEN_AT, everything

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CELLS = """name => [...document.querySelectorAll(`#table tr[data-service="${name}"] > *`)]
    .map(cell => [...cell.querySelectorAll("span, button")].map(part => part.textContent).filter(Boolean))"""
SHARE = "document.querySelector('.fill').offsetWidth / document.querySelector('.meter').offsetWidth"
MINUTE = window(
    0,
    rate=12.34, cv=1.853, gamma_shape=0.4149, gamma_shape_lower=0.3571, gamma_shape_upper=0.4834, dispersion_1s=123.4,
    failure_ratio=0.0461, failure_ratio_lower=0.0303, failure_ratio_upper=0.0698, concurrency=21.46,
    percentiles={"time_to_first_token_s": {"p95": 0.4343}, "request_duration_s": {"p95": 5.243}},
)  # fmt: skip
EMPTY = {"arrivals": 0, "covered_s": 10, "rate": 0.0, "completions": 0, "failures": 0, "percentiles": {}}


def ready(page, service="chat"):
    page.wait_for_selector(f'#table tr[data-service="{service}"]')
    return page


def text(page, selector):
    return page.text_content(selector)


def cells(page, service):
    return page.evaluate(CELLS, service)


def wait_text(page, selector, part):
    page.wait_for_function("([s, part]) => document.querySelector(s)?.textContent.includes(part)", arg=[selector, part])


def test_the_table_says_what_the_topic_says_in_every_window(stage, look):
    stage.put(row("chat", END, windows={"10": EMPTY, "60": MINUTE}), row("code", END, seed=32))
    page = ready(look(), "code")
    assert cells(page, "chat") == [
        ["chat"], ["calm"], ["12.3"], ["1.85"], ["0.41", "0.36 – 0.48"], ["123"], ["4.6 %", "3.0 – 7.0 %"],
        ["434 ms"], ["5.2 s"], ["21.5"],
    ]  # fmt: skip
    page.click("#windows label:has-text('10 s')")
    page.wait_for_function("() => document.querySelector('#table td.num').textContent === '0.00'")
    # Not enough data is a dash, and a rate of nothing is a number.
    assert cells(page, "chat") == [["chat"], ["calm"], ["0.00"], *[["–"]] * 7]
    assert cells(page, "code")[2:5] == [["6.00"], ["1.50"], ["0.75", "0.65 – 0.85"]]
    # A newer row replaces the numbers where they stand.
    stage.put(row("code", END + 10 * US, seed=24))
    wait_text(page, '#table tr[data-service="code"] td.num', "5.00")


def test_the_charts_say_the_newest_point_and_their_numbers_are_the_rows(stage, look):
    rows = [row("chat", END + i * 10 * US, seed=i, memory=memory(i / 20, waiting=i)) for i in range(20)]
    stage.put(*rows)
    page = ready(look())
    wait_text(page, ".panel:has([data-panel=rate]) .reading", "4.38 req/s")
    assert text(page, ".panel:has([data-panel=kv]) .reading") == "95.0 %"
    assert text(page, ".panel:has([data-panel=failures]) .reading") == "26.0 %  (13.0 – 31.0 %)"
    label = page.get_attribute("[data-panel=rate]", "aria-label")
    assert "now 4.38, lowest 2.00, highest 4.38" in label
    page.click("#numbers summary")
    page.wait_for_selector("#points tbody tr")
    shown = page.evaluate(
        "() => [...document.querySelectorAll('#points tbody tr')].map(tr => [...tr.children].map(c => c.textContent))"
    )
    assert shown[0] == ["22:16:30", "chat", "4.38", "95.0 %", "19", "26.0 %", "13.0 – 31.0 %"]
    assert len(shown) == 20
    assert [float(line[2]) for line in shown] == pytest.approx([2 + i / 8 for i in range(19, -1, -1)], abs=0.005)
    stage.put(row("chat", END + 200 * US, seed=40))  # and what comes is added to what was there
    wait_text(page, ".panel:has([data-panel=rate]) .reading", "7.00 req/s")
    page.wait_for_function("() => document.querySelectorAll('#points tbody tr').length === 21")


def test_a_recording_of_the_past_has_its_own_time_on_the_axis(stage, look):
    stage.put(row("chat", END), row("chat", END + 10 * US))
    page = ready(look(zone="Asia/Tokyo"))
    assert text(page, "#span").startswith("15 Nov 2023, 07:12:30 to 07:13:30")
    assert page.get_attribute("#span", "title") == "14 Nov 2023, 22:12:30 UTC to 14 Nov 2023, 22:13:30 UTC"
    assert text(page, "#status-text").startswith("Replaying, at 15 Nov 2023, 07:13:30")
    page.click("#zone")
    wait_text(page, "#span", "14 Nov 2023, 22:12:30 to 22:13:30 UTC")


def test_a_burst_on_the_topic_is_on_the_page_within_three_seconds(stage, look):
    stage.put(row("chat", END))
    page = ready(look())
    assert text(page, "#verdict") == "All calm"
    page.evaluate(SEEN_AT)
    for i in range(3):
        onset = END + (100 * i - 5) * US
        stage.put(burst("chat", onset))
        page.wait_for_selector(f'#episode-list li[data-id="chat burst {onset}"]', timeout=60_000)
        stage.put(burst("chat", onset, onset + 60 * US))
    seen = page.evaluate("() => window.seenAt")
    told = [(m, at) for m, at in everything(stage.kafka, EPISODES) if m["state"] == "onset"]
    took_s = [(seen[f"chat burst {m['onset']}"] - at) / 1000 for m, at in told]
    print(f"from append to the page: {took_s}")
    assert len(took_s) == 3
    assert max(took_s) <= 3


def test_an_episode_is_in_the_headline_the_table_the_list_and_said_aloud(stage, look):
    stage.put(row("chat", END, memory=memory(0.97, lower_s=4.2)))
    page = ready(look())
    stage.put(burst("chat", END - 5 * US), pressure("chat", END - 2 * US), failure("chat", END - US))
    wait_text(page, "#verdict", "Burst, memory pressure, failures")
    page.wait_for_selector(".pill.failure")
    assert text(page, "#verdict-detail") == (
        "chat since 22:13:15, 14 Nov 2023 · 150.0 req/s over 2.0 s, expected 2.0 · KV cache 97.0\u00a0%, peak of 10 s"
    )  # the failures are newer than the row
    assert cells(page, "chat")[1] == ["burst", "pressure", "failing"]
    assert "20 of 60 failed (33%), worst minute 40%, most overloaded, in a burst" in text(page, "#episode-list")
    assert "going on" in text(page, "#episode-list")
    wait_text(page, "#announce", "began in chat")
    assert page.title() == "Burst, memory pressure, failures – Burstwatch"
    stage.put(burst("chat", END - 5 * US, END), pressure("chat", END - 2 * US, END), failure("chat", END - US, END))
    wait_text(page, "#verdict", "All calm")
    assert "lasted 5.0 s" in text(page, "#episode-list")


def test_memory_says_how_full_and_when_it_will_be_and_nothing_where_nothing_is_known(stage, look):
    stage.put(row("chat", END))
    page = ready(look())
    assert text(page, "#engines") == "No engine readings"
    stage.put(row("chat", END + 10 * US, memory=memory(0.8125, waiting=7, lower_s=12.0)))
    wait_text(page, "#engines", "81.3 %")
    assert "12 running · 7 waiting" in text(page, "#engines")
    assert "full in 12 s – 48 s" in text(page, "#engines")
    assert page.get_attribute("[role=meter]", "aria-valuenow") == "81"
    page.wait_for_function(f"() => Math.abs({SHARE} - 0.8125) < 0.01")
    unknown = memory(0.5)
    unknown["engines"][0] |= {"kv_cache_usage_ratio": None, "running": None, "waiting": None}
    stage.put(row("chat", END + 20 * US, memory=unknown))
    wait_text(page, "#engines", "– running · – waiting")
    assert text(page, ".bar-box .value") == "–"
    assert text(page, ".bar-box .ahead") == "–"


def test_before_anything_is_seen_the_page_says_what_it_waits_for(look):
    page = look()
    wait_text(page, "#status-text", "no rows yet")
    assert page.is_visible("#empty")
    assert not page.is_visible("#story")
    assert text(page, "#verdict") == "Waiting for the first requests"


def test_a_server_that_dies_and_comes_back_is_followed_again(stage, look):
    look.pardon("Failed to load resource")
    look.pardon("ERR_")
    stage.put(row("chat", END))
    page = ready(look())
    stage.page.kill()
    wait_text(page, "#status-text", "Reconnecting since")
    assert text(page, "#verdict") == "Last known: all calm"
    assert cells(page, "chat")[:2] == [["chat", "as of 22:13:20"], ["last: calm"]]  # what was known stays
    stage.put(row("chat", END + 10 * US, seed=8), row("code", END + 10 * US))
    stage.page = stage.page.restart()
    ready(page, "code")
    wait_text(page, '#table tr[data-service="chat"] td.num', "3.88")
    wait_text(page, "#status-text", "Replaying")


def test_kafka_going_away_is_said_and_what_comes_after_is_shown(stage, look):
    stage.put(row("chat", END, memory=memory(0.8, lower_s=12.0)), burst("chat", END))
    page = ready(look())
    page.wait_for_selector("#table .pill.burst")
    assert "full in 12 s" in text(page, "#engines")
    stage.broker.kill()
    page.wait_for_selector("#banner", state="visible", timeout=40_000)
    assert f"Kafka at {stage.kafka} has not answered since" in text(page, "#banner")
    # Nothing that was true then is said, or coloured, as if it were true now.
    assert text(page, "#verdict") == "Last known: burst"
    assert cells(page, "chat")[:2] == [["chat", "as of 22:13:20"], ["last: burst"]]
    assert page.locator("#table .pill.old").count() == 1
    assert text(page, "#engines .ahead") == "as of 22:13:20"
    assert "end not told" in text(page, "#episode-list")
    stage.broker = stage.broker.restart()
    page.wait_for_selector("#banner", state="hidden", timeout=60_000)
    stage.put(row("code", END))
    ready(page, "code")
    page.wait_for_selector("#table tr[data-service=chat] .pill.burst")


def test_several_services_have_a_line_each_and_one_can_be_chosen(stage, look):
    names = [f"service-{i:02}" for i in range(10)]
    stage.put(*(row(name, END + t * 10 * US, seed=i) for i, name in enumerate(names) for t in range(3)))
    page = ready(look(), names[-1])
    legend = page.eval_on_selector_all("#legend li", "items => items.map(item => item.textContent)")
    assert legend == [*names[2:], "busiest 8 of 10"]
    stage.put(burst(names[0], END))  # what the headline speaks of is in the picture
    wait_text(page, "#legend", names[0])
    legend = page.eval_on_selector_all("#legend li", "items => items.map(item => item.textContent)")
    assert legend == [names[0], *names[3:], "in an episode or busiest: 8 of 10"]
    page.click(f'#table tr[data-service="{names[0]}"] .pick')
    page.wait_for_selector("#legend", state="hidden")
    assert page.input_value("#service") == names[0]
    wait_text(page, ".panel:has([data-panel=rate]) .reading", "2.00 req/s")
    page.select_option("#service", "")
    page.wait_for_selector("#legend", state="visible")


def test_names_from_the_network_are_text_and_nothing_else(stage, look):
    name = "<img/src=x/onerror=alert(1)>"
    hostile = failure(name, END)
    hostile["failures_by_reason"] = {"<script>alert(2)</script>": 3}
    engines = memory(0.5)
    engines["engines"][0] |= {"engine": "<b>e</b>", "node": '"><svg/onload=alert(3)>'}
    stage.put(row(name, END, memory=engines), row('"]<x', END), hostile, pressure(name, END, engine="<i>"))
    page = look()
    page.wait_for_selector(f"text={name}")
    page.click("#numbers summary")
    page.wait_for_selector("#points tbody tr")
    assert name in text(page, "#table")
    assert "<script>alert(2)</script>" in text(page, "#episode-list")
    assert page.locator("main img, main svg, main script, main b, main i").count() == 0
