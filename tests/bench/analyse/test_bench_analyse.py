"""A trace of BurstGPT_3's size read and analysed: beside pandas and duckdb, who answer a part of the questions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.tables import Table

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

ROWS = int(os.environ.get("BURSTWATCH_BENCH_ROWS", "5344021"))
SUBJECTS = Path(__file__).with_name("subjects.py")
ROOT = Path(__file__).parents[3]
PEERS = ROOT / "build" / "bench-venv" / "bin" / "python"
ROUNDS = 3


def test_a_trace_of_burstgpts_size_is_analysed(tmp_path):
    trace = tmp_path / "trace.csv"
    _run("make", trace, str(ROWS))
    table = Table(
        "analyse",
        f"{ROWS:,} rows, {trace.stat().st_size / 1e6:.0f} MB of CSV; fresh processes, imports included; "
        f"least of {ROUNDS}; basic: CV per window and class, failures per hour, quantiles of lengths",
    )
    found = {}
    for what in ("read", "basic", "pandas", "duckdb", "everything", "command"):
        runs = [_run(what, trace) for _ in range(ROUNDS)]
        if runs[0] is None:
            table.add(f"{what}: not installed here nor in build/bench-venv")
            continue
        found[what] = runs[0]["answer"]
        least = {name: min(run[name] for run in runs) for name in ("wall_s", "cpu_s", "peak_mb")}
        table.add(_NAMES[what], **least, rows_per_cpu_s=ROWS / least["cpu_s"])
    table.finish()
    for peer in ("pandas", "duckdb"):
        assert found.get(peer, found["basic"]) == pytest.approx(found["basic"], rel=1e-6)
    assert found["command"][:2] == [0, True]
    assert found["everything"][0] == ROWS
    assert found["everything"][3] == found["basic"][3]


_NAMES = {
    "read": "burstwatch: read",
    "basic": "burstwatch: read, basic questions",
    "pandas": "pandas: read, basic questions",
    "duckdb": "duckdb: read, basic questions",
    "everything": "burstwatch: read, everything, every class, one process",
    "command": "burstwatch trace analyze FILE (two processes; MB of both)",
}


def _run(what, trace, *more):
    """Run a subject in a process of its own; None if its library is nowhere."""
    python = sys.executable if what not in {"pandas", "duckdb"} else _python_with(what)
    if python is None:
        return None
    command = [str(python), str(SUBJECTS), what, str(trace), *more]
    done = subprocess.run(
        command, check=True, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return json.loads(done.stdout)


def _python_with(library):
    for python in (sys.executable, PEERS):
        command = [str(python), "-c", f"import {library}"]
        if Path(python).exists() and subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return python
    return None
