"""Cumulative counts per class, exact for ever: what the Prometheus counters show."""

from collections import Counter
from dataclasses import dataclass, field

ClassKey = tuple[str, str]  # (model, log_type)


@dataclass(slots=True, kw_only=True)
class ClassTotals:
    """Everything ever applied for one class, late or not.

    Attributes:
        arrivals: requests submitted.
        completions: requests ended, by outcome.
        failures: completions with outcome ``failed``, by reason ("unknown" where none was given).
        request_tokens: sum over completions; ``response_tokens`` likewise.
    """

    arrivals: int = 0
    completions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    request_tokens: int = 0
    response_tokens: int = 0
