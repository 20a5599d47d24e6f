"""The proxy, byte by byte: the unusual passes as it is, the malformed is refused and written nowhere."""

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass, field

import pytest

from collector.clock import Clock
from collector.config import ProxyConfig
from collector.sources.proxy import ProxySource
from collector.sources.session_tag import session_tag

CANARY = b"the-secret-canary"
GET = b"GET /v1/x HTTP/1.1\r\nHost: h\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@dataclass
class Passed:
    """What went through: the bytes each side saw, how the client's connection ended, and what was told."""

    upstream: bytes = b""
    client: bytes = b""
    reset: bool = False
    closed: bool = False
    events: list = field(default_factory=list)
    counters: dict = field(default_factory=dict)


async def _proxy(port, events):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    upstream = f"http://127.0.0.1:{port}"
    config = ProxyConfig(name="p", service="c", host="-", port=0, upstream=upstream, session_header="x-session-id")
    source = ProxySource(
        config, clock=Clock(), ids="b", node="n", tag=lambda session: session_tag(b"k" * 32, session), listener=listener
    )
    ready = asyncio.Event()
    task = asyncio.create_task(source.run(events.append, ready.set))
    await ready.wait()
    return source, listener, task


async def _talk(passed, port, pieces, *, leave):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.1)
    try:
        while not leave:
            async with asyncio.timeout(0.5):
                chunk = await reader.read(65536)
            passed.client += chunk
            if not chunk:
                passed.closed = True
                break
    except ConnectionResetError:
        passed.reset = True
    except TimeoutError:
        pass
    writer.close()


def exchange(*pieces, answer=OK, leave=False):
    """Send raw bytes through a proxy to an upstream that answers ``answer`` and closes; return what passed.

    With ``leave`` the upstream first reads all that comes, and the client waits for no answer.
    """
    passed = Passed()
    upstream_over = asyncio.Event()

    async def upstream(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            passed.upstream += await reader.readuntil(b"\r\n\r\n")
            with contextlib.suppress(TimeoutError):
                while leave:
                    async with asyncio.timeout(0.4):
                        if not (chunk := await reader.read(1000)):
                            break
                    passed.upstream += chunk
            writer.write(answer)
            await writer.drain()
            await asyncio.sleep(0.05)
        upstream_over.set()
        writer.close()

    async def scenario():
        server = await asyncio.start_server(upstream, "127.0.0.1", 0)
        source, listener, task = await _proxy(server.sockets[0].getsockname()[1], passed.events)
        await _talk(passed, listener.getsockname()[1], pieces, leave=leave)
        if leave:
            await asyncio.wait_for(upstream_over.wait(), 5)
        passed.counters = dict(source.counters())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        listener.close()

    asyncio.run(scenario())
    return passed


def headers_of(response):
    lines = response.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [line.split(b":")[0].lower() for line in lines]


@pytest.mark.parametrize(
    "pieces",
    [
        [POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ" + CANARY + b"\r\n\r\n"],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"ZZ" + CANARY + b"\r\n\r\n"],
        [POST + b"Authorization: Bearer " + CANARY + b"\0\r\n\r\n"],
        [b"POST /?q=" + CANARY + b"\xff HTTP/1.1\r\nHost: h\r\n\r\n"],
        [CANARY + b"\r\n\r\n"],
        [POST + b"X: " + CANARY * 3_000 + b"\r\n\r\n"],
        [POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY],
    ],
)
def test_what_cannot_be_parsed_is_in_no_log(pieces, caplog):
    caplog.set_level(logging.DEBUG)
    exchange(*pieces)
    assert CANARY.decode() not in caplog.text


def test_an_upstreams_nonsense_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    passed = exchange(POST + b"Content-Length: 2\r\n\r\n{}", answer=CANARY + b" " + CANARY + b"\r\n\r\n")
    assert passed.client.startswith(b"HTTP/1.1 502")
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nZZ" + CANARY + b"\r\n"
    assert not exchange(POST + b"Content-Length: 2\r\n\r\n{}", answer=begun).client.endswith(b"0\r\n\r\n")
    assert CANARY.decode() not in caplog.text


def test_a_failure_of_the_proxy_itself_is_told_and_logged_by_its_name_only(caplog, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError(CANARY.decode())

    monkeypatch.setattr("collector.sources.proxy.aiohttp.ClientSession.request", fail)
    caplog.set_level(logging.DEBUG)
    passed = exchange(POST + b"\r\n")
    assert passed.client.startswith(b"HTTP/1.1 500")
    assert [(e.outcome, e.http_status) for e in passed.events[1:]] == [("failed", 500)]
    assert "RuntimeError" in caplog.text
    assert CANARY.decode() not in caplog.text


def test_no_header_is_added_but_the_date():
    assert headers_of(exchange(GET + b"\r\n").client) == [b"content-length", b"date"]
    answer = b"HTTP/1.1 200 OK\r\nServer: up\r\nContent-Type: a/b\r\nDate: D\r\nContent-Length: 2\r\n\r\nhi"
    assert exchange(GET + b"\r\n", answer=answer).client == answer
    seen = exchange(GET + b"X-A: 1\r\nX-A: 2\r\nCookie: a\r\nCookie: b\r\n\r\n").upstream
    assert headers_of(seen) == [b"host", b"x-a", b"x-a", b"cookie", b"cookie"]


def test_answers_without_a_body_keep_what_their_headers_say():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n"
    head = exchange(GET.replace(b"GET", b"HEAD") + b"\r\n", answer=answer)
    assert b"Content-Length: 123\r\n" in head.client
    assert head.client.endswith(b"\r\n\r\n")
    assert head.counters["upstream_errors"] == 0
    for status in (b"204 No Content", b"304 Not Modified"):
        answer = b"HTTP/1.1 " + status + b"\r\nX-A: 1\r\n\r\n"
        assert exchange(GET + b"\r\n", answer=answer).client.startswith(b"HTTP/1.1 " + status + b"\r\nX-A: 1\r\n")


@pytest.mark.parametrize("body", [b"Content-Length: 10\r\n\r\nhi", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"])
def test_an_answer_cut_short_is_no_good_end_for_a_client_of_any_version(body):
    answer = b"HTTP/1.1 200 OK\r\n" + body
    cut = exchange(POST + b"\r\n", answer=answer)
    assert b"hi" in cut.client
    assert not cut.client.endswith(b"0\r\n\r\n")
    assert cut.closed or cut.reset
    assert [(e.outcome, e.reason) for e in cut.events[1:]] == [("failed", "connection_error")]
    assert exchange(b"GET /v1/x HTTP/1.0\r\n\r\n", answer=answer).reset
    assert not exchange(b"GET /v1/x HTTP/1.0\r\n\r\n").reset


def test_a_websocket_is_refused_in_words_and_another_upgrade_is_only_not_taken():
    asks = b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    refused = exchange(GET + b"Upgrade: websocket\r\n" + asks)
    assert refused.client.startswith(b"HTTP/1.1 501")
    assert b"WebSocket is not proxied" in refused.client
    assert refused.upstream == b""
    taken = exchange(GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n")
    assert taken.client.startswith(b"HTTP/1.1 200")
    assert headers_of(taken.upstream) == [b"host"]


def test_interim_answers_and_expectations_are_settled_on_each_side():
    early = exchange(GET + b"\r\n", answer=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    assert early.client.startswith(b"HTTP/1.1 200")
    asked = exchange(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", b"{}")
    assert asked.client.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert b"xpect" not in asked.upstream


def test_long_headers_pass_both_ways():
    long = b"X-Long: " + b"a" * 12_000 + b"\r\n"
    passed = exchange(GET + long + b"\r\n", answer=b"HTTP/1.1 200 OK\r\n" + long + b"Content-Length: 2\r\n\r\nhi")
    assert long in passed.upstream
    assert long in passed.client


def test_a_path_passes_byte_for_byte():
    path = b'/a/../b/./c//?x=[1]&y=%zz&e="|^`{}?'
    assert exchange(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n").upstream.startswith(b"GET " + path + b" HTTP")


def test_a_client_that_leaves_while_uploading_closes_the_upstream_and_was_no_request():
    passed = exchange(POST + b'Content-Length: 1000\r\n\r\n{"mo', answer=b"", leave=True)
    assert passed.upstream.endswith(b'{"mo')
    assert passed.events == []


def test_a_body_keeps_its_framing_whether_it_comes_at_once_or_in_pieces():
    for pieces in ([b"Content-Length: 4\r\n\r\nbody"], [b"Content-Length: 4\r\n\r\n", b"bo", b"dy"]):
        passed = exchange(POST + pieces[0], *pieces[1:], leave=True)
        assert headers_of(passed.upstream) == [b"host", b"content-length"]
        assert passed.upstream.endswith(b"\r\n\r\nbody")
    for pieces in ([b"4\r\nbody\r\n0\r\n\r\n"], [b"2\r\nbo\r\n", b"2\r\ndy\r\n0\r\n\r\n"]):
        passed = exchange(POST + b"Transfer-Encoding: chunked\r\n\r\n" + pieces[0], *pieces[1:], leave=True)
        assert headers_of(passed.upstream) == [b"host", b"transfer-encoding"]
        assert passed.upstream.endswith(b"0\r\n\r\n")


def test_a_redirect_is_the_clients_to_follow_and_no_proxy_of_the_environment_is_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/elsewhere\r\nContent-Length: 0\r\n\r\n"
    passed = exchange(POST + b"\r\n", answer=answer)
    assert passed.client.startswith(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/elsewhere\r\n")
    assert passed.upstream.count(b"POST ") == 1
