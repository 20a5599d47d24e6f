"""/metrics and /healthz over HTTP, inside the worker's event loop: a scrape sees one consistent moment.

Serving from the loop also makes /healthz honest: a worker that is stuck does not answer. Capture serves from a thread
of its own (capture/metrics.py), and has to say whether it is stuck.
"""

import errno
from collections.abc import Callable

from aiohttp import web

from collector.schema.errors import OperatorError
from streams.export.prometheus import Page


class MetricsServer:
    """Serves a page until closed; /healthz answers 200, or 503 where ``stuck`` gives a reason."""

    def __init__(self, page: Page, stuck: Callable[[], str | None] = lambda: None) -> None:
        self._page = page
        self._stuck = stuck
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (chosen if 0). Raises ``OperatorError`` if it is taken or not ours."""
        app = web.Application()
        app.add_routes([web.get("/metrics", self._metrics), web.get("/healthz", self._health)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.close()
            if error.errno == errno.EADDRINUSE:
                raise OperatorError(f"port {port} is taken; choose another with --metrics-port (0: any)") from None
            raise OperatorError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._page.render(request.headers.get("Accept", ""))
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    async def _health(self, _request: web.Request) -> web.Response:
        reason = self._stuck()
        return web.Response(text="ok\n") if reason is None else web.Response(status=503, text=f"{reason}\n")
