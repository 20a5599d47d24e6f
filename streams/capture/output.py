"""Output files that appear whole or not at all: written aside, hashed on the way, renamed at the end."""

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from collector.schema.errors import OperatorError


def side_path(out: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to ``out``.

    >>> side_path(Path("a/trace.csv"), ".manifest.json").name
    'trace.manifest.json'
    """
    return out.with_name(out.stem + suffix)


class Output:
    """One output file. Trouble with the disk is the operator's: ``OperatorError`` names the path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f".{path.name}.tmp")
        self._hash = hashlib.sha256()
        self._bytes = 0
        try:
            self._file = self._aside.open("wb")
        except OSError as error:
            raise self._refused(error) from None

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._hash.update(data)
        self._bytes += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._refused(error) from None

    def facts(self) -> dict[str, Any]:
        """Return the file's name, size and sha256 for the manifest."""
        return {"name": self._path.name, "bytes": self._bytes, "sha256": self._hash.hexdigest()}

    def seal(self) -> None:
        """Return when everything written is on the disk, still under the hidden name."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._refused(error) from None

    def publish(self) -> None:
        """Give the sealed file its name, replacing what had it."""
        try:
            self._aside.replace(self._path)
        except OSError as error:
            raise self._refused(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk refuses the flush too; it was reported already
            self._file.close()
        with contextlib.suppress(OSError):
            self._aside.unlink(missing_ok=True)

    def _refused(self, error: OSError) -> OperatorError:
        return OperatorError(f"cannot write {self._path}: {error.strerror}; choose another --out")
