"""Types of command-line values: argparse turns what they raise into one clear line and exit code 2."""

import argparse
from collections.abc import Callable
from pathlib import Path

from collector.schema.errors import OperatorError


def above_zero(text: str) -> float:
    """Return a finite number above zero."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above zero, not {text}")
    return value


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """Return a type that takes whole numbers from ``low`` to ``high``."""

    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {low} to {high}, not {value}")
        return value

    return number


def not_below_zero(text: str) -> float:
    """Return a finite number of zero or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be zero or more, not {text}")
    return value


def unreadable(path: Path | str, error: OSError) -> OperatorError:
    """Return what to raise where a trace cannot be read: one line, for a folder with the way out."""
    if isinstance(error, IsADirectoryError):
        return OperatorError(
            f"cannot read {path}: it is a folder; `burstwatch trace export` makes a trace of a capture"
        )
    return OperatorError(f"cannot read the trace {path}: {error.strerror or error}")


def require_file(path: Path, option: str) -> None:
    """Raise ``OperatorError`` if what is at ``path`` is no file: putting one in its place would end /dev/null."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe"
        raise OperatorError(f"cannot write {option} {path}: it is {what}, not a file")
