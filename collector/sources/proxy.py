"""A transparent reverse proxy in front of an OpenAI-compatible server: every byte passes, requests are told.

Bodies stream both ways chunk by chunk. The upstream is fixed by configuration; redirects, cookies, environment
proxies and compression are the client's and the server's business alone.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from aiohttp import HttpVersion11, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from collector.config import ProxyConfig
from collector.sources.base import Emit, request_lane
from collector.sources.exchange import Clock, Exchange, Telling
from collector.sources.openai import is_generation
from collector.sources.outcome import CLIENT_GONE, CONNECTION_LOST, TIMED_OUT

log = logging.getLogger(__name__)
# The server library logs the very bytes it could not parse: part of a prompt, or an API key.
_SILENT = logging.getLogger(f"{__name__}.unheard")
_SILENT.disabled = True

CONNECT_TIMEOUT_S = 5.0
# Below the 5 s after which uvicorn closes idle connections: a POST is never sent into a closing one.
UPSTREAM_KEEPALIVE_S = 3.0
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_FORWARDED = frozenset({"host", "expect"})  # the client library sets Host; we answer Expect ourselves
_NO_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_READ_REST_S = 1.0
_HEADER_BYTES_MAX = 16 * 1024  # of one header line; the library's 8 KiB refuses long tokens that engines take
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class _Relayed(web.StreamResponse):
    """A response with the upstream's headers only: the library would add a Content-Type and name itself."""

    async def _prepare_headers(self) -> None:
        absent = [name for name in ("Content-Type", "Server") if name not in self.headers]
        await super()._prepare_headers()
        for name in absent:
            self.headers.pop(name, None)


class ProxySource:
    """A ``LiveSource``; ``listener`` is bound and listening already, and outlives restarts of this process.

    ``tag`` makes of a session's id what may leave this process; see ``session_tag.SessionTags``.
    """

    def __init__(  # noqa: PLR0913 - keyword-only after the first
        self,
        config: ProxyConfig,
        *,
        clock: Clock,
        ids: str,
        node: str,
        tag: Callable[[str], str],
        listener: socket.socket,
    ) -> None:
        self.name = config.name
        self.lane = request_lane(config.service)
        self._config = config
        self._clock = clock
        self._node = node
        self._ids = ids
        self._tag = tag
        self._listener = listener
        self._telling: Telling | None = None
        self._client: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None
        self._requests = 0
        self._open = 0
        self._upstream_errors = 0

    async def run(self, emit: Emit, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        self._telling = Telling(emit=emit, clock=self._clock, source=self.name, node=self._node)
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            logger=_SILENT,
            auto_decompress=False,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=UPSTREAM_KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )
        try:
            await self._runner.setup()
            # A copy: the server closes its socket, the original stays good for another run.
            await web.SockSite(self._runner, self._listener.dup(), backlog=1024).start()
            ready()
            await asyncio.Event().wait()
        finally:
            await self._runner.cleanup()
            await self._client.close()

    async def drain(self, seconds: float) -> None:
        """Take no new connections; let open requests end within ``seconds``."""
        self._listener.close()
        if self._runner is None or self._runner.server is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        self._runner.server.pre_shutdown()
        deadline = asyncio.get_running_loop().time() + seconds
        while self._open and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - once per process
            await asyncio.sleep(0.05)

    def counters(self) -> Mapping[str, int]:
        """Return requests seen, open now, failed upstream connections, and telemetry errors."""
        return {
            "requests": self._requests,
            "open": self._open,
            "upstream_errors": self._upstream_errors,
            "telemetry_errors": self._telling.errors if self._telling is not None else 0,
        }

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.raw_path.startswith("/") or request.method == "CONNECT":
            return web.Response(status=400, text="only origin-form requests are proxied\n")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return web.Response(status=501, text="WebSocket is not proxied; connect to the upstream itself\n")
        exchange = self._exchange(request)
        self._open += 1
        try:
            return await self._forward(request, exchange)
        except asyncio.CancelledError:
            exchange.ended(CLIENT_GONE)
            raise
        except Exception as error:
            # The type only: the text could quote what passed through. The client gets a 500, or a broken end.
            log.warning("event=proxy_failed source=%s error=%s", self.name, type(error).__name__)
            exchange.ended(CONNECTION_LOST, status=500)
            raise
        finally:
            self._open -= 1

    def _exchange(self, request: web.BaseRequest) -> Exchange:
        assert self._telling is not None  # noqa: S101 - set before the first request can come
        telling = self._telling
        if not is_generation(request.method, request.raw_path):
            return Exchange(Telling(emit=_nowhere, clock=self._clock, source="-", node="-"), id="-", session=None)
        self._requests += 1
        session = request.headers.get(self._config.session_header)
        tag = self._tag(session) if session else None
        return Exchange(telling, id=f"{self._ids}-{self._requests}", session=tag)

    async def _forward(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        assert self._client is not None  # noqa: S101 - set before the first request can come
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        if not request.body_exists:
            exchange.submitted()
        try:
            upstream = await self._client.request(
                request.method,
                URL(self._config.upstream + request.raw_path, encoded=True),
                headers=end_to_end(request.headers, _NOT_FORWARDED),
                data=_body(request, exchange) if request.body_exists else None,
                allow_redirects=False,
                skip_auto_headers=_NO_AUTO_HEADERS,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return await self._unreachable(request, exchange, error)
        try:
            return await self._relay(request, exchange, upstream)
        finally:
            upstream.close()  # a response read to its end has given its connection back already

    async def _relay(
        self, request: web.BaseRequest, exchange: Exchange, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        exchange.submitted()
        encoded = upstream.headers.get("Content-Encoding", "identity").lower() != "identity"
        exchange.answered(upstream.status, upstream.headers.get("Content-Type", ""), encoded=encoded)
        response = _Relayed(status=upstream.status, reason=upstream.reason, headers=end_to_end(upstream.headers))
        try:
            await response.prepare(request)
            while chunk := await self._read(request, exchange, upstream):
                exchange.received(chunk)
                await response.write(chunk)
            # Told before the client can know: whoever has seen the end finds the event behind it.
            exchange.ended()
            await response.write_eof()
        except ConnectionResetError:
            exchange.ended(CLIENT_GONE)
        return response

    async def _read(self, request: web.BaseRequest, exchange: Exchange, upstream: aiohttp.ClientResponse) -> bytes:
        try:
            return await upstream.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._upstream_errors += 1
            exchange.ended(CONNECTION_LOST)
            _break_off(request)
            raise ConnectionResetError from None

    async def _unreachable(self, request: web.BaseRequest, exchange: Exchange, error: Exception) -> web.StreamResponse:
        self._upstream_errors += 1
        timed_out = isinstance(error, TimeoutError)
        try:
            async with asyncio.timeout(_READ_REST_S):  # the rest of the body still says which model was wanted
                while not exchange.overflowed and (chunk := await request.content.readany()):
                    exchange.sent(chunk)
        except (TimeoutError, OSError, aiohttp.ClientError):
            pass
        exchange.submitted()
        status = 504 if timed_out else 502
        exchange.ended(TIMED_OUT if timed_out else CONNECTION_LOST, status=status)
        what = "timed out" if timed_out else "cannot be reached"
        return web.json_response(
            {"error": {"message": f"the upstream {what}", "type": "upstream_error", "code": status}},
            status=status,
            headers={"x-burstwatch-error": "upstream"},
        )


def end_to_end(headers: CIMultiDictProxy[str], also_without: frozenset[str] = frozenset()) -> CIMultiDict[str]:
    """Return ``headers`` without those that concern one connection only, listed or named in Connection."""
    named = {name.strip().lower() for value in headers.getall("Connection", ()) for name in value.split(",")}
    without = _HOP_BY_HOP | also_without | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in without)


def _break_off(request: web.BaseRequest) -> None:
    """Let the client see the same broken end: no last chunk, the connection closed."""
    transport = request.transport
    if transport is None:
        return
    if request.version < HttpVersion11:  # to such a client (nginx by default) a closed connection is a good end
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    transport.close()


def _body(request: web.BaseRequest, exchange: Exchange) -> bytes | AsyncIterator[bytes]:
    """Return a body that has come already, as nearly all have; one still coming piece by piece.

    The former costs no task and no second write. Only with a length: framing is passed on as it came.
    """
    if not request.content.is_eof() or request.content_length is None:
        return _coming(request, exchange)
    body = request.content.read_nowait(-1)
    exchange.sent(body)
    exchange.submitted()
    return body


async def _coming(request: web.BaseRequest, exchange: Exchange) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        exchange.sent(chunk)
        if exchange.overflowed:
            exchange.submitted()
        yield chunk
    exchange.submitted()


def _nowhere(event: object) -> None:
    """Take no event: calls other than generations are not counted."""
