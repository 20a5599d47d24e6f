"""Replays inside a test: rows, a trace file of them, a server that answers as the test says, and the play itself."""

import asyncio
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from collector.schema.events import API_LOG, CONVERSATION_LOG, Outcome
from collector.schema.trace_rows import BURSTGPT_8, TraceRow, format_row
from workload.replay.options import ReplayOptions
from workload.replay.play import Player

CHAT = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"


def rows(n, *, gap_s=0.005, request=20, response=10, session=lambda i: f"s-{i}"):
    """Requests at even gaps; every third is a conversation."""
    return [
        TraceRow(
            submitted_us=round(i * gap_s * 1e6),
            session=session(i) if i % 3 == 0 else None,
            model="GPT-4" if i % 2 else "ChatGPT",
            request_tokens=request,
            response_tokens=response,
            log_type=CONVERSATION_LOG if i % 3 == 0 else API_LOG,
        )
        for i in range(n)
    ]


def trace_file(path, rows):
    lines = [",".join(BURSTGPT_8), *[",".join(format_row(row, BURSTGPT_8)) for row in rows]]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


async def play(urls, rows, *, stop_after_s=None, observers=(), **options):
    """Replay ``rows``; returns the tally and the summary."""
    stop = asyncio.Event()
    if stop_after_s is not None:
        asyncio.get_running_loop().call_later(stop_after_s, stop.set)
    urls = (urls,) if isinstance(urls, str) else tuple(urls)
    player = Player(ReplayOptions(urls=urls, **{"seed": 1, "timeout_s": 20.0, **options}), observers=observers)
    summary = await player.play(lambda: rows, stop)
    return player.tally, summary


def counts(tally):
    return tuple(tally.outcomes[outcome] for outcome in (Outcome.OK, Outcome.FAILED, Outcome.CANCELLED))


def event(said=None, **fields):
    """One server-sent event: a chunk that says ``said``, or whatever fields are given."""
    choices = [] if said is None else [{"index": 0, "delta": {"content": said}}]
    return b"data: " + orjson.dumps({"choices": choices, **fields}) + b"\n\n"


def answer(prompt_tokens, tokens=2):
    """A whole well-behaved stream."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens}
    return b"".join(event(f" w{i}") for i in range(tokens)) + event(usage=usage) + DONE


class OddServer:
    """Answers every completion with what ``reply(body, headers)`` returns, and remembers what was asked.

    A reply is bytes (a stream under status 200), a pair (status, bytes), or a web.StreamResponse made by the reply
    itself, which then gets the request.
    """

    def __init__(self, reply, *, models=("m",)):
        self._reply = reply
        self._models = models
        self.asked = []  # (body, headers, path)
        self.open = self.open_most = 0

    async def handle(self, request):
        fields = await request.json()
        self.asked.append((fields, request.headers.copy(), request.path))
        self.open += 1
        self.open_most = max(self.open_most, self.open)
        try:
            reply = self._reply(fields, request)
            if asyncio.iscoroutine(reply):
                reply = await reply
        finally:
            self.open -= 1
        if isinstance(reply, web.StreamResponse):
            return reply
        status, body = reply if isinstance(reply, tuple) else (200, reply)
        kind = "text/event-stream" if status == 200 else "application/json"
        return web.Response(status=status, body=body, content_type=kind)

    async def models(self, _):
        return web.json_response({"data": [{"id": name} for name in self._models]})


@asynccontextmanager
async def odd_server(reply, **options):
    """A running ``OddServer`` with its base URL in ``url``."""
    server = OddServer(reply, **options)
    app = web.Application()
    app.router.add_post(CHAT, server.handle)
    app.router.add_post("/v1/completions", server.handle)
    app.router.add_get("/v1/models", server.models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
