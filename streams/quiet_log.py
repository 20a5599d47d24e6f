"""A library that says the same thing a hundred times a second is heard once in a while, with a count."""

import logging
from collections.abc import Callable

EVERY_S = 30.0
KEPT_MAX = 1_000
_ALIKE = 40  # characters that make two ready-made texts the same


class Quiet(logging.Filter):
    """Lets each warning of the given loggers pass once in ``EVERY_S``; says how many were left out.

    What is no warning or worse passes: it tells what happened, and is not repeated.

    Without a broker aiokafka logs 140 lines a second: 90 MB an hour.
    """

    def __init__(self, names: tuple[str, ...], clock: Callable[[], float]) -> None:
        super().__init__()
        self._prefixes = tuple(f"{name}." for name in names)
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # when last passed, left out since

    def filter(self, record: logging.LogRecord) -> bool:
        """See ``logging.Filter``."""
        if record.levelno < logging.WARNING or not f"{record.name}.".startswith(self._prefixes):
            return True
        text = str(record.msg)
        key = (record.name, text if record.args else text[:_ALIKE])
        now = self._clock()
        passed, left_out = self._seen.get(key, (now - EVERY_S, 0))
        if now - passed < EVERY_S:
            self._seen[key] = (passed, left_out + 1)
            return False
        if len(self._seen) >= KEPT_MAX:
            self._seen.clear()
        self._seen[key] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} alike before)", ()
        return True
