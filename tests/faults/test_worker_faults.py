"""A worker killed, starved, poisoned and cut off: in the end the numbers are those of an undisturbed run."""

import itertools
import random
import sys
import threading
import time
from pathlib import Path

import pytest

from collector.schema.topics import DEAD_LETTER, EPISODES, WINDOWS
from tests.support.broker import RunningBroker, embedded_broker
from tests.support.worker_process import (
    Page,
    WorkerProcess,
    counters,
    ends,
    produce,
    read_json,
    service_traffic,
    with_readings,
)

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(300)]

SERVICES = ("chat", "code", "batch", "eval", "tools")
KILLS = 8


def traffic() -> list[tuple[bytes, bytes]]:
    requests = [service_traffic(name, 60, 25, rate=5.0) for name in SERVICES]
    watched = [with_readings(messages) for messages in requests]
    return [message for turn in itertools.zip_longest(*watched) for message in turn if message is not None]


def outcome(kafka: str, worker: WorkerProcess) -> tuple[Page, dict, dict]:
    """Counters, window rows and episodes by id, when everything is read."""
    worker.wait_for(ends(kafka))
    rows = {row["id"]: row for row in read_json(kafka, WINDOWS)}
    episodes = {(e["id"], e["state"]): e for e in read_json(kafka, EPISODES)}
    return counters(worker.page()), rows, episodes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Page, dict, dict]:
    with embedded_broker() as broker:
        log = tmp_path_factory.mktemp("undisturbed") / "log"
        worker = WorkerProcess.start(broker.bootstrap_servers, "w", log)
        produce(broker.bootstrap_servers, traffic())
        result = outcome(broker.bootstrap_servers, worker)
        assert worker.stop() == 0
    _, rows, episodes = result
    assert len(rows) > 100
    assert sum(row["memory"] is not None for row in rows.values() if row["model"] == "all") > 100
    assert {episode["kind"] for episode in episodes.values()} >= {"failure", "pressure"}
    return result


class Producer(threading.Thread):
    """Sends the traffic over some seconds, whatever happens to the broker."""

    def __init__(self, kafka: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self.kafka, self.seconds = kafka, seconds

    def run(self) -> None:
        messages = traffic()
        step = max(1, len(messages) // 40)
        for at in range(0, len(messages), step):
            produce(self.kafka, messages[at : at + step])
            time.sleep(self.seconds / 40)


def test_killed_at_random_instants_the_results_are_those_of_an_undisturbed_run(undisturbed, tmp_path: Path):
    rng, log = random.Random(11), tmp_path / "log"
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        WorkerProcess.start(kafka, "w", log).kill()  # makes the topics
        producer = Producer(kafka, KILLS * 2.0)
        producer.start()
        seen: Page = {}
        for _ in range(KILLS):
            worker = WorkerProcess.start(kafka, "w", log, "--snapshot-interval-s", "0.3")
            time.sleep(rng.uniform(0, 2.5))
            page = counters(worker.page())
            worker.kill()
            assert all(page.get(series, value) >= value for series, value in seen.items()), "a counter went back"
            seen = page
        producer.join(60)
        worker = WorkerProcess.start(kafka, "w", log)
        assert outcome(kafka, worker) == undisturbed
        assert worker.stop() == 0


def test_a_second_worker_comes_and_is_killed_and_the_results_are_the_same(undisturbed, tmp_path: Path):
    log, other = tmp_path / "log", tmp_path / "other"
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        first = WorkerProcess.start(kafka, "w", log)
        producer = Producer(kafka, 12.0)
        producer.start()
        time.sleep(1)
        second = WorkerProcess.start(kafka, "w", other)
        time.sleep(4)
        assert first.total("burstwatch_partitions_owned") + second.total("burstwatch_partitions_owned") == 4
        second.kill()
        producer.join(60)
        assert outcome(kafka, first) == undisturbed
        assert first.stop() == 0


def test_the_broker_away_for_five_seconds_costs_nothing(undisturbed, tmp_path: Path):
    log = tmp_path / "log"
    broker = RunningBroker.start(tmp_path / "broker/data")
    worker = WorkerProcess.start(broker.bootstrap_servers, "w", log)
    producer = Producer(broker.bootstrap_servers, 6.0)
    producer.start()
    time.sleep(2)
    broker.kill()
    time.sleep(5)
    broker = broker.restart()
    try:
        producer.join(90)
        assert not producer.is_alive()
        assert outcome(broker.bootstrap_servers, worker) == undisturbed
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        broker.stop()


def test_junk_does_not_stall_the_worker_and_lands_in_the_dead_letter_topic(tmp_path: Path):
    rng = random.Random(3)
    junk = [(b"chat", rng.randbytes(rng.randrange(1, 200))) for _ in range(300)]
    good = service_traffic("chat", 20, 10)
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        worker = WorkerProcess.start(kafka, "w", tmp_path / "log")
        produce(kafka, [*junk[:150], *good[:20], *junk[150:], *good[20:]])
        worker.wait_for(ends(kafka), patience_s=20)
        assert worker.total("burstwatch_arrivals_total") == 200
        assert worker.total("burstwatch_dead_letters_total") == 300
        assert worker.total("burstwatch_processor_errors_total") == 0
        assert worker.stop() == 0
        letters = read_json(kafka, DEAD_LETTER)
    assert len({(letter["partition"], letter["offset"]) for letter in letters}) == 300


def counted_after_a_restart(guards: str, log: Path) -> float:
    """The arrivals, of 300, that a worker with these guards has after it took over 200 and read the rest."""
    messages = service_traffic("chat", 150, 2)
    command = [sys.executable, "-m", "tests.support.guarded_worker", guards]
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        before = WorkerProcess.start(kafka, "w", log, "--partitions", "1")
        produce(kafka, messages[:100])
        before.wait_for(ends(kafka))
        assert before.stop() == 0
        produce(kafka, messages[100:])
        worker = WorkerProcess.start(kafka, "w", log, command=command)
        worker.wait_for(ends(kafka))
        arrivals = worker.total("burstwatch_arrivals_total")
        worker.kill()
    return arrivals


@pytest.mark.parametrize("guards", ["order", "contiguity", "both"])
def test_either_guard_alone_saves_what_faust_would_lose(guards, tmp_path: Path):
    assert counted_after_a_restart(guards, tmp_path / "log") == 300


def test_faust_alone_loses_messages(tmp_path: Path):
    """About every second time: it is a race. If this fails, Faust has mended it and the guards can go."""
    assert any(counted_after_a_restart("none", tmp_path / f"log-{i}") < 300 for i in range(10))
