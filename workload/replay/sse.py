"""A streamed answer read as it comes: first token, usage, errors, end. Pure, and quick on long streams."""

from typing import Any

import orjson

EVENT_BYTES_MAX = 1 << 20


class SseReader:
    """Feed it the body's bytes in any pieces.

    Only the events before the first token, those that speak of an error and the last one with usage are
    parsed; the hundreds in between are looked at, not decoded.

    Attributes:
        started: a token has come.
        done: ``[DONE]`` has come.
        error: the error object a stream may carry in place of its rest (vLLM does, under status 200).
    """

    def __init__(self) -> None:
        self.started = False
        self.done = False
        self.error: dict[str, Any] | None = None
        self._rest = b""
        self._usage = b""

    def feed(self, data: bytes) -> None:
        """Take more of the body. An event beyond 1 MiB is an error of the server's."""
        if b"\r" in data:
            data = data.replace(b"\r", b"")
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            self._on_event(event)
        if len(self._rest) > EVENT_BYTES_MAX:
            self.error = {"message": "an event beyond 1 MiB"}
            self._rest = b""

    def response_tokens(self) -> int | None:
        """Return the completion tokens the server counted, None if it did not say."""
        fields = _json(self._usage)
        usage = fields.get("usage") if fields else None
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        return tokens if isinstance(tokens, int) else None

    def _on_event(self, event: bytes) -> None:
        if not event.startswith(b"data:"):
            return
        data = event[5:].strip()
        if data == b"[DONE]":
            self.done = True
            return
        if b'"usage"' in data:
            self._usage = data
        if not self.started or b'"error"' in data:
            self._look_into(data)

    def _look_into(self, data: bytes) -> None:
        fields = _json(data)
        if fields is None:
            return
        error = fields.get("error")
        if isinstance(error, dict):
            self.error = error
            return
        choices = fields.get("choices")
        self.started = self.started or (isinstance(choices, list) and any(map(_says_something, choices)))


def _says_something(choice: object) -> bool:
    if not isinstance(choice, dict):
        return False
    delta = choice.get("delta")
    return bool(choice.get("text") or (isinstance(delta, dict) and delta.get("content")))


def _json(data: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None
