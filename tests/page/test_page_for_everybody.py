"""The live page on a phone, by keyboard, in light and dark, and as a screen reader has it."""

import json

import pytest

from tests.support.page_messages import END, US, burst, failure, memory, pressure, row
from tests.support.page_process import axe_source

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LONG = "a-service-with-a-name-of-" + "x" * 103


@pytest.fixture
def busy(stage):
    """A page with everything on it: services, engines, open and past episodes, names as long as they may be."""
    names = ["chat", "code", LONG]
    rows = [
        row(n, END + t * 10 * US, seed=i + t, memory=memory(0.9, lower_s=7))
        for i, n in enumerate(names)
        for t in range(9)
    ]
    told = [burst("chat", END, END + 30 * US), burst("chat", END + 50 * US), failure(LONG, END + 60 * US)]
    stage.put(*rows, *told, pressure("code", END + 40 * US), row("quiet", END))
    return stage


def opened(look, **how):
    page = look(**how)
    page.wait_for_selector("#table tr[data-service=quiet]")
    page.wait_for_selector("#episode-list .pill.failure")
    return page


@pytest.mark.parametrize("width", [320, 360, 414, 768, 1280])
def test_the_page_never_scrolls_sideways(busy, look, width):
    page = opened(look, width=width, height=780)
    page.click("#numbers summary")
    page.wait_for_selector("#points tbody tr")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate("""() => [...document.querySelectorAll("main *, header *")].filter(node => {
        const box = node.getBoundingClientRect();
        return box.width && box.right > innerWidth + 1 && !node.closest(".scroll, .plot, .sr-only");
    }).map(node => node.outerHTML.slice(0, 80))""")
    assert beyond == []


def test_on_a_phone_every_number_of_a_service_is_in_sight(busy, look):
    page = opened(look, width=360, height=780)
    hidden = page.evaluate("""() => [...document.querySelectorAll("#table tr[data-service=chat] > *")].filter(cell => {
        const box = cell.getBoundingClientRect();
        return box.left < 0 || box.right > innerWidth || !box.width;
    }).length""")
    assert hidden == 0
    assert page.get_by_role("table").first.get_by_role("columnheader").count() == 10  # still a table to who hears it


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["/", "/runbook"])
def test_axe_finds_nothing_serious(busy, look, dark, width, path):
    page = opened(look, dark=dark, width=width) if path == "/" else look(path, dark=dark, width=width, wait="h1")
    if path == "/":
        page.click("#numbers summary")
        page.wait_for_selector("#points tbody tr")
    page.evaluate(axe_source())
    result = page.evaluate("() => axe.run(document)")
    assert len(result["passes"]) > 10
    found = [
        (v["id"], v["impact"], [node["html"][:120] for node in v["nodes"]])
        for v in result["violations"]
        if v["impact"] in {"serious", "critical"}
    ]
    assert not found, json.dumps(found, indent=1)


def test_everything_can_be_reached_and_used_by_keyboard(busy, look):
    page = opened(look)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        where = page.evaluate("() => document.activeElement.id || document.activeElement.className")
        if page.evaluate("() => document.activeElement === document.body"):  # beyond the last
            break
        reached.append(where)
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("() => document.activeElement.type === 'radio'"), where
    assert reached[0] == "skip"
    for wanted in ("zone", "theme", "service", "range", "charts", "pick"):
        assert wanted in reached
    page.focus("#charts")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('#cursor-words').textContent.includes('Request rate')")
    newest = page.text_content("#cursor-words")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("old => document.querySelector('#cursor-words').textContent !== old", arg=newest)
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelector('#cursor-words').textContent === ''")
    page.focus("#table tr[data-service=code] .pick")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#service').value === 'code'")
    page.focus("#windows input:checked")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('#windows input:checked').value === '10'")


def test_the_arrow_keys_read_one_services_values_at_each_moment(stage, look):
    stage.put(*(row("chat", END + i * 10 * US, seed=i, memory=memory(i / 10)) for i in range(5)))
    page = look()
    page.wait_for_selector("#table tr[data-service=chat]")
    page.focus("#charts")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.querySelector('#cursor-words').textContent.startsWith('22:13:20')")
    assert "Request rate 2.00 req/s" in page.text_content("#cursor-words")
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('#cursor-words').textContent.startsWith('22:14:00')")
    assert "Request rate 2.50 req/s" in page.text_content("#cursor-words")
    assert "KV cache in use 40.0 %" in page.text_content("#cursor-words")


def test_a_chosen_theme_holds_and_auto_follows_the_system(busy, look):
    page = opened(look, dark=True)
    back = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(back) == "rgb(15, 17, 22)"
    page.click("#theme")
    assert page.text_content("#theme") == "Theme: light"
    assert page.evaluate(back) == "rgb(247, 247, 245)"
    page.reload()
    page.wait_for_selector("#table tr[data-service=chat]")
    assert page.evaluate(back) == "rgb(247, 247, 245)"
    page.click("#theme")
    page.click("#theme")
    assert page.text_content("#theme") == "Theme: auto"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(back) == "rgb(247, 247, 245)"


def test_who_wants_no_motion_gets_none(busy, look):
    page = opened(look)
    moves = "() => getComputedStyle(document.querySelector('.fill')).transitionDuration"
    assert page.evaluate(moves) == "0.4s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moves) == "0s"


def test_the_runbook_opens_at_the_alert_a_link_names(stage, look):
    page = look("/runbook#burstwatchdeadletters", wait="h1")
    assert page.evaluate("() => document.querySelector(':target').textContent") == "BurstwatchDeadLetters"
