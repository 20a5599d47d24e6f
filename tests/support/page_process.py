"""`burstwatch page` as a process, and a real Chromium to look at it."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from kafka import KafkaConsumer, TopicPartition

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# No sandbox: tests may run as root. The rest keeps Chromium from calling home.
CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE = "axe-core@4.14.1"
BUILD = Path(__file__).parents[2] / "build"

# In the page: notes in ``window.seenAt`` when (ms) each episode came into the list.
SEEN_AT = """() => {
    window.seenAt = {};
    new MutationObserver(() => {
        const items = document.querySelectorAll("#episode-list li[data-id]");
        for (const item of items) window.seenAt[item.dataset.id] ??= Date.now();
    }).observe(document.querySelector("#episode-list"), { childList: true, subtree: true });
}"""


class PageProcess:
    """A page that serves. ``kill`` ends it at once, ``restart`` on the same port."""

    def __init__(self, kafka: str, port: int = 0) -> None:
        self.kafka = kafka
        command = [sys.executable, "-m", "burstwatch", "page", "--kafka", kafka, "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError(f"the page did not start: exit code {self.process.wait(10)}")
        self.url: str = json.loads(line)["url"]

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def restart(self) -> Self:
        return type(self)(self.kafka, int(self.url.rpartition(":")[2]))

    def _ended(self) -> int:
        code = self.process.wait(15)
        if self.process.stdout:
            self.process.stdout.close()
        return code


@contextmanager
def page_process(kafka: str) -> Iterator[PageProcess]:
    """Yield a page on a free port."""
    page = PageProcess(kafka)
    try:
        yield page
    finally:
        if page.process.poll() is None:
            page.stop()


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a running browser, or skip saying what is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        try:
            yield browser
        finally:
            browser.close()


def axe_source() -> str:
    """Return axe-core's JavaScript, fetched once with npm; skip where that is not possible."""
    folder = BUILD / AXE.replace("@", "-")
    script = folder / "package" / "axe.min.js"
    if not script.exists():
        if not shutil.which("npm"):
            pytest.skip("no npm on this machine to fetch axe-core with")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm could not fetch {AXE}: {done.stderr.strip()[-200:]}")
        subprocess.run(["tar", "xzf", done.stdout.strip().splitlines()[-1]], cwd=folder, check=True)
    return script.read_text()


def everything(kafka: str, topic: str) -> list[tuple[dict[str, Any], int]]:
    """Return (message, append time in ms) of all there is on ``topic``."""
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends, found = consumer.end_offsets(partitions), []
    while any(consumer.position(tp) < end for tp, end in ends.items()):
        found += [(json.loads(r.value), r.timestamp) for rs in consumer.poll(500).values() for r in rs]
    consumer.close()
    return found
