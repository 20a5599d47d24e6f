"""Prompts as block ids, for formats that cannot do without: kept where known, else ids that no other prompt has. Pure.

A prompt without ids would be an empty prompt to vLLM's timed_trace and an error to guidellm; distinct ids keep its
length and claim no shared prefix.
"""

from dataclasses import dataclass, field

from workload.formats.record import Record
from workload.formats.told import Told

INVENTED = "hash_ids made up (no prompt shares a prefix)"
SPLIT = "hash_ids split into smaller blocks (prompts share what they shared)"
REPLACED = "hash_ids of another block size replaced by made-up ones (no prompt shares a prefix)"

# Known ids lie below this in every published trace, so adding it keeps known and made-up ids apart.
_APART = 1 << 40


@dataclass(slots=True)
class Blocks:
    """Gives each record its ids for blocks of ``block_tokens`` tokens (``any_size``: or of the record's own size).

    Made-up ids count from 0 (guidellm keeps a list as long as the largest id), unless the first record has ids of its
    own: then those stay as they are and made-up ones start far above.
    """

    told: Told
    block_tokens: int
    any_size: bool = False
    _next: int | None = field(default=None)
    _shift: int = 0

    def of(self, record: Record) -> list[int]:
        """Return the block ids of the record's prompt: as many as it has begun blocks."""
        known = record.hash_ids
        if self._next is None:
            self._next, self._shift = (0, _APART) if known is None else (_APART, 0)
        if known is not None and (self.any_size or record.block_tokens in {None, self.block_tokens}):
            return [i + self._shift for i in known]
        n = -(-(record.request_tokens or 0) // self.block_tokens)
        if known is not None and (split := _split(known, record.block_tokens, self.block_tokens, n)) is not None:
            self.told.changed[SPLIT] += 1
            return [i + self._shift for i in split]
        self.told.changed[INVENTED if known is None else REPLACED] += 1
        first, self._next = self._next, self._next + n
        return list(range(first, first + n))


def _split(known: tuple[int, ...], large: int | None, small: int, n: int) -> list[int] | None:
    """Return ids of smaller blocks: each id becomes one for each part, so prompts share exactly what they shared.

    None if the sizes do not fit, the ids do not reach as far as the prompt, or are too large to be multiplied.
    """
    if large is None or large % small or len(known) * (parts := large // small) < n:
        return None
    if max(known, default=0) * parts >= _APART:
        return None
    return [known[i // parts] * parts + i % parts for i in range(n)]
