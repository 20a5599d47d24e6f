"""The tests for a real Grafana, run at our stand-in, so that they run on the day somebody has one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fake_grafana import TOKENS, FakeGrafana

LIVE = Path(__file__).with_name("test_push_live.py")


def rehearse(**environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRAFANA_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "grafana", "-p", "no:cacheprovider", str(LIVE)]
    return subprocess.run(
        command, env=clean | environ, capture_output=True, text=True, check=False, timeout=110, cwd=LIVE.parents[2]
    )


def test_all_of_them_pass_and_leave_nothing_behind(grafana: FakeGrafana):
    grafana.migrates = True
    who = {"GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": next(iter(TOKENS))}
    done = rehearse(**who, GRAFANA_PROMETHEUS_URL="http://prometheus:9090")
    assert re.search(r"\n\d+ passed in", done.stdout), done.stdout
    assert "POST /api/ds/query" in grafana.writes
    left = (grafana.folders, grafana.boards, grafana.sources, grafana.groups, grafana.points, grafana.annotations)
    assert left == ({}, {}, {}, {}, {}, {})


@pytest.mark.slow
def test_without_a_grafana_they_are_skipped_and_say_what_they_need():
    done = rehearse()
    assert done.returncode == 0
    assert "passed" not in done.stdout
    assert "needs a real Grafana in GRAFANA_URL" in done.stdout
