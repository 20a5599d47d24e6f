"""The OpenAI-compatible client of the replay (the only aiohttp client import of this package)."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
import orjson

from collector.schema.errors import OperatorError
from collector.schema.events import Outcome, Reason
from workload.replay.failures import reason_of
from workload.replay.measure import Result
from workload.replay.schedule import Shot
from workload.replay.sse import SseReader

CONNECT_TIMEOUT_S = 5.0
ERROR_BYTES_MAX = 64 * 1024


def prompt_of(tokens: int, number: int) -> str:
    """Return exactly ``tokens`` words.

    The first is unlike any other request's, so that no engine's prefix cache answers for work the recorded
    service had to do.

    >>> prompt_of(3, 7)
    'request7 the the'
    """
    return f"request{number}" + " the" * (tokens - 1)


def body_of(shot: Shot, number: int) -> bytes:
    """Return the JSON body: a streamed chat of exactly the recorded sizes, usage asked for."""
    return orjson.dumps(
        {
            "model": shot.model,
            "messages": [{"role": "user", "content": prompt_of(shot.prompt_tokens, number)}],
            "max_tokens": shot.response_tokens,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )


class Client:
    """Sends requests to one server; an async context manager.

    Raises ``OperatorError`` on entry if nothing answers at ``url``.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._number = 0
        self.models: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_on_headers_sent)
        self._session = aiohttp.ClientSession(
            # No limit here: the replay's own concurrency bound is the only one, so a wait is seen as send lag.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            trace_configs=[trace],
            headers={"Content-Type": "application/json"},
        )
        try:
            await self._find_models()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, shot: Shot, on_sent: Callable[[], None]) -> Result:
        """Send one request and read its answer to the end. ``on_sent`` is called when its headers leave.

        Never raises but for cancellation: what goes wrong is the result's reason.
        """
        self._number += 1
        began = SimpleNamespace(at_s=time.perf_counter(), on_sent=on_sent)
        body = body_of(shot, self._number)
        headers = {} if shot.session is None else {"x-session-id": shot.session}
        reason, first_s, tokens = Reason.UNKNOWN, None, None
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(
                    f"{self._url}/chat/completions", data=body, headers=headers, trace_request_ctx=began
                ) as response,
            ):
                if response.status != 200:
                    reason = await _refusal(response)
                else:
                    reader = SseReader()
                    async for data in response.content.iter_any():
                        reader.feed(data)
                        if first_s is None and reader.started:
                            first_s = time.perf_counter() - began.at_s
                    tokens = reader.response_tokens()
                    failure = _failure(reader)
                    if failure is None:
                        latency_s = time.perf_counter() - began.at_s
                        return Result(outcome=Outcome.OK, ttft_s=first_s, latency_s=latency_s, response_tokens=tokens)
                    reason = failure
        except TimeoutError:
            reason = Reason.TIMEOUT
        except (aiohttp.ClientError, OSError):
            reason = Reason.CONNECTION_ERROR
        latency_s = time.perf_counter() - began.at_s
        return Result(
            outcome=Outcome.FAILED, reason=reason, ttft_s=first_s, latency_s=latency_s, response_tokens=tokens
        )

    async def _find_models(self) -> None:
        try:
            async with (
                asyncio.timeout(CONNECT_TIMEOUT_S),
                self._session.get(f"{self._url}/models") as response,
            ):
                fields = orjson.loads(await response.read()) if response.status == 200 else {}
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise OperatorError(f"cannot reach {self._url}/models: {what}; start the server or correct --url") from None
        entries = fields.get("data", []) if isinstance(fields, dict) else []
        self.models = tuple(str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry)


async def _on_headers_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:  # noqa: ANN401 - aiohttp's hook
    began = context.trace_request_ctx
    if began is not None:
        began.at_s = time.perf_counter()
        began.on_sent()


async def _refusal(response: aiohttp.ClientResponse) -> Reason:
    """Return why the server did not answer 200, from the status and the head of the error's body."""
    try:
        fields = orjson.loads(await response.content.read(ERROR_BYTES_MAX))
    except orjson.JSONDecodeError:
        fields = None
    error = fields.get("error") if isinstance(fields, dict) else None
    return reason_of(response.status, error if isinstance(error, dict) else None)


def _failure(reader: SseReader) -> Reason | None:
    """Return why a 200 stream is nevertheless a failure, None if it is not one."""
    if reader.error is not None:
        code = reader.error.get("code")
        return reason_of(code if isinstance(code, int) else 500, reader.error)
    return None if reader.done else Reason.BACKEND_ERROR  # cut off before [DONE]
