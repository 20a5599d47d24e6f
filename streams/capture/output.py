"""Output files that appear whole or not at all: written aside, hashed, renamed at the end."""

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from collector.schema.errors import OperatorError

_BLOCK = 1 << 20


def side_path(out: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to ``out``.

    >>> side_path(Path("a/trace.csv"), ".manifest.json").name
    'trace.manifest.json'
    """
    return out.with_name(out.stem + suffix)


class Aside:
    """A file under a hidden name until it is published. Trouble with the disk is the operator's: ``OperatorError``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f".{path.name}.tmp")
        self._hash = hashlib.sha256()
        self._bytes = 0

    def facts(self) -> dict[str, Any]:
        """Return the file's name, size and sha256 for the manifest."""
        return {"name": self._path.name, "bytes": self._bytes, "sha256": self._hash.hexdigest()}

    def hash_file(self) -> None:
        """Take size and hash from the file, where they were not taken on the way; put it on the disk."""
        try:
            with self._aside.open("rb") as file:
                while block := file.read(_BLOCK):
                    self._hash.update(block)
                    self._bytes += len(block)
                os.fsync(file.fileno())
        except OSError as error:
            raise self._refused(error) from None

    def seal(self) -> None:
        """Return when everything written is on the disk, still under the hidden name."""

    def publish(self) -> None:
        """Give the sealed file its name, replacing what had it."""
        try:
            self._aside.replace(self._path)
        except OSError as error:
            raise self._refused(error) from None

    def discard(self) -> None:
        """Remove what is still under the hidden name."""
        with contextlib.suppress(OSError):
            self._aside.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _refused(self, error: OSError) -> OperatorError:
        return OperatorError(f"cannot write {self._path}: {error.strerror or error}; choose another --out")


class Output(Aside):
    """One output file that is written as bytes, from its beginning to its end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
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

    def seal(self) -> None:
        """See ``Aside``."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._refused(error) from None

    def discard(self) -> None:
        """See ``Aside``."""
        with contextlib.suppress(OSError):  # a full disk refuses the flush too; it was reported already
            self._file.close()
        super().discard()
