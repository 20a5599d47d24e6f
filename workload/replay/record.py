"""One request of a replay: what was wanted of it, and what became of it."""

import math
from dataclasses import dataclass, field
from typing import Protocol

from workload.replay.answer import Answer
from workload.replay.schedule import Shot


@dataclass(slots=True, kw_only=True)
class Record:
    """A request from the moment it may leave. Times are seconds since the replay's start; NaN: not happened.

    Attributes:
        number: counts requests in the order they left.
        counted: False in the warm-up.
        planned_s: when it should leave; ``slot_wait_s``: how long it then waited at the bound of open requests.
        launched_s: when it was handed to the client; never less than that of a request launched before.
        sent_s: when its bytes were first given to the socket.
        answer: of the latest of its ``attempts``, in the clock's own time; ``start_s``: the replay's start there.
    """

    number: int
    shot: Shot
    counted: bool
    planned_s: float
    start_s: float
    launched_s: float = 0.0
    slot_wait_s: float = 0.0
    sent_s: float = math.nan
    attempts: int = 1
    answer: Answer = field(default_factory=Answer)

    @property
    def first_token_s(self) -> float:
        """Return when the first chunk with text came."""
        return math.nan if self.answer.first_s is None else self.answer.first_s - self.start_s

    @property
    def ended_s(self) -> float:
        """Return when it ended."""
        return math.nan if self.answer.ended_s is None else self.answer.ended_s - self.start_s

    @property
    def tpot_s(self) -> float:
        """Return seconds per token after the first; NaN if fewer than two tokens came or nobody counted them."""
        tokens = self.answer.response_tokens or 0
        return (self.ended_s - self.first_token_s) / (tokens - 1) if tokens > 1 else math.nan


class Observer(Protocol):
    """Is told of each request, three times."""

    def on_start(self, record: Record) -> None:
        """It is about to be sent."""

    def on_sent(self, record: Record) -> None:
        """Its bytes have left (never called if they did not)."""

    def on_end(self, record: Record) -> None:
        """It has ended, in whatever way."""
