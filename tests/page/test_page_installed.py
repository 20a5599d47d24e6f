"""The page from an installed wheel: its files, the vendored library and the runbook travel with the package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_carries_the_page_and_the_runbook(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=110)
    (wheel,) = tmp_path.glob("burstwatch-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    look = (
        "from burstwatch.page.runbook import read_runbook, runbook_page\n"
        "from burstwatch.page.server import PageConfig, PageServer\n"
        "import burstwatch; print(burstwatch.__file__)\n"
        "PageServer(PageConfig(), None)\n"
        "assert '<h2 id=' in runbook_page(read_runbook())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    static = tmp_path / "installed/burstwatch/page/static"
    assert {p.name for p in (static / "vendor").iterdir()} == {
        "LICENSE.uPlot.txt",
        "VENDORED.md",
        "uPlot.esm.js",
        "uPlot.min.css",
    }
