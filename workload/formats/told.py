"""What a conversion could not carry over: said to the operator, never silent. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Told:
    """Counts in rows.

    Attributes:
        written: rows in the new file.
        dropped: by column: rows whose value the new format has no room for.
        refused: by reason: rows left out because the new format's readers cannot use them.
        changed: by what was done: rows that say something else than before.
        notes: what a reader of the new file must know, a sentence each.
        zero_us: the instant (microseconds since the epoch) that the new file counts from, where it is known.
    """

    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    zero_us: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "rows_written": self.written,
            "dropped_columns": dict(self.dropped),
            "refused_rows": dict(self.refused),
            "changed": dict(self.changed),
            "notes": self.notes,
            "zero": None if self.zero_us is None else iso(self.zero_us),
        }


def iso(time_us: int) -> str:
    """Return microseconds since the epoch as ISO 8601 UTC.

    >>> iso(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
