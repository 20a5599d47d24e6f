"""HTTP around the simulated engine (the only aiohttp server import of this package)."""

import asyncio
import contextlib
import random
import secrets
import time
from dataclasses import dataclass, field

from aiohttp import web

from collector.schema.errors import OperatorError
from workload.engine import constants
from workload.engine.lengths import response_tokens
from workload.engine.metrics import CONTENT_TYPE, Metrics
from workload.engine.pulse import Pulse
from workload.engine.replies import Reply, error_body, models_body
from workload.engine.requests import ApiError, Ask, bad_request, parse_ask
from workload.engine.scheduler import ContextExceeded, Limits, Pace, QueueFull, Scheduler
from workload.engine.sequence import End, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """One engine. The first of ``models`` names it in the metrics; the others are aliases.

    ``any_model``: it also answers to names that are not in ``models``.
    """

    host: str = "127.0.0.1"
    port: int = 0
    models: tuple[str, ...] = constants.MODELS
    any_model: bool = False
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)
    seed: int = 0


class EngineServer:
    """An engine that serves: ``start``, then ``url``; ``stop`` lets running responses end."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self.scheduler = Scheduler(config.limits, config.pace)
        self._metrics = Metrics(self.scheduler, config.models[0])
        self._pulse = Pulse(self.scheduler, self._metrics, clock=time.monotonic)
        self._rng = random.Random(config.seed)  # noqa: S311 - response lengths, not cryptography
        self._created = int(time.time())
        self._draining = False
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen and begin to serve. Raises ``OperatorError`` if the port is taken."""
        app = web.Application(client_max_size=constants.BODY_BYTES_MAX)
        app.router.add_post("/v1/chat/completions", self._on_chat)
        app.router.add_post("/v1/completions", self._on_completion)
        app.router.add_get("/v1/models", self._on_models)
        app.router.add_get("/health", self._on_health)
        app.router.add_get("/metrics", self._on_metrics)
        app.router.add_route("*", "/{path:.*}", self._on_unknown)
        # access_log None: one line per request is a cost and would name what clients ask for.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, self._config.host, self._config.port, backlog=1024)
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
        self.url = f"http://{host}:{port}"
        self._beat = asyncio.create_task(self._pulse.run())

    async def stop(self, *, drain_s: float = constants.DRAIN_S) -> None:
        """Refuse new requests, wait ``drain_s`` for the running ones, then close. Twice is safe."""
        self._draining = True
        if self._runner is None or self._beat is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pulse.quiet.wait(), drain_s)
        await self._runner.cleanup()
        self._beat.cancel()
        await asyncio.gather(self._beat, return_exceptions=True)

    async def _on_health(self, _: web.Request) -> web.Response:
        return web.Response(status=503 if self._draining else 200)

    async def _on_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def _on_models(self, _: web.Request) -> web.Response:
        length = self.scheduler.limits.context_tokens
        return _json(models_body(self._config.models, max_model_len=length, created=self._created))

    async def _on_unknown(self, _: web.Request) -> web.Response:
        return _json(b'{"detail":"Not Found"}', status=404)

    async def _on_chat(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, chat=True)

    async def _on_completion(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, chat=False)

    async def _serve(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        try:
            config = self._config
            ask = parse_ask(await request.read(), chat=chat, models=config.models, any_model=config.any_model)
            sequence, news = self._submit(ask)
        except ApiError as error:
            return _json(error_body(error), status=error.status)
        try:
            # Headers wait for the first token, so a request that times out in the queue gets a real status.
            await _next_news(news)
            if sequence.end is End.TIMEOUT:
                return _json(error_body(_overloaded("the request waited too long in the queue")), status=503)
            reply = Reply(ask, name=_name(request), created=int(time.time()))
            if ask.stream:
                return await _stream(request, reply, sequence, news)
            while sequence.end is None:
                await _next_news(news)
            return _json(reply.body(sequence.generated, sequence.end))
        finally:
            self._pulse.close(sequence)

    def _submit(self, ask: Ask) -> tuple[Sequence, asyncio.Event]:
        """Return the queued request and its news. Raises ``ApiError`` if the engine does not take it."""
        if self._draining:
            raise _overloaded("the engine is shutting down")
        context = self.scheduler.limits.context_tokens
        room = context - ask.prompt_tokens
        max_tokens = max(room, 1) if ask.max_tokens is None else ask.max_tokens
        sequence = Sequence(
            prompt_tokens=ask.prompt_tokens,
            max_tokens=max_tokens,
            target_tokens=max_tokens if ask.ignore_eos else response_tokens(self._rng, max_tokens),
            arrived_s=time.monotonic(),
        )
        try:
            return sequence, self._pulse.submit(sequence)
        except QueueFull:
            raise _overloaded("the waiting queue is full; try again later") from None
        except ContextExceeded:
            raise bad_request(
                f"This model's maximum context length is {context} tokens. However, you requested "
                f"{ask.prompt_tokens} input tokens and {max_tokens} output tokens. Please reduce the length of "
                f"the input prompt. (parameter=input_tokens, value={ask.prompt_tokens})",
                "input_tokens",
            ) from None


async def _stream(request: web.Request, reply: Reply, sequence: Sequence, news: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    sent, head = 0, reply.opening()
    try:
        while True:
            tokens, end = sequence.generated, sequence.end
            if tokens > sent or end is not None:
                tail = b"" if end is None else reply.closing(tokens)
                await response.write(head + reply.chunk(tokens - sent, end) + tail)
                sent, head = tokens, b""
            if end is not None:
                break
            await _next_news(news)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the client went away between two chunks; the caller frees the blocks
    return response


async def _next_news(news: asyncio.Event) -> None:
    await news.wait()
    news.clear()


def _overloaded(message: str) -> ApiError:
    return ApiError(503, message, kind="ServiceUnavailableError")


def _name(request: web.Request) -> str:
    """Return the response's id: the client's X-Request-Id if it is a plain token (as vLLM does), or a new one."""
    given = request.headers.get("X-Request-Id", "")
    plain = 0 < len(given) <= 64 and given.isascii() and given.replace("-", "").replace("_", "").isalnum()
    return given if plain else secrets.token_hex(8)


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")
