"""The OpenAI-compatible client of the replay (the only aiohttp client import of this package)."""

import asyncio
import contextlib
import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

import aiohttp
import orjson

from collector.schema.errors import OperatorError
from collector.schema.events import Outcome, Reason
from workload.replay.answer import Answer
from workload.replay.failures import reason_of
from workload.replay.options import Balance, Endpoint
from workload.replay.sse import SseReader

CONNECT_TIMEOUT_S = 5.0
# A connection that was idle this long is not used again: uvicorn (vLLM, SGLang) closes at 5 s, and a request that
# leaves at that very moment would be lost through no fault of the server's.
IDLE_S = 4.0
END_S = 1.0  # an answer is complete at [DONE]; the body should end with it, and so long it may take
ERROR_BYTES_MAX = 64 * 1024
WARM_CONNECTIONS = 16
SAID_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One attempt: what is sent and how long it is waited for.

    Attributes:
        patience_s: the client gives up after so many seconds with outcome ``gives_up``; None: it does not.
        on_sent: called when the last of the body has been given to the socket, with the time.
    """

    body: bytes
    timeout_s: float
    session: str | None = None
    patience_s: float | None = None
    gives_up: Outcome = Outcome.CANCELLED
    keep_text: bool = False
    on_sent: Callable[[float], None] = lambda _: None


class Client:
    """Sends requests to one or more servers; an async context manager.

    Raises ``OperatorError`` on entry if nothing answers at one of ``urls``.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        endpoint: Endpoint = Endpoint.CHAT,
        balance: Balance = Balance.ROUND_ROBIN,
        api_key: str | None = None,
        warm: int = WARM_CONNECTIONS,
    ) -> None:
        self.urls = tuple(url.rstrip("/") for url in urls)
        self._call = endpoint
        self._balance = balance
        self._warm_connections = warm
        self._turn = count()
        self._headers = {"Content-Type": "application/json"}
        self._secret = api_key
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self.open = dict.fromkeys(self.urls, 0)  # requests now open at each server
        self.models: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_chunk_sent.append(_on_body_sent)  # called right before the write, without a wait between
        self._session = aiohttp.ClientSession(
            # No limit here: the replay's own concurrency bound is the only one, so a wait is seen as send lag.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            trace_configs=[trace],
            headers=self._headers,
        )
        try:
            found = await asyncio.gather(*map(self._find_models, self.urls))
            await asyncio.gather(*(self._warm(url) for url in self.urls for _ in range(self._warm_connections)))
        except BaseException:
            await self._session.close()
            raise
        self.models = found[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, put: Put, answer: Answer) -> None:
        """Send one request, read its answer to the end and fill in ``answer``.

        Never raises but for cancellation: what goes wrong is the answer's reason.
        """
        url = answer.endpoint = self._choose()
        self.open[url] += 1
        gives_up = put.patience_s is not None and put.patience_s < put.timeout_s
        patience_s = put.patience_s if gives_up else put.timeout_s
        try:
            async with asyncio.timeout(patience_s):
                await self._exchange(url, put, answer)
        except aiohttp.ConnectionTimeoutError:  # is a TimeoutError too
            answer.end(time.perf_counter(), Outcome.FAILED, Reason.CONNECTION_ERROR)
        except TimeoutError:
            outcome = put.gives_up if gives_up else Outcome.FAILED
            reason = Reason.CLIENT_DISCONNECT if outcome is Outcome.CANCELLED else Reason.TIMEOUT
            answer.end(time.perf_counter(), outcome, reason)
        except (aiohttp.ClientError, OSError) as error:
            answer.said = f"{type(error).__name__}: {error}"
            answer.end(time.perf_counter(), Outcome.FAILED, Reason.CONNECTION_ERROR)
        finally:
            self.open[url] -= 1
            # Some servers repeat the key they refuse.
            said = answer.said.replace(self._secret, "***") if self._secret else answer.said
            answer.said = said[:SAID_MAX]

    async def _exchange(self, url: str, put: Put, answer: Answer) -> None:
        def sent() -> None:
            answer.sent_s = time.perf_counter()
            put.on_sent(answer.sent_s)

        headers = {} if put.session is None else {"x-session-id": put.session}
        async with self._session.post(
            f"{url}/{self._call}", data=put.body, headers=headers, trace_request_ctx=sent
        ) as response:
            answer.http_status = response.status
            if response.status != 200:
                reason = await _refusal(response, answer)
                answer.end(time.perf_counter(), Outcome.FAILED, reason)
                return
            reader = SseReader(keep_text=put.keep_text)
            try:
                async for data in response.content.iter_any():
                    reader.feed(data)
                    answer.on_chunks(reader, time.perf_counter())
                    if reader.done:
                        break
            finally:
                answer.take_counts(reader)
            failure = _failure(reader)
            if failure is not None:
                answer.said = _complaint(reader, response.content_type)
            answer.end(time.perf_counter(), Outcome.OK if failure is None else Outcome.FAILED, failure)
            if reader.done:
                await _rest(response)

    def _choose(self) -> str:
        turn = next(self._turn)
        if self._balance is Balance.LEAST_OPEN:
            # The least loaded; among equals the next in turn, so that an idle fleet is used evenly too.
            n = len(self.urls)
            return min((self.urls[(turn + i) % n] for i in range(n)), key=self.open.__getitem__)
        return self.urls[turn % len(self.urls)]

    async def _find_models(self, url: str) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S), self._session.get(f"{url}/models") as response:
                fields = orjson.loads(await response.read()) if response.status == 200 else {}
        except (aiohttp.InvalidURL, orjson.JSONDecodeError) as error:
            said = "is no URL" if isinstance(error, aiohttp.InvalidURL) else "answers, but not with JSON"
            raise OperatorError(f"{url}/models {said}; --url wants an OpenAI base URL: http://HOST:PORT/v1") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OperatorError(
                f"cannot reach {url}/models: {_plainly(error)}; start the server or correct --url"
            ) from None
        entries = fields.get("data", []) if isinstance(fields, dict) else []
        if not isinstance(entries, list):
            return ()
        return tuple(str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry)

    async def _warm(self, url: str) -> None:
        """Have a connection open before the first request: opening one would make it late."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S), self._session.get(f"{url}/models") as response:
                await response.read()
        except (aiohttp.ClientError, OSError):
            pass  # what is wrong shows in the requests themselves


def _plainly(error: Exception) -> str:
    """Return why a server could not be reached without aiohttp's inner workings.

    >>> _plainly(TimeoutError())
    'no answer in time'
    """
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"there is no host {error.host}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted ({error.certificate_error})"
    if isinstance(error, ConnectionRefusedError) or getattr(error, "errno", None) == errno.ECONNREFUSED:
        return "nothing listens there (connection refused)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error)
    return str(error) or type(error).__name__


async def _on_body_sent(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:  # noqa: ANN401 - aiohttp's hook
    if context.trace_request_ctx is not None:
        context.trace_request_ctx()


async def _refusal(response: aiohttp.ClientResponse, answer: Answer) -> Reason:
    """Return why the server did not answer 200, from the status and the head of the error's body."""
    body = await response.content.read(ERROR_BYTES_MAX)
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    error = fields.get("error") if isinstance(fields, dict) else None
    told = error if isinstance(error, dict) else fields if isinstance(fields, dict) else {}
    answer.said = " ".join(str(told.get("message") or told.get("detail") or "").split())
    return reason_of(response.status, error if isinstance(error, dict) else None)


async def _rest(response: aiohttp.ClientResponse) -> None:
    """Read what follows ``[DONE]``, an end as a rule, so that the connection can be used again; not for long."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(END_S):
            while await response.content.readany():
                pass


def _complaint(reader: SseReader, content_type: str) -> str:
    """Return, for a person, what is wrong with an answer of status 200."""
    if reader.error is not None:
        return " ".join(str(reader.error.get("message") or "").split())
    if not reader.chunks:
        return f"status 200, but no stream of events: Content-Type {content_type}"
    return "the stream ended without [DONE]"


def _failure(reader: SseReader) -> Reason | None:
    """Return why a 200 stream is nevertheless a failure, None if it is not one."""
    if reader.error is not None:
        code = reader.error.get("code")
        return reason_of(code if isinstance(code, int) else 500, reader.error)
    return None if reader.done else Reason.BACKEND_ERROR  # cut off before [DONE]
