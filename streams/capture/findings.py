"""What a verification found: problems, which leave something unproven, and notes. Pure."""

from dataclasses import dataclass, field
from typing import Any

PROBLEMS_MAX = 20


@dataclass(slots=True)
class Findings:
    """Findings so far, problems beyond ``PROBLEMS_MAX`` only counted; ``checked`` says what was looked at."""

    checked: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    more: int = 0

    def problem(self, text: str) -> None:
        """Add something that is not as it must be."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(text)
        else:
            self.more += 1

    def note(self, text: str) -> None:
        """Add something to know that proves nothing wrong."""
        self.notes.append(text)

    @property
    def proven(self) -> bool:
        """True without a problem."""
        return not self.problems

    def facts(self) -> dict[str, Any]:
        """Return everything for ``--json``."""
        return {
            "proven": self.proven,
            "checked": self.checked,
            "problems": self.problems,
            "more_problems": self.more,
            "notes": self.notes,
        }
