"""Instants as operators write them. Pure."""

from datetime import UTC, datetime

from collector.schema.columns import TIME_US_MAX
from collector.schema.errors import OperatorError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(option: str, text: str | None, other: str | None = None) -> int | None:
    """Return an ISO 8601 instant (UTC unless it says otherwise) as microseconds since the epoch, None for None.

    Raises ``OperatorError`` naming the ``option`` (and what ``other`` text it takes) for anything else, also for
    times before 1970.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = datetime.min  # noqa: DTZ901 - only fails the range check below
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    since = instant - _EPOCH
    found = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not 0 <= found <= TIME_US_MAX:
        nor = f", nor {other}" if other else ""
        raise OperatorError(f"{option} {text!r} is not a time such as 2026-11-01T00:00:00Z{nor}")
    return found
