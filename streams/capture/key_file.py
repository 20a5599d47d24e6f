"""The key of a publication: a file that only its owner can read, made where there is none."""

import os
import secrets
from pathlib import Path

from collector.schema.errors import OperatorError
from streams.capture.publication import KEY_BYTES


def publication_key(path: Path, *, make: bool = True) -> bytes:
    """Return the key in ``path`` (64 hexadecimal digits), made if the file does not exist and ``make`` says so.

    Raises ``OperatorError`` for a file that holds something else, cannot be read or cannot be written.
    """
    try:
        if not path.exists() and make:
            _make(path)
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise OperatorError(f"cannot use the key file {path}: {error.strerror}") from None
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise OperatorError(f"{path} is no key: it must hold {2 * KEY_BYTES} hexadecimal digits")
    return key


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
