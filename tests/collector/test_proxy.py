"""The proxy between a real client and a real server in one loop: every byte passes, every request is told."""

import asyncio
import json
import logging
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from collector.clock import Clock
from collector.config import ProxyConfig
from collector.schema.events import Arrival, Completion
from collector.sources.proxy import ProxySource
from collector.sources.session_tag import load_key, session_tag

CANARY = "the-secret-canary"
KEY = b"k" * 32
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
STREAM = [
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
    'data: {"choices":[{"delta":{"content":"the-secret-canary é"}}]}\n\n'.encode(),
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n",
    b"data: [DONE]\n\n",
]


class Upstream:
    """An OpenAI-compatible server that does what the request's model says, and remembers what it saw."""

    def __init__(self):
        self.seen = []
        self.closed = asyncio.Event()

    async def handle(self, request):
        body = b"".join([chunk async for chunk in request.content.iter_any()])
        self.seen.append((request.method, request.raw_path, request.headers.copy(), body))
        if request.path != "/v1/chat/completions":
            response = web.Response(
                body=b"\x00\x01raw", headers={"X-Made-By": "engine", "Connection": "x-hop", "x-hop": "1"}
            )
            response.headers.add("Set-Cookie", "a=1")
            response.headers.add("Set-Cookie", "b=2")
            return response
        behaviour = getattr(self, json.loads(body)["model"].replace("-", "_"))
        return await behaviour(request)

    async def plain(self, _request):
        message = {"role": "assistant", "content": CANARY}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": USAGE})

    async def limited(self, _request):
        return web.json_response({"error": {"message": CANARY, "type": "rate_limit_error"}}, status=429)

    async def streaming(self, request):
        return await self.stream(request, STREAM)

    async def broken(self, request):
        return await self.stream(request, [STREAM[0], b'data: {"error":{"message":"boom","code":500}}\n\n', STREAM[-1]])

    async def dying(self, request):
        response = await self.begin(request)
        await response.write(STREAM[1])
        request.transport.close()
        return response

    async def endless(self, request):
        response = await self.begin(request)
        try:
            while True:
                await response.write(STREAM[1])
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.CancelledError):
            self.closed.set()
            raise

    async def silent(self, _request):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.closed.set()
            raise

    async def begin(self, request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        return response

    async def stream(self, request, chunks):
        response = await self.begin(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.002)
        return response


@asynccontextmanager
async def proxied(*, reachable=True):
    upstream, events = Upstream(), []
    server = web.ServerRunner(web.Server(upstream.handle, handler_cancellation=True))
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    port = server.addresses[0][1]
    if not reachable:
        await server.cleanup()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    config = ProxyConfig(
        name="p", service="chat", host="-", port=0, upstream=f"http://127.0.0.1:{port}", session_header="x-session-id"
    )
    source = ProxySource(
        config, clock=Clock(), ids="boot-0", node="n1", tag=lambda session: session_tag(KEY, session), listener=listener
    )
    ready = asyncio.Event()
    task = asyncio.create_task(source.run(events.append, ready.set))
    await ready.wait()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            yield client, url, upstream, events, source
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()
        if reachable:
            await server.cleanup()


def chat(model, **fields):
    return {"model": model, "messages": [{"role": "user", "content": CANARY}], **fields}


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


def test_a_plain_answer_passes_unchanged_and_is_told():
    async def scenario():
        async with proxied() as (client, url, upstream, events, _):
            sent = json.dumps(chat("plain")).encode()
            headers = {"x-session-id": "alice", "Authorization": "Bearer sk-1", "Content-Type": "application/json"}
            target = URL(f"{url}/v1/chat/completions?a=%2Fb", encoded=True)
            async with client.post(target, data=sent, headers=headers) as response:
                body = await response.read()
                assert response.status == 200
            assert json.loads(body)["usage"] == USAGE
            [(method, path, seen, received)] = upstream.seen
            assert (method, path, received) == ("POST", "/v1/chat/completions?a=%2Fb", sent)
            assert (seen["Authorization"], seen["x-session-id"]) == ("Bearer sk-1", "alice")
            arrival, done = events
            tag = session_tag(KEY, "alice")
            assert isinstance(arrival, Arrival)
            assert (arrival.model, arrival.session, arrival.log_type) == ("plain", tag, "Conversation log")
            assert isinstance(done, Completion)
            assert (done.id, done.submitted_at, done.session) == (arrival.id, arrival.submitted_at, tag)
            assert (done.outcome, done.reason, done.http_status, done.finish_reason) == ("ok", None, 200, "stop")
            assert (done.request_tokens, done.response_tokens, done.cached_tokens, done.reasoning_tokens) == (
                11,
                3,
                4,
                2,
            )
            assert (done.stream, done.first_token_at) == (False, None)
            assert done.ended_at >= done.submitted_at

    asyncio.run(scenario())


def test_a_stream_passes_piece_by_piece_and_its_first_token_is_timed():
    async def scenario():
        async with proxied() as (client, url, _, events, _):
            async with client.post(f"{url}/v1/chat/completions", json=chat("streaming", stream=True)) as response:
                pieces = [piece async for piece in response.content.iter_any()]
                assert response.headers["X-Accel-Buffering"] == "no"
            assert b"".join(pieces) == b"".join(STREAM)
            assert len(pieces) > 1
            done = events[1]
            assert (done.outcome, done.stream, done.response_tokens, done.log_type) == ("ok", True, 3, "API log")
            assert done.submitted_at < done.first_token_at < done.ended_at

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "status", "reason"), [("limited", 429, "rate_limited"), ("broken", 200, "backend_error")]
)
def test_failures_pass_and_have_a_reason(model, status, reason):
    async def scenario():
        async with proxied() as (client, url, _, events, _):
            async with client.post(f"{url}/v1/chat/completions", json=chat(model, stream=True)) as response:
                assert response.status == status
                await response.read()
            assert (events[1].outcome, events[1].reason, events[1].http_status) == ("failed", reason, status)

    asyncio.run(scenario())


def test_an_upstream_that_dies_in_a_stream_ends_the_clients_stream_broken_too():
    async def scenario():
        async with proxied() as (client, url, _, events, source):
            async with client.post(f"{url}/v1/chat/completions", json=chat("dying", stream=True)) as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
            await until(lambda: len(events) == 2)
            assert (events[1].outcome, events[1].reason) == ("failed", "connection_error")
            await until(lambda: source.counters()["open"] == 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("model", ["endless", "silent"])
def test_a_client_that_leaves_is_told_and_its_upstream_request_closed_at_once(model):
    async def scenario():
        async with proxied() as (client, url, upstream, events, source):
            request = asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=chat(model, stream=True)))
            await until(lambda: upstream.seen)
            if model == "endless":
                response = await request
                await response.content.readany()
                response.close()
            else:
                request.cancel()
            await asyncio.wait_for(upstream.closed.wait(), 5)
            await until(lambda: len(events) == 2)
            assert (events[1].outcome, events[1].reason) == ("cancelled", "client_disconnect")
            await until(lambda: source.counters()["open"] == 0)

    asyncio.run(scenario())


def test_an_unreachable_upstream_is_a_502_and_a_failed_request_of_its_model():
    async def scenario():
        async with proxied(reachable=False) as (client, url, _, events, source):
            async with client.post(f"{url}/v1/chat/completions", json=chat("gone")) as response:
                assert response.status == 502
                assert response.headers["x-burstwatch-error"] == "upstream"
                assert "cannot be reached" in (await response.json())["error"]["message"]
            arrival, done = events
            assert (arrival.model, done.outcome, done.reason, done.http_status) == (
                "gone",
                "failed",
                "connection_error",
                502,
            )
            assert source.counters()["upstream_errors"] == 1

    asyncio.run(scenario())


def test_other_calls_pass_and_are_not_counted():
    async def scenario():
        async with proxied() as (client, url, upstream, events, source):
            headers = {"Connection": "keep-alive, x-mine", "x-mine": "1", "TE": "trailers", "X-Other": "2"}
            async with client.get(URL(f"{url}/v1/models//x%20y?q=%41", encoded=True), headers=headers) as response:
                assert (await response.read(), response.status) == (b"\x00\x01raw", 200)
                assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
                assert response.headers["X-Made-By"] == "engine"
                assert "x-hop" not in response.headers
            [(method, path, seen, _)] = upstream.seen
            assert (method, path) == ("GET", "/v1/models//x%20y?q=%41")
            assert "x-mine" not in seen
            assert "TE" not in seen
            assert seen["X-Other"] == "2"
            assert (events, source.counters()["requests"]) == ([], 0)

    asyncio.run(scenario())


def test_the_target_is_never_the_clients_choice():
    async def scenario():
        async with proxied() as (_, url, upstream, _, _):
            port = int(url.rpartition(":")[2])
            for target in (b"GET http://169.254.169.254/ HTTP/1.1", b"CONNECT other:1 HTTP/1.1"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(target + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 400")
                writer.close()
            assert upstream.seen == []

    asyncio.run(scenario())


def test_a_body_that_cannot_be_read_passes_and_only_its_fields_are_unknown():
    async def scenario():
        async with proxied() as (client, url, upstream, events, _):
            huge = json.dumps({"model": "plain", "x": "y" * 3_000_000}).encode()
            async with client.post(f"{url}/v1/chat/completions", data=huge) as response:
                assert response.status == 200
                await response.read()
            assert upstream.seen[0][3] == huge
            assert (events[0].model, events[1].outcome) == (None, "ok")

    asyncio.run(scenario())


def test_telling_may_fail_a_request_never_does(monkeypatch):
    def fail(*_):
        raise RuntimeError(CANARY)

    async def scenario():
        async with proxied() as (client, url, _, events, source):
            monkeypatch.setattr("collector.sources.exchange.request_facts", fail)
            monkeypatch.setattr("collector.sources.openai.ResponseObserver.feed", fail)
            async with client.post(f"{url}/v1/chat/completions", json=chat("streaming", stream=True)) as response:
                assert await response.read() == b"".join(STREAM)
            assert source.counters()["telemetry_errors"] > 0

    asyncio.run(scenario())


def test_draining_lets_an_open_stream_end_and_takes_no_new_connection():
    async def scenario():
        async with proxied() as (client, url, _, events, source):
            request = asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=chat("streaming")))
            await until(lambda: source.counters()["open"])
            draining = asyncio.create_task(source.drain(10))
            async with await request as response:
                assert await response.read() == b"".join(STREAM)
            await draining
            assert events[1].outcome == "ok"
            with pytest.raises(aiohttp.ClientConnectorError):
                async with aiohttp.ClientSession() as fresh:
                    await fresh.get(url)

    asyncio.run(scenario())


def test_no_word_of_prompt_or_answer_is_in_events_or_logs(caplog):
    caplog.set_level(logging.DEBUG)

    async def scenario():
        async with proxied() as (client, url, _, events, _):
            for model in ("plain", "limited", "streaming", "broken", "dying"):
                try:
                    async with client.post(f"{url}/v1/chat/completions", json=chat(model)) as response:
                        await response.read()
                except aiohttp.ClientPayloadError:
                    pass
            await until(lambda: len(events) == 10)
            assert CANARY not in repr(events)

    asyncio.run(scenario())
    assert CANARY not in caplog.text


def test_a_session_key_is_made_once_for_this_user_only(tmp_path):
    key = load_key(tmp_path)
    assert load_key(tmp_path) == key
    assert (tmp_path / "session.key").stat().st_mode & 0o777 == 0o600
    assert session_tag(key, "alice") == session_tag(key, "alice") != session_tag(KEY, "alice")
    assert len(session_tag(key, "alice")) == 32
