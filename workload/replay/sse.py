"""A streamed answer read as it comes: first token, usage, errors, end. Pure, and quick on long streams."""

from typing import Any

import orjson

from collector.schema.columns import COUNT_MAX

EVENT_BYTES_MAX = 1 << 20


class SseReader:
    """Feed it the body's bytes in any pieces.

    Attributes:
        chunks: events with text so far. A server may put several tokens into one.
        done: ``[DONE]`` has come.
        error: the error object a stream may carry in place of its rest (vLLM does, under status 200).
        texts: the answer's text in pieces, if it was asked to be kept.
    """

    def __init__(self, *, keep_text: bool = False) -> None:
        self.chunks = 0
        self.done = False
        self.error: dict[str, Any] | None = None
        self.texts: list[str] = []
        self._keep_text = keep_text
        self._rest = b""
        self._usage: dict[str, Any] = {}

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

    def count(self, name: str) -> int | None:
        """Return what the server's usage says of ``name``, such as ``completion_tokens``; None if it does not."""
        return _whole(self._usage.get(name))

    def cached_tokens(self) -> int | None:
        """Return how many prompt tokens came from a prefix cache, None if the server did not say."""
        details = self._usage.get("prompt_tokens_details")
        return _whole(details.get("cached_tokens")) if isinstance(details, dict) else None

    def _on_event(self, event: bytes) -> None:
        data = _data(event)
        if data is None:
            return
        if data == b"[DONE]":
            self.done = True
            return
        fields = _json(data)
        if fields is None:
            return
        error = fields.get("error")
        if isinstance(error, dict):
            self.error = error
            return
        usage = fields.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = fields.get("choices")
        said = [text for choice in choices if (text := _said(choice))] if isinstance(choices, list) else []
        self.chunks += bool(said)
        if self._keep_text:
            self.texts += said


def _data(event: bytes) -> bytes | None:
    """Return the event's data, None if it has none: comments and fields such as ``event:`` may stand around it."""
    if event.startswith(b"data:") and b"\n" not in event:  # nearly all are
        return event[5:].strip()
    found = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(found) if found else None


def _said(choice: object) -> str:
    """Return what a choice adds, thoughts and tool calls as well as text; empty for a role alone or an end."""
    if not isinstance(choice, dict):
        return ""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        text = choice.get("text")
        return text if isinstance(text, str) else ""
    for name in ("content", "reasoning_content", "reasoning"):
        if isinstance(text := delta.get(name), str) and text:
            return text
    return "tool" if delta.get("tool_calls") else ""


def _whole(value: object) -> int | None:
    """Return a count of tokens; None for what cannot be one, so that no trace gets a row nobody can read."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX else None


def _json(data: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None
