"""Text into files that appear whole or not at all."""

import os
from pathlib import Path

from collector.schema.errors import OperatorError


def write_whole(path: Path, words: str) -> None:
    """Write ``words`` as UTF-8; a file of that name is replaced. Raises ``OperatorError`` if it cannot be written."""
    aside = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        try:
            aside.write_text(words, encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot write {path}: {error.strerror or error}") from None
