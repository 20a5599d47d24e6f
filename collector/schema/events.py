"""What can be said about a request or a node: three event kinds, schema v1.

Rules of this file:
- Times are integer microseconds since the Unix epoch. Absent is ``None``, never 0 or "".
- Every text field is a *token*: printable ASCII without spaces, bounded (see ``columns.py``).
  There is no field that could hold prompt or completion text; a test proves it.
"""

from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1

CONVERSATION_LOG = "Conversation log"
API_LOG = "API log"


class Kind(StrEnum):
    """Which event a message carries."""

    ARRIVAL = "arrival"
    COMPLETION = "completion"
    RESOURCE = "resource"


class Outcome(StrEnum):
    """How a request ended; decided once, at its terminal state."""

    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"  # the client went away


class Reason(StrEnum):
    """Why a request did not end ``ok``. Closed set: safe as a metric label."""

    CLIENT_DISCONNECT = "client_disconnect"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    CONTEXT_LENGTH = "context_length"
    INVALID_REQUEST = "invalid_request"
    AUTH = "auth"
    CONTENT_FILTER = "content_filter"
    OUT_OF_MEMORY = "out_of_memory"
    BACKEND_ERROR = "backend_error"
    CONNECTION_ERROR = "connection_error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request was submitted."""

    id: str
    submitted_at: int
    model: str | None = None
    log_type: str = API_LOG
    session: str | None = None
    request_tokens: int | None = None
    source: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A request reached its terminal state. ``ended_at`` is None where a recording does not know it."""

    id: str
    submitted_at: int
    first_token_at: int | None = None
    ended_at: int | None = None
    model: str | None = None
    log_type: str = API_LOG
    session: str | None = None
    request_tokens: int | None = None
    response_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    stream: bool | None = None
    outcome: str
    reason: str | None = None
    reason_raw: str | None = None
    http_status: int | None = None
    finish_reason: str | None = None
    source: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A node's memory or engine state at one instant. Gauges in base units; counters as the engine counts."""

    at: int
    engine: str | None = None
    gpu: str | None = None
    gpu_used_bytes: int | None = None
    gpu_free_bytes: int | None = None
    gpu_reserved_bytes: int | None = None
    gpu_total_bytes: int | None = None
    gpu_utilization_ratio: float | None = None
    mig: str | None = None
    service: str | None = None
    model: str | None = None
    kv_cache_usage_ratio: float | None = None
    running: int | None = None
    waiting: int | None = None
    preemptions_total: int | None = None
    requests_ok_total: int | None = None
    requests_failed_total: int | None = None
    request_tokens_total: int | None = None
    response_tokens_total: int | None = None
    source: str
    node: str


Event = Arrival | Completion | Resource
EVENT_TYPES: dict[Kind, type[Arrival] | type[Completion] | type[Resource]] = {
    Kind.ARRIVAL: Arrival,
    Kind.COMPLETION: Completion,
    Kind.RESOURCE: Resource,
}
