"""Real traces that are not part of the repository: found beside it, or in BURSTWATCH_SHARED."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("BURSTWATCH_SHARED", Path(__file__).parents[3] / "shared"))


def shared(name: str) -> Path:
    """Return the path of a file of the shared data; skips the test, saying why, where it is absent."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"no real data at {path}: set BURSTWATCH_SHARED to the folder that holds data/{name}")
    return path
