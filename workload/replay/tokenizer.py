"""A real tokenizer, if there is one: the only file that asks for the `tokenizers` package, and only when told to."""

import importlib
from collections.abc import Callable

from collector.schema.errors import OperatorError

_TRIALS = 6


def load_counter(path: str) -> Callable[[str], int]:
    """Return a function that counts a text's tokens by the ``tokenizer.json`` at ``path`` (without special tokens).

    Raises ``OperatorError`` if the package is not installed or the file is no tokenizer.
    """
    try:
        library = importlib.import_module("tokenizers")
    except ImportError:
        raise OperatorError(
            "--tokenizer needs the tokenizers package: pip install tokenizers (or leave it out: the words per token "
            "are then learned from the server's own counts)"
        ) from None
    try:
        tokenizer = library.Tokenizer.from_file(path)
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception for whatever is wrong
        raise OperatorError(f"cannot read --tokenizer {path} (a tokenizer.json is wanted): {error}") from None

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count


def fit_words(make: Callable[[int], str], count: Callable[[str], int], tokens: int) -> str:
    """Return ``make(words)`` with ``words`` chosen so that its tokens come as near to ``tokens`` as a few trials find.

    Pure. Each trial corrects the number of words by what was missing; the best text seen is returned.
    """
    words = max(tokens, 1)
    best, missed = "", float("inf")
    for _ in range(_TRIALS):
        text = make(words)
        off = count(text) - tokens
        if abs(off) < missed:
            best, missed = text, abs(off)
        if off == 0:
            break
        # In proportion while far away, one by one when near.
        step = round(off * words / (tokens + off)) if tokens + off > 0 else off
        words = max(1, words - (step or (1 if off > 0 else -1)))
    return best
