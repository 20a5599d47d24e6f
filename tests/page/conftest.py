"""A Kafka with the result topics, a page over it, and a browser that minds every complaint in its console."""

import json

import pytest

from collector.schema.topics import EPISODES, WINDOWS
from tests.support.broker import create_topic, embedded_broker
from tests.support.page_process import chromium, page_process
from tests.support.worker_process import produce


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


class Stage:
    """A broker and a page over it. ``put`` returns when Kafka has the messages."""

    def __init__(self, broker, page):
        self.broker, self.page = broker, page

    @property
    def kafka(self):
        return self.broker.bootstrap_servers

    def put(self, *messages):
        for topic in (WINDOWS, EPISODES):
            own = [m for m in messages if ("windows" in m) == (topic == WINDOWS)]
            if own:
                produce(self.kafka, [(m["service"].encode(), json.dumps(m).encode()) for m in own], topic)


@pytest.fixture
def stage(tmp_path):
    with embedded_broker(tmp_path / "broker") as broker:
        for topic in (WINDOWS, EPISODES):
            create_topic(broker.bootstrap_servers, partitions=2, name=topic)
        with page_process(broker.bootstrap_servers) as page:
            stage = Stage(broker, page)
            yield stage
            if stage.broker is not broker and stage.broker.process.poll() is None:
                stage.broker.stop()
            if stage.page is not page and stage.page.process.poll() is None:
                stage.page.stop()


@pytest.fixture
def look(browser, stage):
    """Return what opens the page as somebody sees it; after the test no console may have complained."""
    contexts, complaints, pardoned = [], [], []

    def open_page(path="/", *, width=1280, height=900, dark=False, zone="UTC", wait="#verdict"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", timezone_id=zone
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: message.type in {"error", "warning"} and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(stage.page.url + path)
        page.wait_for_selector(wait, state="visible")
        return page

    open_page.pardon = pardoned.append
    yield open_page
    for context in contexts:
        context.close()
    assert [c for c in complaints if not any(part in c for part in pardoned)] == []
