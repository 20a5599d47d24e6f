"""kill -9 any part in the middle, or take the broker away: the end equals an undisturbed run, exactly."""

import os
import signal
import subprocess
import sys
import time

import pytest

from burstwatch.up.processes import Part, free_port, start, stop, wait_ready
from tests.support.pipeline import AZURE, Pipeline, end_offsets, generated_trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SPEED = 120.0  # 3,436 s of recording in 29 s


@pytest.fixture(scope="module")
def real_trace(tmp_path_factory):
    """The real Azure trace where it is at hand, else one of our own making."""
    return AZURE if AZURE.exists() else generated_trace(tmp_path_factory.mktemp("trace"), 3400)


class Broker:
    """An embedded broker of the test's own, so that it can be stopped."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.port = free_port()
        self.folder = folder
        self.address = f"127.0.0.1:{self.port}"
        self.start()

    def start(self):
        part = Part("broker", ["broker", "--port", str(self.port), "--data", str(self.folder / "data")])
        self.child = start(part, self.folder)
        wait_ready(self.child)

    def stop(self):
        assert stop(self.child) == 0

    def kill(self):
        os.killpg(self.child.process.pid, signal.SIGKILL)
        self.child.process.wait()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    made = Broker(tmp_path_factory.mktemp("b") / "broker")
    yield made
    if made.child.running:
        made.stop()


@pytest.fixture(scope="module")
def address(request):
    """A real Kafka where one is named, else the embedded broker."""
    return os.environ.get("BURSTWATCH_TEST_KAFKA") or request.getfixturevalue("broker").address


@pytest.fixture(scope="module")
def undisturbed(real_trace, address, tmp_path_factory):
    """What the end must look like."""
    pipe = Pipeline(tmp_path_factory.mktemp("u") / "p", address, real_trace, service="undisturbed")
    try:
        pipe.start()
        return _comparable(pipe.finish(), pipe)
    finally:
        pipe.stop()


def _comparable(result, pipe):
    """Strip what names the run: the service's name."""

    def plain(value):
        return str(value).replace(pipe.service, "SERVICE")

    return {
        "counters": {plain(k): v for k, v in result.counters.items()},
        "windows": {plain(k): plain(v) for k, v in result.windows.items()},
        "episodes": {plain(k): plain(v) for k, v in result.episodes.items()},
        "rows": result.rows,
        "count": result.manifest["rows"]["total"],
    }


def _assert_same(undisturbed, result, pipe):
    ended = _comparable(result, pipe)
    assert undisturbed["count"] == ended["count"] > 5000
    assert undisturbed["rows"] == ended["rows"]
    assert undisturbed["counters"] == ended["counters"]
    assert undisturbed["windows"].keys() == ended["windows"].keys()
    assert undisturbed["windows"] == ended["windows"]
    assert undisturbed["episodes"] == ended["episodes"]


@pytest.mark.real_kafka
@pytest.mark.parametrize("victim", ["agent", "worker", "capture"])
def test_kill_9_in_the_middle_changes_nothing(victim, real_trace, address, undisturbed, tmp_path):
    pipe = Pipeline(
        tmp_path / "p", address, real_trace, service=f"kill-{victim}", speed=SPEED, run_id=victim, batch_max=50
    )
    try:
        pipe.start()
        for pause_s in (5.0, 4.0, 6.0):
            time.sleep(pause_s)
            pipe.kill(victim)
            pipe.start(victim)
        result = pipe.finish()
        _assert_same(undisturbed, result, pipe)
    finally:
        pipe.stop()


def test_a_broker_stopped_for_twenty_seconds_changes_nothing(real_trace, broker, undisturbed, tmp_path):
    pipe = Pipeline(
        tmp_path / "p", broker.address, real_trace, service="broker-away", speed=SPEED, run_id="away", batch_max=50
    )
    try:
        pipe.start()
        time.sleep(6)
        broker.stop()
        time.sleep(20)
        broker.start()
        result = pipe.finish()
        _assert_same(undisturbed, result, pipe)
    finally:
        pipe.stop()


def test_a_broker_killed_loses_nothing_it_acked(real_trace, broker, undisturbed, tmp_path):
    pipe = Pipeline(
        tmp_path / "p", broker.address, real_trace, service="broker-killed", speed=SPEED, run_id="killed", batch_max=50
    )
    try:
        pipe.start()
        time.sleep(8)
        broker.kill()
        time.sleep(2)
        broker.start()
        result = pipe.finish()
        _assert_same(undisturbed, result, pipe)
    finally:
        pipe.stop()


def test_garbage_on_the_topic_is_dead_lettered_and_harms_nothing(real_trace, broker, undisturbed, tmp_path):
    from kafka import KafkaProducer

    pipe = Pipeline(tmp_path / "p", broker.address, real_trace, service="garbage", speed=SPEED, run_id="garbage")
    try:
        pipe.start()
        producer = KafkaProducer(bootstrap_servers=broker.address)
        for i in range(300):
            producer.send("llm.requests", key=b"garbage", value=b"\x00junk%d" % i)
        producer.flush(30)
        producer.close()
        result = pipe.finish()
        _assert_same(undisturbed, result, pipe)
        assert sum(end_offsets(broker.address, "llm.dead-letter").values()) >= 300
    finally:
        pipe.stop()


def test_up_ends_its_children_when_it_is_killed(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "burstwatch", "up", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    for line in process.stdout:
        if b"running" in line:
            break
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _mentions(str(tmp_path)):
        time.sleep(0.5)
    assert _mentions(str(tmp_path)) == []


def _mentions(text: str) -> list[str]:
    done = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if text in line and " ps " not in line]
