"""HTTP around the live feed: the page's files, its events as they happen (SSE), the same as JSON, the runbook."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import orjson
from aiohttp import web

from burstwatch.page.guard import HEADERS, is_own_host
from burstwatch.page.live import LiveFeed
from burstwatch.page.runbook import read_runbook, runbook_page
from collector.schema.errors import OperatorError

READERS_MAX = 64
RETRY_MS = 1000
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}
_FILES = (
    "icon.svg", "page.css", "theme.js", "main.js", "state.js", "stream.js", "words.js", "charts.js", "shading.js",
    "table.js", "memory.js", "episodes.js", "dom.js",
    "vendor/uPlot.esm.js", "vendor/uPlot.min.css", "vendor/LICENSE.uPlot.txt",
)  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """Where the page listens (port 0 picks a free one), and the rhythm of its events.

    Attributes:
        names: the only ones it answers to, beside those of loopback; empty and not on loopback: any.
        beat_s: a reader hears something at least this often.
        gather_s: changes this close together go out as one.
        slow_s: who takes longer for one message is dropped; the page comes back by itself.
    """

    host: str = "127.0.0.1"
    port: int = 8321
    names: tuple[str, ...] = ()
    beat_s: float = 5.0
    gather_s: float = 0.2
    slow_s: float = 15.0


class PageServer:
    """The page, served: ``start``, then ``url``; ``stop`` ends the readers' streams."""

    def __init__(self, config: PageConfig, live: LiveFeed) -> None:
        self._config = config
        self._live = live
        self.readers = 0  # that follow the events now
        self._stopping = False
        self._runner: web.AppRunner | None = None
        static = files("burstwatch.page") / "static"
        self._files = {name: (static / name).read_bytes() for name in _FILES}
        self._index = (static / "index.html").read_bytes()
        self._runbook = runbook_page(read_runbook()).encode()
        self.url = ""

    async def start(self) -> None:
        """Listen. Raises ``OperatorError`` if the port is taken."""
        app = web.Application(middlewares=[self._guarded], client_max_size=1024)
        app.router.add_get("/", self._on_page)
        app.router.add_get("/static/{name:.+}", self._on_file)
        app.router.add_get("/events", self._on_events)
        app.router.add_get("/state.json", self._on_state)
        app.router.add_get("/runbook", self._on_runbook)
        app.router.add_get("/healthz", self._on_health)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, self._config.host, self._config.port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise OperatorError(
                f"cannot listen on {self._config.host}:{self._config.port} ({error.strerror or error}); "
                "stop what holds it or choose another --port (0 picks a free one)"
            ) from None
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """End the readers' streams and close. Twice is safe."""
        self._stopping = True
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_host(request.headers.get("Host"), self._config.host, self._config.names):
            return web.Response(status=421, text="this page answers to its own address only\n", headers=HEADERS)
        try:
            return await handler(request)
        except web.HTTPException as answer:
            answer.headers.update(HEADERS)
            raise

    async def _on_page(self, request: web.Request) -> web.Response:
        return _answer(request, self._index, "text/html")

    async def _on_runbook(self, request: web.Request) -> web.Response:
        return _answer(request, self._runbook, "text/html")

    async def _on_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        return _answer(request, self._files[name], _TYPES[name[name.rindex(".") :]])

    async def _on_state(self, request: web.Request) -> web.Response:
        return _answer(request, orjson.dumps(self._live.whole()), "application/json")

    async def _on_health(self, _: web.Request) -> web.Response:
        return web.json_response(self._live.status(), headers=HEADERS)

    async def _on_events(self, request: web.Request) -> web.StreamResponse:
        if self.readers >= READERS_MAX:
            return web.Response(status=503, text="too many readers\n", headers={**HEADERS, "Retry-After": "10"})
        self.readers += 1
        try:
            return await self._stream(request)
        finally:
            self.readers -= 1

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(
            headers={**HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await answer.prepare(request)
        known = self._known(request)
        frame = b"retry: %d\n\n" % RETRY_MS
        while not self._stopping:
            seen = self._live.changes
            if known != self._live.version:
                version = self._live.version
                frame += _event("state", self._live.since(known), f"{self._live.boot}-{version}")
                known = version
            frame += _event("beat", orjson.dumps(self._live.status()))
            try:
                await asyncio.wait_for(answer.write(frame), self._config.slow_s)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()  # close() would wait for what it does not take
                break
            frame = b""
            await self._live.news(seen, self._config.beat_s)
            await asyncio.sleep(self._config.gather_s)
        return answer

    def _known(self, request: web.Request) -> int:
        """Return the version a reader says it has: in the header browsers send, or where a page opens anew."""
        said = request.headers.get("Last-Event-ID") or request.query.get("after", "")
        boot, _, version = said.partition("-")
        known = int(version) if boot == self._live.boot and version.isascii() and version.isdigit() else -1
        return known if known <= self._live.version else -1


def _answer(request: web.Request, body: bytes, content_type: str) -> web.Response:
    answer = web.Response(body=body, content_type=content_type, charset="utf-8", headers=HEADERS)
    answer.headers["Cache-Control"] = "no-cache"
    if request.version >= (1, 1) and len(body) > 1024:
        answer.enable_compression()
    return answer


def _event(name: str, data: bytes, event_id: str = "") -> bytes:
    """Return one server-sent event; JSON from orjson has no line breaks."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"
