"""The bytes the engine answers with: OpenAI's shapes as vLLM 0.32 writes them. Pure.

Text is filler: one word per token, so a client counting words sees the token count.
"""

from typing import Any

import orjson

from workload.engine.requests import ApiError, Ask

FINGERPRINT = "burstwatch-simulated-engine"
FILLER = " word"
DONE = b"data: [DONE]\n\n"


def error_body(error: ApiError) -> bytes:
    """Return an error as vLLM writes it."""
    inner = {"message": error.message, "type": error.type, "param": error.param, "code": error.status}
    return orjson.dumps({"error": inner})


def models_body(models: tuple[str, ...], *, max_model_len: int, created: int) -> bytes:
    """Return the answer to ``/v1/models``; the first name is the model's own, the others are aliases."""
    entries: list[dict[str, Any]] = [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "burstwatch",
            "root": models[0],
            "parent": None,
            "max_model_len": max_model_len,
            "permission": [],
        }
        for name in models
    ]
    return orjson.dumps({"object": "list", "data": entries})


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Return OpenAI's usage object."""
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
    }


class Reply:
    """One response's identity and everything that is said under it."""

    def __init__(self, ask: Ask, *, name: str, created: int) -> None:
        self._ask = ask
        kind = "chat.completion" if ask.chat else "text_completion"
        self._head: dict[str, Any] = {
            "id": f"{'chatcmpl' if ask.chat else 'cmpl'}-{name}",
            "object": f"{kind}.chunk" if ask.chat and ask.stream else kind,
            "created": created,
            "model": ask.model,
        }

    def body(self, tokens: int, finish: str) -> bytes:
        """Return the whole non-streamed answer."""
        text = FILLER * tokens
        said: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text, "refusal": None}} if self._ask.chat else {"text": text}
        )
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish, "stop_reason": None}
        counts = usage(self._ask.prompt_tokens, tokens)
        return orjson.dumps({**self._head, "choices": [choice], "system_fingerprint": FINGERPRINT, "usage": counts})

    def opening(self) -> bytes:
        """Return what precedes the first token: the role-only chunk of a chat, nothing for a completion."""
        if not self._ask.chat:
            return b""
        return self._event([{**_delta({"role": "assistant", "content": ""}), "finish_reason": None}])

    def chunk(self, tokens: int, finish: str | None) -> bytes:
        """Return one SSE event carrying ``tokens`` more tokens, and why it ended if it did."""
        text = FILLER * tokens
        said = _delta({"content": text}) if self._ask.chat else {"index": 0, "text": text, "logprobs": None}
        return self._event([{**said, "finish_reason": finish}])

    def closing(self, tokens: int) -> bytes:
        """Return what follows the last token: usage if it was asked for, and ``[DONE]``."""
        if not self._ask.include_usage:
            return DONE
        return self._event([], usage(self._ask.prompt_tokens, tokens)) + DONE

    def _event(self, choices: list[dict[str, Any]], counts: dict[str, int] | None = None) -> bytes:
        fields = {**self._head, "choices": choices}
        if counts is not None:
            fields["usage"] = counts
        return b"data: " + orjson.dumps(fields) + b"\n\n"


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None}
