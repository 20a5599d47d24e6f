"""The agent as processes, without any broker: what it refuses, what it survives while it drains."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture
def agent(tmp_path):
    """A ready agent with eight proxies, whose upstream and Kafka are not there."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    agent = f'[agent]\nspool_dir = "spool"\ndrain_s = 4\n[kafka]\nbootstrap_servers = "127.0.0.1:{port}"\n'
    proxy = '[[sources]]\ntype = "proxy"\nservice = "s"\nlisten = "127.0.0.1:0"\n'
    (tmp_path / "agent.toml").write_text(agent + 8 * (proxy + f'upstream = "http://127.0.0.1:{port}"\n'))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "burstwatch", "agent", "-c", str(tmp_path / "agent.toml")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, most)),  # noqa: PLW1509 - a test
        )
    try:
        process.url = json.loads(process.stdout.readline())["proxies"][0]
        process.log = (tmp_path / "log").read_text
        process.status = lambda: json.loads((tmp_path / "spool" / "status.json").read_text())
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def child(process, name):
    command = ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(int(line.split()[0]) for line in listed.stdout.splitlines() if f"collector.{name}" in line)


def until(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to be")


def request(process):
    ask = urllib.request.Request(f"{process.url}/v1/chat/completions", data=b'{"model":"m"}')
    with pytest.raises(urllib.error.HTTPError, match="502"):
        urllib.request.urlopen(ask, timeout=5)


def test_a_shipper_that_dies_while_the_agent_drains_is_started_again(agent):
    request(agent)
    until(lambda: agent.status()["spooled"] == 2)
    agent.send_signal(signal.SIGTERM)
    until(lambda: "event=agent_drain" in agent.log())
    time.sleep(0.5)
    shipper = child(agent, "shipper")
    os.kill(shipper, signal.SIGKILL)
    assert agent.wait(20) == 0, agent.log()
    assert "Traceback" not in agent.log()
    assert agent.status()["shipper"]["restarts"] == 1
    assert agent.status()["spooled"] == 2


def test_the_process_that_serves_may_open_as_many_files_as_the_system_lets_it(agent):
    limits = Path(f"/proc/{child(agent, 'sidecar')}/limits").read_text()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    line = next(line.split() for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(line[3]) == min(most, 65_536) > 256


def test_a_second_signal_ends_the_agent_at_once_and_its_children_with_it(agent):
    request(agent)
    until(lambda: agent.status()["spooled"] == 2)
    children = [child(agent, name) for name in ("sidecar", "shipper")]
    agent.send_signal(signal.SIGTERM)
    until(lambda: "event=agent_drain" in agent.log())
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(3) == 1, agent.log()
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert "second_signal" in agent.log()
