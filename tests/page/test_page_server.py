"""The page's HTTP: events with ids that can be resumed, readers that do not read, headers, foreign names."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from burstwatch.page.feed import SERVICES_MAX, Feed
from burstwatch.page.guard import HEADERS
from burstwatch.page.live import LiveFeed
from burstwatch.page.server import READERS_MAX, PageConfig, PageServer
from collector.schema.errors import OperatorError
from tests.support.page_messages import END, US, burst, row

PATHS = ["/", "/state.json", "/runbook", "/healthz", "/static/main.js", "/static/page.css", "/static/icon.svg"]


class Served:
    """A page server with a feed that has no Kafka behind it."""

    def __init__(self, live, server, session):
        self.live, self.server, self.session = live, server, session

    async def note(self, *messages):
        await asyncio.to_thread(self.live.take, list(messages))

    async def get(self, path, **headers):
        async with self.session.get(self.server.url + path, headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()

    @asynccontextmanager
    async def events(self, path="/events", **headers):
        async with self.session.get(self.server.url + path, headers=headers) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            yield events_of(answer.content)


async def events_of(content):
    """Yield (event, id, data) as a browser would see them."""
    fields = {}
    async for raw in content:
        line = raw.decode().rstrip("\n")
        if not line and "event" in fields:
            yield fields["event"], fields.get("id"), json.loads(fields["data"])
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            fields = {}


async def next_state(events):
    async for name, event_id, data in events:
        if name == "state":
            return event_id, data
    raise AssertionError("the stream ended")


def served(scenario, **config):
    async def run():
        live = LiveFeed(Feed(3600), "k1:9092", lambda: 1000.0)
        server = PageServer(PageConfig(port=0, **{"beat_s": 0.2, "gather_s": 0.01, **config}), live)
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                await scenario(Served(live, server, session))
        finally:
            await server.stop()
            await server.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_kafka_lost_and_back_is_a_line_each(caplog):
    async def scenario(page):
        for answers, caught_up in [(True, False), (True, True), *[(False, True)] * 3, (True, False), (True, True)]:
            page.live.kafka(answers, caught_up)
        await asyncio.sleep(0.05)

    caplog.set_level("INFO", logger="burstwatch.page.live")
    served(scenario)
    assert caplog.messages == [
        "Kafka at k1:9092 does not answer; trying again until it does",
        "Kafka at k1:9092 answers again",
    ]


def test_a_reader_gets_everything_at_first_and_then_what_changed():
    async def scenario(page):
        await page.note(row("chat", END), burst("chat", END))
        async with page.events() as events:
            _, first = await next_state(events)
            assert first["type"] == "snapshot"
            assert [e["kind"] for e in first["episodes"]] == ["burst"]
            await page.note(row("chat", END + 10 * US, seed=3))
            _, then = await next_state(events)
        assert then["type"] == "delta"
        assert [p[0] for p in then["services"]["chat"]["points"]] == [END + 10 * US]
        assert then["episodes"] == []

    served(scenario)


@pytest.mark.parametrize("how", ["header", "query"])
def test_who_comes_back_gets_what_was_missed_and_only_that(how):
    async def scenario(page):
        await page.note(row("chat", END), row("code", END))
        async with page.events() as events:
            event_id, _ = await next_state(events)
        await page.note(row("code", END + 10 * US), burst("code", END))
        again = {"Last-Event-ID": event_id} if how == "header" else {}
        async with page.events("/events" if again else f"/events?after={event_id}", **again) as events:
            _, missed = await next_state(events)
        assert missed["type"] == "delta"
        assert {name: [p[0] for p in s["points"]] for name, s in missed["services"].items()} == {
            "code": [END + 10 * US]
        }
        assert len(missed["episodes"]) == 1

    served(scenario)


@pytest.mark.parametrize("said", ["0000beef-1", "nonsense", "-", "{boot}-999999", "{boot}--1", "{boot}-²"])
def test_who_knows_another_servers_events_or_none_gets_everything(said):
    async def scenario(page):
        await page.note(row("chat", END))
        async with page.events(
            **{"Last-Event-ID": said.format(boot=page.live.boot).encode().decode("latin-1")}
        ) as events:
            _, first = await next_state(events)
        assert first["type"] == "snapshot"

    served(scenario)


def test_kafka_away_is_told_at_once_and_a_quiet_stream_beats():
    async def scenario(page):
        async with page.events() as events:
            told = []
            page.live.kafka(True, True)
            async for name, _, data in events:
                if name == "beat":
                    told.append(data["kafka"])
                if told.count("live") == 3:  # nothing changed in between: these are beats
                    page.live.kafka(False, True)
                if "away" in told:
                    break
        assert data["address"] == "k1:9092"
        assert json.loads((await page.get("/healthz"))[2])["kafka"] == "away"

    served(scenario)


def test_state_json_says_what_the_events_say():
    async def scenario(page):
        await page.note(row("chat", END, seed=5), burst("chat", END))
        async with page.events() as events:
            _, first = await next_state(events)
        whole = json.loads((await page.get("/state.json"))[2])
        assert whole.pop("status")["kafka"] == "connecting"
        assert whole == first

    served(scenario)


def test_a_reader_that_does_not_read_is_dropped_and_harms_nobody():
    async def scenario(page):
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = page.server.url.removeprefix("http://").split(":")
        await asyncio.to_thread(stuck.connect, (host, int(port)))
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with page.events() as events:
            await next_state(events)
            while page.server.readers < 2:
                await asyncio.sleep(0.01)
            step = 0
            while page.server.readers == 2:
                step += 1
                await page.note(*(row(f"s{i}", END + step * 10 * US, seed=step) for i in range(SERVICES_MAX)))
                _, news = await next_state(events)
                assert news["services"]["s0"]["now"]["end"] >= END + 10 * US
            assert page.server.readers == 1
            assert step > 1
        stuck.close()

    served(scenario, slow_s=0.5)


def test_more_readers_than_it_holds_are_sent_away():
    async def scenario(page):
        page.server.readers = READERS_MAX
        status, headers, _ = await page.get("/events")
        assert status == 503
        assert headers["Retry-After"]

    served(scenario)


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_guards_and_nobody_else_may_read_it(path):
    async def scenario(page):
        status, headers, body = await page.get(path, Origin="http://evil.example")
        assert status == 200
        assert body
        assert {name: headers.get(name) for name in HEADERS} == HEADERS
        assert not [name for name in headers if name.lower().startswith("access-control")]

    served(scenario)


@pytest.mark.parametrize("path", [*PATHS, "/events", "/nothing"])
def test_a_name_somebody_else_gave_it_is_not_answered(path):
    async def scenario(page):
        status, headers, body = await page.get(path, Host="evil.example:8321")
        assert status == 421
        assert b"chat" not in body
        assert headers["X-Content-Type-Options"] == "nosniff"

    served(scenario)


def test_beyond_loopback_it_answers_to_the_names_it_was_given():
    async def scenario(page):
        assert (await page.get("/state.json", Host="watch.example"))[0] == 200
        assert (await page.get("/state.json", Host="evil.example"))[0] == 421

    served(scenario, host="0.0.0.0", names=("watch.example",))


@pytest.mark.parametrize(
    "path",
    [
        "/static/../cli.py",
        "/static/%2e%2e/cli.py",
        "/static/vendor/VENDORED.md",
        "/static/index.html",
        "/x",
        "/static/",
    ],
)
def test_only_the_pages_own_files_are_served(path):
    async def scenario(page):
        status, headers, _ = await page.get(path)
        assert status == 404
        assert headers["X-Content-Type-Options"] == "nosniff"

    served(scenario)


def test_nothing_but_reading_is_possible():
    async def scenario(page):
        for path in PATHS:
            async with page.session.post(page.server.url + path, data=b"x") as answer:
                assert answer.status == 405

    served(scenario)


def test_a_taken_port_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        async def run():
            live = LiveFeed(Feed(3600), "k", lambda: 0.0)
            await PageServer(PageConfig(port=taken.getsockname()[1]), live).start()

        with pytest.raises(OperatorError, match="choose another --port"):
            asyncio.run(run())


def test_stopping_ends_the_streams():
    async def scenario(page):
        async with page.events() as events:
            await next_state(events)
            await page.server.stop()
            with suppress(aiohttp.ClientPayloadError):
                async for _ in events:
                    pass

    served(scenario, beat_s=30.0)


def test_every_file_of_the_page_is_served():
    from importlib.resources import files

    from burstwatch.page.server import _FILES

    static = files("burstwatch.page") / "static"
    there = {p.name for p in static.iterdir() if p.is_file()} | {
        f"vendor/{p.name}" for p in (static / "vendor").iterdir()
    }
    assert there - set(_FILES) == {"index.html", "vendor/VENDORED.md"}


def test_dark_by_choice_and_dark_by_the_system_are_the_same_colours():
    import re
    from importlib.resources import files

    css = (files("burstwatch.page") / "static" / "page.css").read_text()
    chosen, system = (
        re.findall(r"[\w-]+: [^;]+;", css[css.index(start) :].partition("}")[0])
        for start in (':root[data-theme="dark"] {', ':root:not([data-theme="light"]) {')
    )
    assert len(chosen) > 30
    assert chosen == system


def test_what_is_vendored_is_what_was_published():
    import hashlib
    import re
    from importlib.resources import files

    vendor = files("burstwatch.page") / "static" / "vendor"
    stated = dict(
        reversed(line.split())
        for line in re.findall(r"^ {4}(\S+ +\S+)$", (vendor / "VENDORED.md").read_text(), re.MULTILINE)
    )
    assert len(stated) == 3
    assert {name: hashlib.sha256((vendor / name).read_bytes()).hexdigest() for name in stated} == stated
