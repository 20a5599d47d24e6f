"""`burstwatch up` as somebody looks at it in a browser: what its page shows is what its topics say."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from collector.schema.topics import EPISODES, WINDOWS
from tests.support.kafka_clients import wait_for
from tests.support.page_process import SEEN_AT, everything

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def up(tmp_path):
    command = [sys.executable, "-m", "burstwatch", "up", "--duration", "75", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    facts = {}
    for line in process.stdout:
        if found := re.match(r"(page|metrics|kafka) +(\S+)", line):
            facts[found[1]] = found[2]
        if "waiting for the first events" in line:
            break
    process.facts = facts
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)


def page_pid(up):
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(up.pid)], capture_output=True, text=True, check=True
    )
    return next(int(line.split()[0]) for line in listed.stdout.splitlines() if " burstwatch page " in line)


def test_the_page_of_up_shows_what_its_topics_say_and_outlives_its_server(browser, up):
    assert next(iter(up.facts)) == "page"  # the first thing to open
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(up.facts["page"])
    page.evaluate(SEEN_AT)
    page.wait_for_selector("#table tr[data-service=demo]", timeout=60_000)
    os.kill(page_pid(up), signal.SIGKILL)
    page.wait_for_function("() => document.querySelector('#status-text').textContent.startsWith('Reconnecting')")
    page.wait_for_function(
        "() => document.querySelector('#status-text').textContent.startsWith('Live')", timeout=60_000
    )
    page.wait_for_selector(".pill.burst", timeout=90_000)  # the built-in workload's first comes after 45 s or so
    page.wait_for_selector(".pill.pressure", timeout=60_000)
    page.wait_for_function("() => /\\d %/.test(document.querySelector('.bar-box .value').textContent)")

    told = everything(up.facts["kafka"], EPISODES)
    appended = {f"demo burst {m['onset']}": at for m, at in told if m["kind"] == "burst" and m["state"] == "onset"}
    seen = page.evaluate("() => window.seenAt")
    took_s = {key: (seen[key] - at) / 1000 for key, at in appended.items() if key in seen}
    print(f"from append to the page: {took_s}")
    assert took_s
    assert max(took_s.values()) <= 3

    def same():
        with urllib.request.urlopen(up.facts["page"] + "/state.json") as answer:
            shown = json.load(answer)["services"]["demo"]["points"]
        rows = [m for m, _ in everything(up.facts["kafka"], WINDOWS) if m["model"] == "all"]
        wanted = [
            [
                m["end"],
                m["windows"]["10"]["rate"],
                m["windows"]["60"]["failure_ratio"],
                (m["memory"] or {}).get("kv_usage_peak"),
            ]
            for m in sorted(rows, key=lambda m: m["end"])
        ]
        return [[*point[:3], point[5]] for point in shown] == wanted and len(wanted) >= 5

    wait_for(same, "the page to hold what the topic says")
    assert errors == []
    context.close()
    up.send_signal(signal.SIGINT)
    out, _ = up.communicate(timeout=90)
    assert up.returncode == 0, out
    assert "page ended with code -9; starting it again" in out
