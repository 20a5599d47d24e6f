"""The agent killed, starved and cut off in the middle of its work: every event is in Kafka once, or counted."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from burstwatch.up.processes import free_port
from collector.schema.codec import events_of
from collector.spool import folder
from tests.support.broker import RunningBroker, embedded_broker
from tests.support.pipeline import read_batches

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

ROWS = 12_000
_STARTED = []


@pytest.fixture(autouse=True)
def no_agent_is_left_behind():
    yield
    while _STARTED:
        process = _STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with embedded_broker(tmp_path_factory.mktemp("broker") / "data") as running:
        yield running


class Agent:
    """A `burstwatch agent` process in its own process group, and its children."""

    def __init__(self, home, *sources, kafka, **settings):
        self.home = home
        self.kafka = kafka
        self.process = None
        settings = {"spool_dir": "spool", "batch_max": 200, "linger_ms": 50, **settings}
        lines = ["[agent]", 'id = "a1"']
        lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        lines += ["[kafka]", f'bootstrap_servers = "{kafka}"']
        for source in sources:
            lines += ["[[sources]]", *(f"{name} = {json.dumps(value)}" for name, value in source.items())]
        (home / "agent.toml").write_text("\n".join(lines))

    def start(self):
        with (self.home / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "burstwatch", "agent", "-c", str(self.home / "agent.toml")],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        _STARTED.append(self.process)
        return self

    def ready(self):
        line = self.process.stdout.readline()
        assert line, self.log()
        return json.loads(line)

    def child(self, name):
        """The process id of the child of that name, once it is there."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            listed = subprocess.run(
                ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
            )
            for line in listed.stdout.splitlines():
                if f"collector.{name}" in line:
                    return int(line.split()[0])
            time.sleep(0.02)
        raise AssertionError(f"no {name}: {self.log()}")

    def kill_all(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, patience_s=90):
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(self.log()) from None

    def status(self):
        return json.loads((self.home / "spool" / "status.json").read_text())

    def log(self):
        return (self.home / "agent.log").read_text()[-4_000:]


def trace_source(home, service, *, rows=ROWS, speed=0.0):
    """A trace of ``rows`` requests, ten a second with ties, each a second long."""
    path = home / "trace.csv"
    with path.open("w") as file:
        file.write("Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n")
        for row in range(rows):
            file.write(f"{row // 3 * 0.3:.1f},,{row % 5},m{row % 3},{row},{row % 7},{row + row % 7},API log\n")
    return {"type": "trace", "service": service, "path": str(path), "speed": speed}


def assert_told_exactly_once(kafka, service, rows=ROWS):
    """Once after dropping repeated messages by identity: every arrival, every completion, no number missing."""
    batches = {batch.identity: batch for batch in read_batches(kafka, service)}
    told = Counter((event.id, type(event).__name__) for batch in batches.values() for event in events_of(batch))
    expected = {(f"r{row:09d}", kind) for row in range(rows) for kind in ("Arrival", "Completion")}
    assert told.keys() == expected
    assert set(told.values()) == {1}
    boots = {}
    for batch in batches.values():
        boots.setdefault(batch.boot, []).append(batch.seq)
        assert batch.dropped == 0
    for seqs in boots.values():
        assert sorted(seqs) == list(range(len(seqs)))
    last_event = max(batch.watermark for batch in batches.values() if batch.watermark is not None)
    assert last_event > 1_698_796_800_000_000 + int((rows - 1) // 3 * 0.3e6)
    return boots


def assert_balanced(status):
    parts = ("sent", "spooled", "queued", "dropped")
    assert status["accepted"] == sum(status[part] for part in parts), status


def test_an_undisturbed_agent_ends_by_itself_with_everything_in_kafka(broker, tmp_path):
    agent = Agent(tmp_path, trace_source(tmp_path, "calm"), kafka=broker.bootstrap_servers).start()
    assert agent.ready() == {"event": "ready", "component": "agent", "proxies": []}
    assert agent.wait() == 0, agent.log()
    assert agent.process.stdout.read() == ""
    status = agent.status()
    assert_balanced(status)
    assert (status["accepted"], status["sent"]) == (2 * ROWS, 2 * ROWS)
    assert len(assert_told_exactly_once(broker.bootstrap_servers, "calm")) == 1
    assert Agent(tmp_path, trace_source(tmp_path, "calm"), kafka=broker.bootstrap_servers).start().wait() == 0
    assert_told_exactly_once(broker.bootstrap_servers, "calm")


def test_kill_9_of_each_child_at_random_moments(broker, tmp_path):
    source = trace_source(tmp_path, "children", speed=120.0)  # about ten seconds
    agent = Agent(tmp_path, source, kafka=broker.bootstrap_servers).start()
    agent.ready()
    rng = random.Random(1)
    for name in ("sidecar", "shipper", "sidecar", "sidecar", "shipper"):
        time.sleep(rng.uniform(1.0, 2.0))  # long enough to have come back and to be in the middle
        os.kill(agent.child(name), signal.SIGKILL)
    assert agent.wait() == 0, agent.log()
    status = agent.status()
    assert_balanced(status)
    assert (status["sent"], status["dropped"]) == (2 * ROWS, 0)
    assert status["sidecar"]["restarts"] >= 2
    assert status["shipper"]["restarts"] >= 1
    assert len(assert_told_exactly_once(broker.bootstrap_servers, "children")) >= 2


def test_kill_9_of_the_whole_agent_and_of_its_supervisor_alone(broker, tmp_path):
    source = trace_source(tmp_path, "whole", speed=250.0)
    agent = Agent(tmp_path, source, kafka=broker.bootstrap_servers)
    rng = random.Random(2)
    for turn in range(4):
        agent.start().ready()
        time.sleep(rng.uniform(0.3, 1.0))
        if turn % 2:
            agent.process.kill()  # the children notice, and let the next agent have the spool
            agent.process.wait()
        else:
            agent.kill_all()
    agent.start()
    assert agent.wait() == 0, agent.log()
    status = agent.status()
    assert_balanced(status)
    assert status["sent"] == 2 * ROWS
    assert len(assert_told_exactly_once(broker.bootstrap_servers, "whole")) >= 4


def test_sigterm_drains_and_the_next_start_goes_on(broker, tmp_path):
    source = trace_source(tmp_path, "term", speed=400.0)
    agent = Agent(tmp_path, source, kafka=broker.bootstrap_servers).start()
    agent.ready()
    time.sleep(1.0)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.wait() == 0, agent.log()
    status = agent.status()
    assert_balanced(status)
    assert 0 < status["sent"] == status["accepted"] < 2 * ROWS
    agent.start()
    assert agent.wait() == 0, agent.log()
    assert_told_exactly_once(broker.bootstrap_servers, "term")


def test_a_broker_that_hangs_past_every_request_timeout_costs_nothing(tmp_path):
    """Past delivery_timeout_ms kafka-python's producer never sends again; ours never comes to it."""
    with embedded_broker(tmp_path / "data") as broker:
        source = trace_source(tmp_path, "hung", speed=250.0)
        agent = Agent(tmp_path, source, kafka=broker.bootstrap_servers).start()
        agent.ready()
        time.sleep(1.0)
        broker.process.send_signal(signal.SIGSTOP)
        time.sleep(14)
        broker.process.send_signal(signal.SIGCONT)
        assert agent.wait() == 0, agent.log()
        assert agent.status()["sent"] == 2 * ROWS
        assert_told_exactly_once(broker.bootstrap_servers, "hung")


def test_a_broker_killed_and_started_again(tmp_path):
    broker = RunningBroker.start(tmp_path / "data")
    try:
        source = trace_source(tmp_path, "bounced", speed=250.0)
        agent = Agent(tmp_path, source, kafka=broker.bootstrap_servers).start()
        agent.ready()
        for _ in range(2):
            time.sleep(1.0)
            broker.kill()
            time.sleep(1.0)
            broker = broker.restart()
        assert agent.wait() == 0, agent.log()
        assert_told_exactly_once(broker.bootstrap_servers, "bounced")
    finally:
        broker.kill()


def test_without_a_broker_the_agent_is_ready_and_delivers_once_there_is_one(tmp_path):
    port = free_port()
    agent = Agent(tmp_path, trace_source(tmp_path, "early"), kafka=f"127.0.0.1:{port}").start()
    agent.ready()
    deadline = time.monotonic() + 30
    while agent.status()["spooled"] < 2 * ROWS:
        assert time.monotonic() < deadline, agent.log()
        time.sleep(0.2)
    assert_balanced(agent.status())
    with embedded_broker(tmp_path / "data", port=port) as broker:
        assert agent.wait() == 0, agent.log()
        assert_told_exactly_once(broker.bootstrap_servers, "early")


def test_a_trace_waits_at_the_spools_cap_and_loses_nothing(tmp_path):
    port = free_port()
    agent = Agent(
        tmp_path, trace_source(tmp_path, "capped"), kafka=f"127.0.0.1:{port}", spool_max_bytes=400_000
    ).start()
    agent.ready()
    deadline = time.monotonic() + 30
    while agent.status()["sidecar"].get("refusal") is None:
        assert time.monotonic() < deadline, agent.log()
        time.sleep(0.2)
    assert folder.size_bytes(tmp_path / "spool") <= 400_000
    with embedded_broker(tmp_path / "data", port=port) as broker:
        assert agent.wait() == 0, agent.log()
        assert_balanced(agent.status())
        assert_told_exactly_once(broker.bootstrap_servers, "capped")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=False)


def test_a_full_disk_stops_nothing_and_empties_itself_once_kafka_is_back(tmp_path, small_disk):
    port = free_port()
    settings = {"spool_dir": str(small_disk / "spool"), "spool_segment_bytes": 40_000}
    agent = Agent(tmp_path, trace_source(tmp_path, "full-disk"), kafka=f"127.0.0.1:{port}", **settings).start()
    agent.ready()
    deadline = time.monotonic() + 30
    while os.statvfs(small_disk).f_bavail * 4096 > 40_000:
        assert time.monotonic() < deadline, agent.log()
        time.sleep(0.2)
    time.sleep(1)
    os.kill(agent.child("sidecar"), signal.SIGKILL)  # and it has to come back on the full disk
    with embedded_broker(tmp_path / "data", port=port) as broker:
        assert agent.wait() == 0, agent.log()
        assert_told_exactly_once(broker.bootstrap_servers, "full-disk")
        assert len(folder.segments(small_disk / "spool")) == 1
        assert (small_disk / "spool" / "acked.json").exists()


async def _answer(request):
    await request.read()
    return web.json_response(
        {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    )


async def _load(agent, url, upstream_port, *, seconds, kill_after):
    """Requests without a pause through the proxy; the sidecar dies once. Returns (answered, broken)."""
    server = web.ServerRunner(web.Server(_answer))
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", upstream_port).start()
    answered = broken = 0
    loop = asyncio.get_running_loop()
    end, kill_at = loop.time() + seconds, loop.time() + kill_after
    async with aiohttp.ClientSession() as client:
        while loop.time() < end:
            if loop.time() > kill_at:
                kill_at = end
                os.kill(agent.child("sidecar"), signal.SIGKILL)
            try:
                async with client.post(f"{url}/v1/chat/completions", json={"model": "m" * 100}) as response:
                    await response.read()
                    assert response.status == 200
                answered += 1
            except aiohttp.ClientError:
                broken += 1
    await server.cleanup()
    return answered, broken


def proxy_source(service, upstream_port):
    upstream = f"http://127.0.0.1:{upstream_port}"
    return {"type": "proxy", "service": service, "listen": "127.0.0.1:0", "upstream": upstream}


def test_clients_of_a_killed_sidecar_lose_at_most_their_open_connection(broker, tmp_path):
    upstream_port = free_port()
    source = proxy_source("proxied", upstream_port)
    agent = Agent(tmp_path, source, kafka=broker.bootstrap_servers).start()
    [url] = agent.ready()["proxies"]
    answered, broken = asyncio.run(_load(agent, url, upstream_port, seconds=4, kill_after=2))
    assert broken <= 1
    agent.process.send_signal(signal.SIGTERM)
    assert agent.wait() == 0, agent.log()
    assert_balanced(agent.status())
    batches = {batch.identity: batch for batch in read_batches(broker.bootstrap_servers, "proxied")}
    told = Counter((event.id, type(event).__name__) for b in batches.values() for event in events_of(b))
    assert set(told.values()) == {1}
    # What had not been spooled when the sidecar died is lost: at most two lingers of it.
    completions = sum(kind == "Completion" for _, kind in told)
    assert 0.8 * answered < completions <= answered + broken
    assert len({batch.boot for batch in batches.values()}) == 2


def test_live_events_past_the_cap_are_counted_to_the_event_and_no_client_notices(tmp_path):
    port, upstream_port = free_port(), free_port()
    agent = Agent(
        tmp_path,
        proxy_source("flooded", upstream_port),
        kafka=f"127.0.0.1:{port}",
        spool_max_bytes=70_000,
    )
    agent.start()
    [url] = agent.ready()["proxies"]
    answered, broken = asyncio.run(_load(agent, url, upstream_port, seconds=4, kill_after=99))
    assert broken == 0
    time.sleep(1.5)
    status = agent.status()
    assert_balanced(status)
    assert status["accepted"] == 2 * answered
    assert status["dropped"] > 0
    assert folder.size_bytes(tmp_path / "spool") <= 70_000
    with embedded_broker(tmp_path / "data", port=port) as broker:
        deadline = time.monotonic() + 30
        while agent.status()["sidecar"]["queued"] or agent.status()["spooled"]:
            assert time.monotonic() < deadline, (agent.status(), agent.log())
            time.sleep(0.2)
        agent.process.send_signal(signal.SIGTERM)
        assert agent.wait() == 0, agent.log()
        status = agent.status()
        assert_balanced(status)
        batches = {batch.identity: batch for batch in read_batches(broker.bootstrap_servers, "flooded")}
        assert sum(batch.n for batch in batches.values()) == status["sent"] == 2 * answered - status["dropped"]
