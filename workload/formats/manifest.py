"""The manifest beside an exported trace: what it says counts only for the very file that it was written for."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says, its file's name, and why it is not of the trace as it is now (empty: it is)."""

    name: str
    said: dict[str, Any]
    differs: str

    @property
    def origin(self) -> str | None:
        """What second 0 was, ISO 8601; None where the manifest does not say, or is of another file."""
        found = self.said.get("origin")
        return found if isinstance(found, str) and not self.differs else None

    @property
    def warning(self) -> str:
        """For the operator where the trace was changed since; else empty."""
        return f"{self.name} is not of this file any more ({self.differs}): nothing is taken from it"


def manifest_beside(path: Path) -> Manifest | None:
    """Return ``NAME.manifest.json`` beside the trace ``NAME.ext``; None if there is none that names this file.

    Size and sha256 are compared where the manifest has them (those of `trace export` do).
    """
    beside = path.with_name(f"{path.stem}.manifest.json")
    try:
        said = orjson.loads(beside.read_bytes())
        told = said["files"]["trace"]
        if told["name"] != path.name:
            return None
        return Manifest(beside.name, said, _difference(path, told))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a file of that name that is no manifest of ours


def told_manifest(path: Path) -> Manifest | None:
    """As ``manifest_beside``, but None, and a line on stderr, where the trace is another by now."""
    found = manifest_beside(path)
    if found is not None and found.differs:
        sys.stderr.write(f"note: {found.warning}\n")
        return None
    return found


def _difference(path: Path, told: dict[str, Any]) -> str:
    size, wanted = path.stat().st_size, told.get("bytes")
    if wanted is not None and wanted != size:
        return f"it has {size:,} bytes, not {wanted:,}"
    if (digest := told.get("sha256")) is None:
        return ""
    with path.open("rb") as file:
        return "" if hashlib.file_digest(file, "sha256").hexdigest() == digest else "its sha256 differs"
