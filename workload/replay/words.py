"""Prompts made of plain words: the built-in pool or the user's texts, cut to any number of words, seeded. Pure.

A prompt's first words are its own (its number written in words), so no prefix cache answers for work that the
recorded service had to do.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

# 256 short common English words: each, with the space before it, is one token of the usual vocabularies.
WORDS = tuple(
    """
    the of and to in a is that for it as was with be by on not he his but at are this have from or had an they
    which one you were all her she there would their we him been has when who will no more if out so up said what
    its about than into them can only other time new some could these two may first then do any like my now over
    such our man me even most made after also did many off before must well back through years where much your way
    down should because long each just state those people too mr how little good world make very year still see own
    work men day get here between both life being under three never know same last another while us might great old
    go come since against right came take used himself few house use during without again place around however home
    small found thought went say part once high general upon school every does got united number hand course water
    until always away public something fact less though put think almost head far enough end took yet hour nothing
    city better night set told left side need light kind open business large name best change play book line young
    study real air idea door car river order power white girl town tree word paper music black table money street
    red green voice south north early late ground rest feel close able deep plan farm ship cold deal
    """.split()  # noqa: SIM905 - a block of words is read more easily than 256 quoted ones
)
_POOL_WORDS = 1 << 16
PREFIX_WORDS = 4


class WordPool:
    """A long text of words from which prompts are cut; a prompt of n words costs one copy, however long.

    Args:
        seed: the same seed gives the same prompts.
        texts: the user's prompts; None: made-up text of ``WORDS``.
        own_prefix: a prompt begins with its number in words, four of them (so with up to 4,294,967,296 numbers no two
            prompts of four words begin alike; a shorter prompt holds the first of them).
        cost: the size of a word with a space before it, 1 or more; None: 1. With a tokenizer's count of tokens here,
            prompts are sized in tokens: tokenizers cut at spaces first, so a text's tokens are its words' together.
    """

    def __init__(
        self,
        seed: int,
        texts: Sequence[str] | None = None,
        *,
        own_prefix: bool = True,
        cost: Callable[[str], int] | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        self._own_prefix = own_prefix
        # Which number a word stands for is the seed's, so that another run's prompts begin otherwise.
        self._digits = [WORDS[i] for i in rng.permutation(len(WORDS))]
        self._first = int(rng.integers(1 << 32))
        if texts is None:
            words = [WORDS[i] for i in rng.integers(len(WORDS), size=_POOL_WORDS)]
            self._starts = rng.integers(_POOL_WORDS, size=4096).tolist()
        else:
            each = [text.split() for text in texts]
            self._starts = [0, *accumulate(map(len, each))][:-1]
            words = [word for text in each for word in text]
        if not words:
            raise ValueError("at least one word is needed")
        self._costs = {word: 1 if cost is None else max(1, cost(f" {word}")) for word in {*words, *WORDS}}
        self._filler = min(WORDS, key=self._costs.__getitem__)
        self._text = " ".join(words)
        # Where each word begins in the text (and where the text would go on), and the size of all words before it.
        self._offsets = np.cumsum([0, *(len(word) + 1 for word in words)])
        self._sizes = np.cumsum([0, *map(self._costs.__getitem__, words)])

    def prompt(self, number: int, size: int) -> str:
        """Return words of exactly ``size`` (1 or more) for request ``number``; at least one word.

        Only where no word is as small as what is left to fill is the size not met.
        """
        pieces = self._prefix(number, size) if self._own_prefix else []
        left = size - sum(map(self._costs.__getitem__, pieces))
        pieces += self._cut(number, left)
        return " ".join(pieces) or self._filler

    def _prefix(self, number: int, size: int) -> list[str]:
        """Return as many digits as there is room for, the first in any case."""
        place = (self._first + number) % (1 << 32)
        digits = [self._digits[place >> shift & 255] for shift in (0, 8, 16, 24)]
        sizes = accumulate(map(self._costs.__getitem__, digits))
        return [digit for i, (digit, total) in enumerate(zip(digits, sizes, strict=True)) if total <= size or not i]

    def _cut(self, number: int, size: int) -> list[str]:
        """Return pieces of the pool of this size together, from a place that the number decides."""
        total = len(self._sizes) - 1
        at = self._starts[number % len(self._starts)] % total  # an empty last text begins past the end
        pieces = []
        while size > 0:
            end = int(np.searchsorted(self._sizes, self._sizes[at] + size, side="right")) - 1
            if end == at:  # the next word is too large
                pieces += [self._filler] * (size // self._costs[self._filler])
                break
            pieces.append(self._text[self._offsets[at] : self._offsets[end] - 1])
            size -= int(self._sizes[end] - self._sizes[at])
            at = end % total
        return pieces
