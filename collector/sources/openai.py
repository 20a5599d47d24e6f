"""What a chat request and its response say about themselves. Pure; keeps numbers and names, never text.

Bodies are parsed only up to a bound; what is larger, compressed or no JSON leaves its fields None, never guessed.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from collector.schema.columns import COUNT_MAX, clean_token
from collector.sources.outcome import OK, TRUNCATED, Ending, ending_of_error, ending_of_status, error_in
from collector.sources.sse import SseParser

PARSE_BYTES_MAX = 1024 * 1024


def is_generation(method: str, path: str) -> bool:
    """True if the call asks for a generation: what counts as a request."""
    return method == "POST" and path.partition("?")[0].rstrip("/").endswith("/completions")


class BoundedBody:
    """Collects a body up to ``PARSE_BYTES_MAX``; a larger one is forgotten."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Add a piece."""
        self._size += len(chunk)
        if self.overflowed:
            self._parts.clear()
        else:
            self._parts.append(chunk)

    @property
    def overflowed(self) -> bool:
        """True if the body is too large to be parsed."""
        return self._size > PARSE_BYTES_MAX

    def parsed(self) -> object:
        """Return the JSON value, or None."""
        try:
            return orjson.loads(b"".join(self._parts)) if self._parts else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What the request asked for."""

    model: str | None
    stream: bool | None


def request_facts(body: object) -> RequestFacts:
    """Return model and stream flag of a parsed request body.

    >>> request_facts({"model": "GPT-4", "stream": True})
    RequestFacts(model='GPT-4', stream=True)
    """
    if not isinstance(body, dict):
        return RequestFacts(model=None, stream=None)
    model, stream = body.get("model"), body.get("stream")
    return RequestFacts(
        model=clean_token(model) if isinstance(model, str) else None,
        stream=stream if isinstance(stream, bool) else False,
    )


class ResponseObserver:
    """Watches a response go by.

    Attributes:
        first_token_at: us, of the first streamed piece that carries output; None for one that is not streamed.
        finish_reason: the server's word, cleaned.
    """

    def __init__(self, *, status: int, content_type: str, encoded: bool) -> None:
        self._status = status
        self._readable = not encoded
        self._sse = SseParser() if content_type.startswith("text/event-stream") and status < 400 else None
        self._body = BoundedBody()
        self._usage: dict[str, Any] = {}
        self._error: Ending | None = None
        self._done = False
        self.first_token_at: int | None = None
        self.finish_reason: str | None = None

    def feed(self, chunk: bytes, now_us: int) -> None:
        """Look at one piece of the response's body."""
        if not self._readable:
            return
        if self._sse is None:
            self._body.feed(chunk)
            return
        for data in self._sse.feed(chunk):
            self._on_event(data, now_us)

    def end(self) -> Ending:
        """Return how the response ended, given that its last byte came."""
        if self._sse is not None:
            if self._error is not None:
                return self._error
            complete = self._done or self.finish_reason is not None or not self._readable
            return OK if complete else TRUNCATED
        body = self._body.parsed()
        if isinstance(body, dict):
            self._note(body)
        return ending_of_status(self._status, body)

    def tokens(self) -> dict[str, int | None]:
        """Return the token counts of the usage report, as event fields; None where it says nothing."""
        usage = self._usage
        return {
            "request_tokens": _count(usage.get("prompt_tokens")),
            "response_tokens": _count(usage.get("completion_tokens")),
            "cached_tokens": _count(_detail(usage, "prompt_tokens_details", "cached_tokens")),
            "reasoning_tokens": _count(_detail(usage, "completion_tokens_details", "reasoning_tokens")),
        }

    def _on_event(self, data: bytes, now_us: int) -> None:
        if data == b"[DONE]":
            self._done = True
            return
        try:
            event = orjson.loads(data)
        except ValueError:
            return
        if not isinstance(event, dict):
            return
        error = error_in(event)
        if error is not None and self._error is None:
            self._error = ending_of_error(error)
        self._note(event)
        if self.first_token_at is None and any(map(_has_output, _choices(event))):
            self.first_token_at = now_us

    def _note(self, event: dict[str, Any]) -> None:
        usage = event.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        for choice in _choices(event):
            reason = choice.get("finish_reason")
            if isinstance(reason, str):
                self.finish_reason = clean_token(reason[:64])


def _choices(event: dict[str, Any]) -> list[dict[str, Any]]:
    choices = event.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _has_output(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return any(value for name, value in delta.items() if name != "role")
    return bool(choice.get("text"))


def _detail(usage: dict[str, Any], table: str, name: str) -> object:
    details = usage.get(table)
    return details.get(name) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= COUNT_MAX else None
