"""A real tokenizer, if there is one: the only file that asks for the `tokenizers` package, and only when told to."""

import importlib
from collections.abc import Callable

from collector.schema.errors import OperatorError


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
