"""Workers that join and leave under load, in order and killed, and a broker that restarts under two of them."""

import os
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.schema.codec import decode, encode
from collector.schema.topics import EPISODES, WINDOWS
from tests.support.broker import RunningBroker, embedded_broker
from tests.support.service_messages import SECOND, START, Agent, arrival
from tests.support.worker_process import Page, WorkerProcess, counters, ends, interleaved, produce, read_json
from tests.support.worker_process import service_traffic as traffic_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NAMES = ("chat", "code", "batch", "eval", "tools", "vision")
WORKERS_MAX = 3
STEPS = 8


def traffic(run: str) -> list[tuple[bytes, bytes]]:
    """The same events for every run; only the services' names differ."""
    return interleaved([_renamed(name, run) for name in NAMES])


def _renamed(name: str, run: str) -> list[tuple[bytes, bytes]]:
    batches = (decode(body) for _, body in traffic_of(name, 40, 25, rate=5.0))
    key = f"{run}.{name}"
    return [(key.encode(), encode(replace(batch, key=key))) for batch in batches]


class Producer(threading.Thread):
    """Sends the traffic over some seconds, whatever happens to the brokers and workers."""

    def __init__(self, kafka: str, run: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self.kafka, self.messages, self.seconds = kafka, traffic(run), seconds

    def run(self) -> None:
        step = max(1, len(self.messages) // 30)
        for at in range(0, len(self.messages), step):
            produce(self.kafka, self.messages[at : at + step])
            time.sleep(self.seconds / 30)


class Fleet:
    """The workers of one group."""

    def __init__(self, kafka: str, run: str, folder: Path) -> None:
        self.kafka, self.run, self.folder = kafka, run, folder
        self.workers: list[WorkerProcess] = []
        self.count = 0
        self.options: tuple[str, ...] = ("--snapshot-interval-s", "0.3")

    def join(self) -> None:
        self.count += 1
        log = self.folder / f"worker-{self.count}.log"
        self.workers.append(WorkerProcess.spawn(self.kafka, self.run, log, *self.options))

    def kill(self, rng: random.Random) -> None:
        self.workers.pop(rng.randrange(len(self.workers))).kill()

    def leave(self, rng: random.Random) -> None:
        self.workers.pop(rng.randrange(len(self.workers))).stop()

    def settle(self) -> None:
        """Wait until everything is read and safe."""
        for worker in self.workers:
            worker.await_ready()
        wanted, deadline = ends(self.kafka), time.monotonic() + 120
        while any(self._offsets().get(p, 0) < end for p, end in wanted.items()):
            assert time.monotonic() < deadline, f"at {self._offsets()}, wanted {wanted}\n{self.logs()}"
            time.sleep(0.2)

    def outcome(self) -> tuple[Page, dict, dict]:
        """Counters, rows and episodes by id, names of the run taken off, when everything is read and safe."""
        self.settle()
        pages = [counters(worker.page()) for worker in self.workers]
        merged = {
            (name, labels): value
            for page in pages
            for (name, labels), value in page.items()
            if dict(labels)["service"].startswith(f"{self.run}.")
        }
        assert len(merged) == sum(len([1 for _, ls in page if self.run in str(ls)]) for page in pages)
        rows = {row["id"]: row for row in read_json(self.kafka, WINDOWS) if row["service"].startswith(f"{self.run}.")}
        episodes = {
            (e["id"], e["state"]): e for e in read_json(self.kafka, EPISODES) if e["service"].startswith(self.run)
        }
        return tuple(_plain(found, self.run) for found in (merged, rows, episodes))

    def _offsets(self) -> dict[int, int]:
        owned = [worker.offsets() for worker in self.workers]
        return {p: at for offsets in owned for p, at in offsets.items()}

    def logs(self) -> str:
        return "\n".join(log.read_text()[-1500:] for log in sorted(self.folder.glob("*.log")))

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()


def _plain(found: dict, run: str) -> dict[str, str]:
    return {str(key).replace(f"{run}.", ""): str(value).replace(f"{run}.", "") for key, value in found.items()}


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    if named := os.environ.get("BURSTWATCH_TEST_KAFKA"):
        yield named
        return
    with embedded_broker() as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def fleet(kafka, tmp_path) -> Iterator[Fleet]:
    fleet = Fleet(kafka, f"r{uuid.uuid4().hex[:8]}", tmp_path)
    yield fleet
    fleet.end()


@pytest.fixture(scope="module")
def undisturbed(kafka, tmp_path_factory) -> tuple[dict, dict, dict]:
    fleet = Fleet(kafka, f"r{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("undisturbed"))
    try:
        fleet.join()
        fleet.workers[0].await_ready()
        produce(kafka, traffic(fleet.run))
        result = fleet.outcome()
    finally:
        fleet.end()
    assert len(result[1]) > 100
    return result


@pytest.mark.real_kafka
@pytest.mark.parametrize("seed", [1, 2])
def test_workers_join_leave_and_are_killed_at_random_instants_and_the_results_are_the_same(seed, undisturbed, fleet):
    """Also before they are ready, and while partitions move."""
    rng = random.Random(seed)
    fleet.join()
    fleet.workers[0].await_ready()
    producer = Producer(fleet.kafka, fleet.run, STEPS * 2.5)
    producer.start()
    told = []
    for _ in range(STEPS):
        can = ["join"] if len(fleet.workers) < WORKERS_MAX else []
        can += ["kill", "leave"] if len(fleet.workers) > 1 else []
        step = rng.choice(can)
        told.append(step)
        fleet.join() if step == "join" else getattr(fleet, step)(rng)
        time.sleep(rng.uniform(0, 4))
    producer.join(120)
    assert not producer.is_alive()
    assert fleet.outcome() == undisturbed, (told, fleet.logs())


def test_a_broker_restarted_under_two_workers_costs_nothing(undisturbed, tmp_path):
    broker = RunningBroker.start(tmp_path / "broker/data")
    fleet = Fleet(broker.bootstrap_servers, "restarted", tmp_path)
    try:
        for _ in range(2):
            fleet.join()
        for worker in fleet.workers:
            worker.await_ready()
        producer = Producer(fleet.kafka, fleet.run, 8.0)
        producer.start()
        for kill in (False, True):
            time.sleep(3)
            broker.kill() if kill else broker.stop()
            time.sleep(1)
            broker = broker.restart()
        producer.join(120)
        assert not producer.is_alive()
        assert fleet.outcome() == undisturbed
    finally:
        fleet.end()
        broker.stop()


def test_poison_in_every_partition_stalls_neither_of_two_workers(undisturbed, kafka, fleet):
    """Junk under every kind of key, before, between and after the good messages."""
    rng = random.Random(5)
    good = traffic(fleet.run)
    keys = [b"", b"other-0", b"\xff\xfe", b"p:0", *(f"{fleet.run}.junk-{i}".encode() for i in range(12))]
    poison = [
        (rng.choice(keys), rng.choice([None, b"", b"{}", rng.randbytes(rng.randrange(1, 300))])) for _ in range(400)
    ]
    wrong = [(b"another", body) for _, body in good[:20]]  # good bodies under a wrong key
    for _ in range(2):
        fleet.join()
    for worker in fleet.workers:
        worker.await_ready()
    mixed = good[:]
    for message in [*poison, *wrong]:
        mixed.insert(rng.randrange(len(mixed)), message)
    order = {key: [b for k, b in good if k == key] for key, _ in good}
    produce(kafka, mixed)
    assert {key: [b for k, b in mixed if k == key] for key in order} == order
    assert fleet.outcome() == undisturbed
    letters = sum(worker.total("burstwatch_dead_letters_total") for worker in fleet.workers)
    assert letters >= 420
    assert sum(worker.total("burstwatch_processor_errors_total") for worker in fleet.workers) == 0


def test_two_thousand_services_and_a_kill_in_the_middle_leave_every_event_counted_once(tmp_path):
    """300 a partition have a state of their own, the others share one; nothing is refused."""
    agents = [Agent("a", "b", key=f"svc-{i}") for i in range(2000)]
    log = [
        (agent.key.encode(), encode(agent.message([arrival(START + turn * SECOND + i)], watermark=START)))
        for turn in range(3)
        for i, agent in enumerate(agents)
    ]
    with embedded_broker() as broker:
        fleet = Fleet(broker.bootstrap_servers, "many", tmp_path)
        fleet.options += ("--services-max", "300")
        try:
            fleet.join()
            fleet.workers[0].await_ready()
            produce(fleet.kafka, log[:3500])
            fleet.kill(random.Random(1))
            produce(fleet.kafka, log[3500:])
            fleet.join()
            fleet.settle()
            (worker,) = fleet.workers
            found = {
                dict(labels)["service"]: value
                for (name, labels), value in worker.page().items()
                if name == "burstwatch_arrivals_total"
            }
            kept = [worker.total("burstwatch_services_kept", partition=str(p)) for p in range(4)]
            letters = worker.total("burstwatch_dead_letters_total")
        finally:
            fleet.end()
    own = {name: value for name, value in found.items() if name.startswith("svc-")}
    assert kept == [301] * 4
    assert (len(own), set(own.values())) == (1200, {3})
    assert sum(found.values()) == 6000
    assert letters == 0
