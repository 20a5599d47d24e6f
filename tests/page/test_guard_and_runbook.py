"""Who is answered, and the runbook as a page."""

import re

import pytest

from burstwatch.page.guard import HEADERS, host_name, is_loopback, is_own_host
from burstwatch.page.runbook import read_runbook, runbook_page


@pytest.mark.parametrize(
    "header", ["127.0.0.1:8321", "localhost:8321", "LOCALHOST", "[::1]:8321", "127.0.0.2:80", "127.0.0.1"]
)
def test_loopback_answers_to_its_own_names(header):
    assert is_own_host(header, "127.0.0.1")


@pytest.mark.parametrize(
    "header",
    [
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        None,
        "[::2]",
        "192.168.1.4:8321",
        "[",
    ],
)
def test_loopback_does_not_answer_to_names_others_gave_it(header):
    assert not is_own_host(header, "127.0.0.1")


@pytest.mark.parametrize("name", ["watch.example", "Watch.Example", "page_1", "10.0.0.7", "2001:db8::1", "a" * 63])
def test_a_name_that_is_allowed_is_answered(name):
    header = f"[{name}]:8321" if ":" in name else f"{name}:8321"
    assert is_own_host(header, "0.0.0.0", (host_name(name),))


@pytest.mark.parametrize(
    "name",
    ["http://x", "x:8321", "", " x", "x y", "a..b", ".", "-x", "x/", "*", "[::1]", "a" * 64, "é.example", "a." * 130],
)
def test_what_no_request_could_name_is_no_host_name(name):
    with pytest.raises(ValueError, match="address"):
        host_name(name)


def test_beyond_loopback_any_name_may_be_its_own():
    assert is_own_host("burst.example:8321", "0.0.0.0")
    assert not is_loopback("0.0.0.0")
    assert is_own_host("Watch.example:8321", "0.0.0.0", ("watch.example",))
    assert is_own_host("127.0.0.1:8321", "0.0.0.0", ("watch.example",))  # its own health check
    assert not is_own_host("evil.example:8321", "0.0.0.0", ("watch.example",))
    assert not is_loopback("::")
    assert is_loopback("localhost")


def test_the_policy_allows_no_inline_script_and_nothing_from_elsewhere():
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*|data:", policy)


def test_every_alert_has_its_anchor():
    markdown = read_runbook()
    alerts = re.findall(r"^## (\w+)$", markdown, re.MULTILINE)
    assert len(alerts) > 5
    page = runbook_page(markdown)
    assert [name for name in alerts if f'<h2 id="{name.lower()}">{name}</h2>' not in page] == []
    assert [name for name in alerts if f'<li><a href="#{name.lower()}">{name}</a></li>' not in page] == []


def test_html_in_the_runbook_is_shown_and_not_obeyed():
    page = runbook_page(
        "## Odd `name` <b>\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))\n\n| a |\n|---|\n| b |\n"
    )
    body = page[page.index("<main>") :]
    assert "<script" not in body
    assert 'href="javascript' not in body
    assert "<table>" in body
    assert '<h2 id="odd-name' in body
