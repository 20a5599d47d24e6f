"""The columns of each event kind: type, nullability, bounds. The codec and the privacy proof read this table.

Text comes in two shapes on the wire. ``CODED`` columns repeat (model, node, ...): a dictionary of values
plus one integer code per event, -1 for absent. ``UNIQUE`` columns do not (ids): a plain list.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from collector.schema.events import API_LOG, CONVERSATION_LOG, Kind, Outcome, Reason

TOKEN_LEN_MAX = 128
TIME_US_MAX = 253_402_300_800_000_000  # the year 10000
COUNT_MAX = 2**53 - 1  # exact in a float64 and in every JSON reader

# Printable ASCII without the space: a name, a code or a hash, never prose.
_TOKEN = re.compile(r"[!-~]{1,128}")
_NOT_TOKEN = re.compile(r"[^!-~]+")


class ColumnType(StrEnum):
    """How a column's values look."""

    TIME = "time_us"
    COUNT = "count"
    RATIO = "ratio"
    FLAG = "flag"
    CODED = "coded_text"
    UNIQUE = "unique_text"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type, whether values may be absent, and (text) the closed set if there is one."""

    name: str
    type: ColumnType
    nullable: bool = False
    allowed: frozenset[str] | None = None


def _optional(kind: ColumnType, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, nullable=True) for name in names)


_LOG_TYPE = Column("log_type", ColumnType.CODED, allowed=frozenset({CONVERSATION_LOG, API_LOG}))
_OUTCOME = Column("outcome", ColumnType.CODED, allowed=frozenset(Outcome))
_REASON = Column("reason", ColumnType.CODED, nullable=True, allowed=frozenset(Reason))
_ORIGIN = (Column("source", ColumnType.CODED), Column("node", ColumnType.CODED))

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.ARRIVAL: (
        Column("id", ColumnType.UNIQUE),
        Column("submitted_at", ColumnType.TIME),
        *_optional(ColumnType.CODED, "model"),
        _LOG_TYPE,
        *_optional(ColumnType.CODED, "session"),
        *_optional(ColumnType.COUNT, "request_tokens"),
        *_ORIGIN,
    ),
    Kind.COMPLETION: (
        Column("id", ColumnType.UNIQUE),
        Column("submitted_at", ColumnType.TIME),
        *_optional(ColumnType.TIME, "first_token_at", "ended_at"),
        *_optional(ColumnType.CODED, "model"),
        _LOG_TYPE,
        *_optional(ColumnType.CODED, "session"),
        *_optional(ColumnType.COUNT, "request_tokens", "response_tokens", "cached_tokens", "reasoning_tokens"),
        *_optional(ColumnType.FLAG, "stream"),
        _OUTCOME,
        _REASON,
        *_optional(ColumnType.CODED, "reason_raw"),
        *_optional(ColumnType.COUNT, "http_status"),
        *_optional(ColumnType.CODED, "finish_reason"),
        *_ORIGIN,
    ),
    Kind.RESOURCE: (
        Column("at", ColumnType.TIME),
        *_optional(ColumnType.CODED, "engine", "gpu"),
        *_optional(ColumnType.COUNT, "gpu_used_bytes", "gpu_free_bytes", "gpu_reserved_bytes", "gpu_total_bytes"),
        *_optional(ColumnType.RATIO, "gpu_utilization_ratio"),
        *_optional(ColumnType.CODED, "mig", "service", "model"),
        *_optional(ColumnType.RATIO, "kv_cache_usage_ratio"),
        *_optional(ColumnType.COUNT, "running", "waiting", "preemptions_total"),
        *_optional(ColumnType.COUNT, "requests_ok_total", "requests_failed_total"),
        *_optional(ColumnType.COUNT, "request_tokens_total", "response_tokens_total"),
        *_ORIGIN,
    ),
}


def is_token(text: str) -> bool:
    """True if ``text`` may stand in a text column: 1 to 128 printable ASCII characters, no spaces."""
    return _TOKEN.fullmatch(text) is not None


def clean_token(text: str) -> str | None:
    r"""Return ``text`` made fit for a text column, or None if nothing is left.

    Runs of anything that is not printable ASCII (spaces, control characters, surrogates, emoji) become one
    underscore; the rest is cut at 128 characters. A clean token comes back unchanged.

    >>> clean_token("gpt 4\n turbo"), clean_token("GPT-4"), clean_token("")
    ('gpt_4_turbo', 'GPT-4', None)
    """
    return _NOT_TOKEN.sub("_", text[: 4 * TOKEN_LEN_MAX])[:TOKEN_LEN_MAX] or None
