"""Why a request failed: HTTP statuses and error objects as the closed set of reasons. Pure."""

from collections.abc import Mapping
from typing import Any

from collector.schema.events import Reason

_BY_STATUS = {
    401: Reason.AUTH,
    403: Reason.AUTH,
    408: Reason.TIMEOUT,
    429: Reason.RATE_LIMITED,
    503: Reason.OVERLOADED,
    504: Reason.TIMEOUT,
}


def reason_of(status: int, error: Mapping[str, Any] | None) -> Reason:
    """Return why a request with this status (or in-stream error ``code``) failed.

    A 400 is a prompt too long if the error says so, else an invalid request.
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        said = f"{(error or {}).get('message', '')} {(error or {}).get('type', '')}".lower()
        too_long = "context" in said and ("length" in said or "size" in said)
        return Reason.CONTEXT_LENGTH if too_long else Reason.INVALID_REQUEST
    return Reason.BACKEND_ERROR if status >= 500 else Reason.UNKNOWN
