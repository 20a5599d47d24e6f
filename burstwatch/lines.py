"""JSON lines on standard output, for whoever reads them, as long as they do."""

import os
import select
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def print_lines(messages: Iterable[Mapping[str, Any]]) -> bool:
    """Write each message as a line. Returns False, quietly, once the reader has gone (``| head``), else True."""
    try:
        for message in messages:
            sys.stdout.buffer.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        forget_reader()
        return False
    return True


def reader_has_gone() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    asked = select.poll()
    try:
        asked.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in asked.poll(0))
    except (OSError, ValueError):  # closed, or (under test) no file at all
        return False


def forget_reader() -> None:
    """Send what is still buffered, and what comes, nowhere: the interpreter would complain of it at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
