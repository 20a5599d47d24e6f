"""One request inside the engine, and the blocks its keys and values lie in."""

from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """How a request left the engine; exactly one of these, exactly once."""

    STOP = "stop"  # it said all it had to say
    LENGTH = "length"  # it reached its token limit
    ABORT = "abort"  # the client went away
    TIMEOUT = "timeout"  # it waited too long for its first block


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence:
    """One request: what it asks for, how far it has come, what it holds. Only the scheduler changes it.

    Attributes:
        target_tokens: it ends after generating this many; ``LENGTH`` if that is ``max_tokens``, else ``STOP``.
        computed: tokens (prompt and generated) whose keys and values lie in the cache.
        blocks: cache blocks held; zero unless running.
        gap_max_s: the longest time between two of its tokens so far.
    """

    prompt_tokens: int
    target_tokens: int
    max_tokens: int
    arrived_s: float
    generated: int = 0
    computed: int = 0
    blocks: int = 0
    preemptions: int = 0
    admitted_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    gap_max_s: float = 0.0
    ended_s: float | None = None
    end: End | None = None

    @property
    def length(self) -> int:
        """Tokens it consists of so far: prompt and what was generated."""
        return self.prompt_tokens + self.generated


class KvCache:
    """A fixed number of blocks; who holds how many is written in the sequences themselves."""

    def __init__(self, *, blocks: int, block_tokens: int) -> None:
        self.total = blocks
        self.free = blocks
        self.block_tokens = block_tokens

    @property
    def usage_ratio(self) -> float:
        """Blocks in use, 0 to 1."""
        return 1.0 - self.free / self.total

    def missing(self, sequence: Sequence, tokens: int) -> int:
        """Return how many more blocks ``sequence`` needs before ``tokens`` of it fit."""
        return max(0, -(-tokens // self.block_tokens) - sequence.blocks)

    def take(self, sequence: Sequence, blocks: int) -> None:
        """Give ``blocks`` free blocks to ``sequence``. The caller has checked that there are as many."""
        self.free -= blocks
        sequence.blocks += blocks

    def release(self, sequence: Sequence) -> None:
        """Take every block back from ``sequence``; its keys and values are gone."""
        self.free += sequence.blocks
        sequence.blocks = 0
        sequence.computed = 0
