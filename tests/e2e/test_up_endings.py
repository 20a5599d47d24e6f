"""`burstwatch up` at its end, whoever brings it about: nothing runs on, nothing is pulled from under anybody."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from burstwatch.up.plan import Places, UpOptions
from burstwatch.up.processes import _HELD, Part, hold, start, stop
from burstwatch.up.run import Run
from burstwatch.up.screen import Screen
from collector.schema.errors import OperatorError
from tests.support.kafka_clients import wait_for


def _run(tmp_path, **options):
    places = Places(state=tmp_path, run_id="r", broker_port=1, engine_port=1, proxy_port=1, metrics_port=1, page_port=1)
    return Run(UpOptions(out=tmp_path, **options), places, Console(quiet=True))


def _ended(tmp_path, name, *args):
    child = start(Part(name, args), tmp_path)
    child.process.wait(20)
    return child


def test_a_load_that_breaks_off_is_no_success(tmp_path):
    run = _run(tmp_path)
    run._children["replay"] = _ended(tmp_path, "replay", "no-such-verb")
    assert run._work_ended()
    assert "replay ended with code 2: burstwatch: no command 'no-such-verb'" in run.failure
    fine = _run(tmp_path)
    fine._children["replay"] = _ended(tmp_path, "replay", "--version")
    assert fine._work_ended()
    assert fine.failure is None


def test_an_agent_that_dies_with_its_recording_half_told_is_not_done(tmp_path):
    run = _run(tmp_path, events=tmp_path / "x")
    run._children["agent"] = _ended(tmp_path, "agent", "no-such-verb")
    assert not run._work_ended()
    run._children["agent"] = _ended(tmp_path, "agent", "--version")
    assert run._work_ended()
    run._revive(Screen(Console(quiet=True), []))
    assert run._children["agent"].restarts == 0


def test_a_part_that_keeps_dying_is_named_with_its_last_words(tmp_path):
    run, screen = _run(tmp_path), Screen(Console(quiet=True), [])
    run._children["worker"] = _ended(tmp_path, "worker", "no-such-verb")
    run._logs = tmp_path
    with pytest.raises(OperatorError, match=r"worker keeps dying: burstwatch: no command 'no-such-verb'"):
        for _ in range(10):
            run._revive(screen)
            run._children["worker"].process.wait(20)
    assert run._children["worker"].restarts == 5


def test_a_folder_is_one_runs_until_its_last_part_has_ended(tmp_path):
    hold(tmp_path)
    with pytest.raises(OperatorError, match="another `burstwatch up` is using"):
        hold(tmp_path)
    child = start(Part("broker", ["broker", "--port", "0", "--data", str(tmp_path / "b")]), tmp_path)
    assert child.ready.wait(20)
    os.close(_HELD.pop())  # as when `up` itself is killed
    with pytest.raises(OperatorError, match="still ending"):
        hold(tmp_path)
    stop(child)
    hold(tmp_path)
    os.close(_HELD.pop())


@pytest.fixture
def up(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "burstwatch", "up", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if "00:05" in line:
            break
    process.parts = {pid: _arguments(pid) for pid in _below(process.pid)}
    assert sum("burstwatch" in arguments for arguments in process.parts.values()) == 7
    yield process
    for pid in process.parts:
        if _arguments(pid) == process.parts[pid]:
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stdout.close()


def _below(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = [int(line) for line in listed.stdout.split()]
    return children + [below for child in children for below in _below(child)]


def _arguments(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _nothing_left(process):
    return not [pid for pid, arguments in process.parts.items() if _arguments(pid) == arguments]


@pytest.mark.slow
def test_kill_9_of_up_leaves_nothing_running(up):
    up.kill()
    up.wait()
    wait_for(lambda: _nothing_left(up), "all parts to end", within_s=60)


@pytest.mark.slow
def test_a_second_ctrl_c_waits_for_nothing(up):
    for pid, arguments in up.parts.items():
        if "agent.toml" in arguments:
            os.kill(pid, signal.SIGSTOP)  # it can never drain
    up.send_signal(signal.SIGINT)
    wait_for(lambda: not [p for p, a in up.parts.items() if "replay" in a and _arguments(p) == a], "the drain to begin")
    up.send_signal(signal.SIGINT)
    assert up.wait(6) == 130
    wait_for(lambda: _nothing_left(up), "all parts to end", within_s=10)
