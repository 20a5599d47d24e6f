"""How a request ended, from what an OpenAI-compatible server said: status codes and error objects. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.schema.columns import clean_token
from collector.schema.events import Outcome, Reason

_BY_STATUS = {
    401: Reason.AUTH,
    403: Reason.AUTH,
    408: Reason.TIMEOUT,
    429: Reason.RATE_LIMITED,
    499: Reason.CLIENT_DISCONNECT,
    502: Reason.CONNECTION_ERROR,
    503: Reason.OVERLOADED,
    504: Reason.TIMEOUT,
    529: Reason.OVERLOADED,
}
# What servers write where they mean it (vLLM, llama.cpp, OpenAI, LiteLLM), lower case; the first match counts.
_BY_WORDS: tuple[tuple[tuple[str, ...], Reason], ...] = (
    (("context_length", "context length", "max_model_len", "exceed_context", "context size"), Reason.CONTEXT_LENGTH),
    (("content_filter", "content_policy", "content management"), Reason.CONTENT_FILTER),
    (("out of memory", "outofmemory", "out_of_memory"), Reason.OUT_OF_MEMORY),
    (("rate_limit", "rate limit", "insufficient_quota"), Reason.RATE_LIMITED),
    (("overloaded", "unavailable"), Reason.OVERLOADED),
    (("timeout", "timed out"), Reason.TIMEOUT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Outcome, reason, and the server's own word for it: a cleaned code or type, never its message."""

    outcome: Outcome
    reason: Reason | None = None
    reason_raw: str | None = None


OK = Ending(outcome=Outcome.OK)
CLIENT_GONE = Ending(outcome=Outcome.CANCELLED, reason=Reason.CLIENT_DISCONNECT)
CONNECTION_LOST = Ending(outcome=Outcome.FAILED, reason=Reason.CONNECTION_ERROR)
TIMED_OUT = Ending(outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
TRUNCATED = Ending(outcome=Outcome.FAILED, reason=Reason.BACKEND_ERROR, reason_raw="truncated_stream")


def ending_of_status(status: int, body: object = None) -> Ending:
    """Return how a response with ``status`` and parsed ``body`` (or None) ended.

    >>> ending_of_status(200).outcome.value, ending_of_status(429).reason.value
    ('ok', 'rate_limited')
    """
    error = error_in(body)
    if status < 400:
        return OK if error is None else ending_of_error(error)
    reason = _BY_STATUS.get(status)
    if reason is None:
        reason = Reason.INVALID_REQUEST if status < 500 else Reason.BACKEND_ERROR
    if status in {400, 413, 422, 500} and error is not None:
        reason = _by_words(error) or reason
    return Ending(outcome=Outcome.FAILED, reason=reason, reason_raw=_raw(error))


def error_in(body: object) -> Mapping[str, Any] | None:
    """Return the error object of a parsed body or stream event, in the shapes servers use; None if none."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": error}
    return body if body.get("object") == "error" else None


def ending_of_error(error: Mapping[str, Any]) -> Ending:
    """Return how a request ended whose stream (status 200) carried ``error``."""
    code = error.get("code")
    reason = _by_words(error)
    if reason is None and type(code) is int and 400 <= code < 600:
        reason = ending_of_status(code).reason
    return Ending(outcome=Outcome.FAILED, reason=reason or Reason.BACKEND_ERROR, reason_raw=_raw(error))


def _by_words(error: Mapping[str, Any]) -> Reason | None:
    said = " ".join(str(error.get(name, ""))[:500] for name in ("code", "type", "message")).lower()
    return next((reason for words, reason in _BY_WORDS if any(word in said for word in words)), None)


def _raw(error: Mapping[str, Any] | None) -> str | None:
    for name in ("code", "type"):
        value = (error or {}).get(name)
        if isinstance(value, str) and value:
            return clean_token(value[:64])
    return None
