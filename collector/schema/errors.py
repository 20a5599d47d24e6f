"""Errors, sorted by who is to blame (h11's rule): the operator, or the input."""


class OperatorError(Exception):
    """The operator can mend this (wrong path, port taken, broker away).

    The message is one line that says what is wrong and what to do. Commands print it and exit 2.
    """


class BadMessage(Exception):  # noqa: N818 - named for what it is; "BadMessageError" says nothing more
    """Bytes that are not a valid schema-v1 message.

    Attributes:
        reason: short closed-set word, safe as a metric label (see ``REASONS``).
        detail: what exactly is wrong, bounded, never the payload itself.
    """

    REASONS = ("too_large", "not_json", "not_an_object", "version", "envelope", "columns", "value", "layout")

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail[:200]


class BadTrace(Exception):  # noqa: N818 - same
    """A trace file row or header that cannot be read; the message names the file's line."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line
        self.detail = detail
