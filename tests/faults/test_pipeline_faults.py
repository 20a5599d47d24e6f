"""kill -9 any part in the middle, or take the broker away: the end equals an undisturbed run, exactly."""

import os
import time
from contextlib import contextmanager

import pytest

from tests.support.broker import embedded_broker
from tests.support.pipeline import AZURE, Pipeline, end_offsets, generated_trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SPEED = 120.0  # 3,436 s of recording in 29 s


@pytest.fixture(scope="module")
def real_trace(tmp_path_factory):
    """The real Azure trace where it is at hand, else one of our own making."""
    return AZURE if AZURE.exists() else generated_trace(tmp_path_factory.mktemp("trace"), 3400)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """An embedded broker of the tests' own, so that it can be stopped."""
    with embedded_broker(tmp_path_factory.mktemp("b") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def address(request):
    """A real Kafka where one is named, else the embedded broker."""
    return os.environ.get("BURSTWATCH_TEST_KAFKA") or request.getfixturevalue("broker").bootstrap_servers


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


@pytest.fixture
def play(real_trace, undisturbed, tmp_path):
    """Run a pipeline while the test disturbs it; its end must equal the undisturbed one."""

    @contextmanager
    def playing(kafka, service, batch_max=50):
        pipe = Pipeline(
            tmp_path / "p", kafka, real_trace, service=service, speed=SPEED, run_id=service, batch_max=batch_max
        )
        try:
            pipe.start()
            yield pipe
            _assert_same(undisturbed, pipe.finish(), pipe)
        finally:
            pipe.stop()

    return playing


@pytest.mark.real_kafka
@pytest.mark.parametrize("victim", ["agent", "worker", "capture"])
def test_kill_9_in_the_middle_changes_nothing(victim, address, play):
    with play(address, f"kill-{victim}") as pipe:
        for pause_s in (5.0, 4.0, 6.0):
            time.sleep(pause_s)
            pipe.kill(victim)
            pipe.start(victim)


def test_a_broker_stopped_for_twenty_seconds_changes_nothing(broker, play):
    with play(broker.bootstrap_servers, "broker-away"):
        time.sleep(6)
        assert broker.stop() == 0
        time.sleep(20)
        broker.process = broker.restart().process


def test_a_broker_killed_loses_nothing_it_acked(broker, play):
    with play(broker.bootstrap_servers, "broker-killed"):
        time.sleep(8)
        broker.kill()
        time.sleep(2)
        broker.process = broker.restart().process


def test_garbage_on_the_topic_is_dead_lettered_and_harms_nothing(broker, play):
    from kafka import KafkaProducer

    with play(broker.bootstrap_servers, "garbage", batch_max=1000):
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
        for i in range(300):
            producer.send("llm.requests", key=b"garbage", value=b"\x00junk%d" % i)
        producer.flush(30)
        producer.close()
    assert sum(end_offsets(broker.bootstrap_servers, "llm.dead-letter").values()) >= 300
