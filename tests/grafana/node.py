"""Where Grafana's own npm libraries are, and how their programs are run. `make test-grafana` installs them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests" / "grafana"
INSTALL = ROOT / "build" / "grafana-node"
BOARDS = sorted((ROOT / "dashboards" / "generated" / "boards").glob("*.json"))


def missing() -> str | None:
    """Return why these tests cannot run here, or nothing."""
    if not shutil.which("node"):
        return "node is not installed"
    if not (INSTALL / "node_modules" / "@grafana" / "ui").is_dir():
        return "Grafana's libraries are not in build/grafana-node: run make test-grafana"
    return None


needs_libraries = pytest.mark.skipif(missing() is not None, reason=missing() or "-")


def read_board(path: Path) -> dict:
    return json.loads(path.read_text())


def panels_of(board: dict) -> list[dict]:
    """Every panel that shows something, those inside collapsed rows too."""
    inner = [child for panel in board["panels"] for child in panel.get("panels", [])]
    return [panel for panel in board["panels"] + inner if panel["type"] != "row"]


def run_program(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of the installed programs, or node itself; what it says is returned, not judged."""
    program = shutil.which("node") if name == "node" else INSTALL / "node_modules" / ".bin" / name
    environment = os.environ | {"NODE_PATH": str(INSTALL / "node_modules")}
    return subprocess.run(
        [str(program), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=environment,
        cwd=INSTALL,
    )


def grafana_answers(questions: list[dict]) -> list:
    """What @grafana/data makes of each question; semantics.cjs says which there are."""
    done = run_program("node", str(HERE / "semantics.cjs"), stdin=json.dumps(questions))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
