"""What a conversion could not carry over: said to the operator, never silent. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Told:
    """Counts in rows.

    Attributes:
        written: rows in the new file.
        dropped: by column: rows whose value the new format has no room for.
        refused: by reason: rows left out because the new format's readers cannot use them.
        changed: by what was done: rows that say something else than before.
        notes: what a reader of the new file must know, a sentence each.
    """

    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "rows_written": self.written,
            "dropped_columns": dict(self.dropped),
            "refused_rows": dict(self.refused),
            "changed": dict(self.changed),
            "notes": self.notes,
        }
