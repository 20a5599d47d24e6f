"""An output file that appears whole or not at all; ``-`` is stdout."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from collector.schema.errors import OperatorError
from workload.arguments import require_file

STDOUT = "-"


@contextmanager
def writing(out: str) -> Iterator[Callable[[bytes], object]]:
    """Give what writes bytes to ``out``. On any exception the file is not there, or still as it was.

    Raises ``OperatorError`` if it cannot be written.
    """
    if out == STDOUT:
        try:
            yield sys.stdout.buffer.write
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # `| head` has seen enough; Python's own flush at the end must not complain either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        return
    with aside(out) as hidden, hidden.open("wb") as file:
        yield file.write
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def aside(out: str) -> Iterator[Path]:
    """Give the path of a hidden file beside ``out``, which takes its name at the end."""
    path = Path(out)
    require_file(path, "--out")
    hidden = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        try:
            yield hidden
            hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot write --out {out}: {error.strerror or error}") from None
