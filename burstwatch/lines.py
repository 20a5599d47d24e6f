"""JSON lines on standard output, for whoever reads them, as long as they do."""

import os
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
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what is still buffered is written at exit
        os.close(nowhere)
        return False
    return True
