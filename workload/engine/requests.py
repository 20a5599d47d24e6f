"""What a client asks for, checked: JSON bodies of the two completion calls, with vLLM's errors.

Pure. A prompt is counted and dropped here; nothing behind this file ever sees it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson


class ApiError(Exception):
    """A request the engine answers with an error.

    Attributes:
        status: HTTP status.
        type: vLLM's error type, such as ``BadRequestError``.
        param: the field at fault, if there is one.
    """

    def __init__(self, status: int, message: str, *, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = kind
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A checked request. ``max_tokens`` None: the client set no limit."""

    chat: bool
    model: str
    prompt_tokens: int
    max_tokens: int | None
    ignore_eos: bool
    stream: bool
    include_usage: bool


def bad_request(message: str, param: str | None = None) -> ApiError:
    """Return vLLM's 400."""
    return ApiError(400, message, kind="BadRequestError", param=param)


def count_tokens(text: str) -> int:
    """Return the tokens of ``text``: one per whitespace-separated word. The engine has no tokenizer.

    >>> count_tokens("one two  three")
    3
    """
    return len(text.split())


def parse_ask(body: bytes, *, chat: bool, models: Sequence[str], any_model: bool = False) -> Ask:
    """Return the request in ``body``. Raises ``ApiError`` with the status and message vLLM would give.

    ``any_model``: the names in ``models`` are not the only ones served.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("the body is not valid JSON", "body") from None
    if not isinstance(fields, dict):
        raise bad_request("the body must be a JSON object", "body")
    model = fields.get("model", models[0])
    if not isinstance(model, str) or not (any_model or model in models):
        raise ApiError(
            404,
            f"The model `{str(model)[:80]}` does not exist. Valid aliases: {', '.join(models)}.",
            kind="NotFoundError",
            param="model",
        )
    if fields.get("n", 1) != 1:
        raise bad_request("this simulated engine serves n=1 only", "n")
    prompt_tokens = _chat_tokens(fields.get("messages")) if chat else _prompt_tokens(fields.get("prompt"))
    stream = _flag(fields, "stream")
    options = fields.get("stream_options") or {}
    if not isinstance(options, dict):
        raise bad_request("stream_options must be an object", "stream_options")
    return Ask(
        chat=chat,
        model=model,
        prompt_tokens=prompt_tokens,
        max_tokens=_max_tokens(fields),
        ignore_eos=_flag(fields, "ignore_eos"),
        stream=stream,
        include_usage=stream and _flag(options, "include_usage"),
    )


def _chat_tokens(messages: Any) -> int:  # noqa: ANN401 - JSON as the client sent it
    if not isinstance(messages, list) or not messages:
        raise bad_request("messages must be a list of at least one message", "messages")
    total = 0
    for message in messages:
        if not isinstance(message, dict):
            raise bad_request("each message must be an object", "messages")
        content = message.get("content")
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            text = part.get("text") if isinstance(part, dict) else part
            total += count_tokens(text) if isinstance(text, str) else 0
    return max(total, 1)


def _prompt_tokens(prompt: Any) -> int:  # noqa: ANN401 - JSON as the client sent it
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, list) and prompt and all(isinstance(token, int) for token in prompt):
        return len(prompt)
    if not isinstance(prompt, str):
        raise bad_request("prompt must be one string or one list of token ids", "prompt")
    return max(count_tokens(prompt), 1)


def _max_tokens(fields: dict[str, Any]) -> int | None:
    value = fields.get("max_completion_tokens")
    if value is None:
        value = fields.get("max_tokens")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise bad_request("max_tokens must be at least 1", "max_tokens")
    return value


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad_request(f"{name} must be true or false", name)
    return bool(value)
