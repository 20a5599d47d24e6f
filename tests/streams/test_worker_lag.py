"""How far behind a worker is, and when each agent last spoke: right, cheap, and absent where it is not known."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from faust.types import TP

from collector.schema.codec import Batch, columns_of, encode
from collector.schema.events import Kind, Resource
from collector.schema.topics import REQUESTS, RESOURCES
from streams.export.prometheus import Page
from streams.processors.settings import AnalysisSettings
from streams.worker.edge import Kafka
from streams.worker.faust_consumer import END_OLD_S, PatientThread
from streams.worker.flow import Flow
from streams.worker.heard import AGENTS_MAX, LastHeard
from streams.worker.run import read_samples
from tests.support.broker import create_topic, embedded_broker
from tests.support.service_messages import SERVICE, START, Agent, arrival, reading
from tests.support.worker_process import WorkerProcess, ends, interleaved, produce, service_traffic

LAG, SPOKE = "burstwatch_source_lag_messages", "burstwatch_agent_last_message_timestamp_seconds"


async def done(_what) -> None:
    """Kafka has it."""


class Worker:
    """A worker's flow over a log that exists as end offsets only."""

    def __init__(self) -> None:
        self.ends: dict[tuple[str, int], int] = {}
        end = lambda topic, number: self.ends.get((topic, number))  # noqa: E731 - one line is enough
        kafka = Kafka(send=done, write=done, commit=done, rewind=None, errors=KeyError, end=end)
        self.now_s = 0.0
        self.flow = Flow(AnalysisSettings(), kafka, lambda: self.now_s)

    def read(self, offset: int, body: bytes, *, at: float | None = None, topic=REQUESTS, key=SERVICE, partition=0):
        """Give it a message, appended at ``at`` (s)."""
        message = SimpleNamespace(
            topic=topic, partition=partition, offset=offset, key=key.encode(), value=body, timestamp=at
        )
        asyncio.run(self._read(message))

    async def _read(self, message) -> None:
        if message.topic == RESOURCES:
            self.flow.on_resource(message)
        else:
            await self.flow.on_request(message)

    def shown(self, name: str) -> dict[tuple[str, ...], float]:
        return {s.labels: s.value for s in read_samples(self.flow, self.now_s, "1") if s.name == name}


def node_message(agent: str = "node", key: str = "n1") -> bytes:
    reading = Resource(at=START, node=key, source="s", gpu="0", gpu_used_bytes=1, gpu_total_bytes=2)
    columns = columns_of(Kind.RESOURCE, [reading])
    return encode(Batch(agent=agent, boot="b", key=key, seq=0, kind=Kind.RESOURCE, n=1, columns=columns))


def test_lag_is_what_kafka_holds_beyond_the_next_message_to_apply():
    worker, agent = Worker(), Agent()
    worker.flow.own(0, {})
    worker.ends = {(REQUESTS, 0): 10}
    assert worker.shown(LAG) == {}  # where to begin is not known yet
    worker.flow.log_resumes_at(0, 3)
    assert worker.shown(LAG) == {(REQUESTS, "0"): 7}
    worker.read(3, encode(agent.message([arrival(START)])))
    worker.read(4, b"junk")
    assert worker.shown(LAG) == {(REQUESTS, "0"): 5}
    worker.ends = {(REQUESTS, 0): 4}  # as known from a moment ago
    assert worker.shown(LAG) == {(REQUESTS, "0"): 0}
    worker.ends = {}
    assert worker.shown(LAG) == {}


def test_lag_is_shown_of_owned_partitions_only_and_of_resources_once_read():
    worker = Worker()
    worker.ends = {(topic, p): 10 for topic in (REQUESTS, RESOURCES) for p in range(3)}
    for number in (0, 1):
        worker.flow.own(number, {})
        worker.flow.log_resumes_at(number, number)
    worker.read(8, node_message(), topic=RESOURCES, key="n1", partition=2)
    assert worker.shown(LAG) == {(REQUESTS, "0"): 10, (REQUESTS, "1"): 9, (RESOURCES, "2"): 1}
    worker.read(9, b"junk", topic=RESOURCES, key="n1", partition=2)
    assert worker.shown(LAG)[RESOURCES, "2"] == 0
    worker.flow.disown(0)
    worker.flow.disown_resources(2)
    assert worker.shown(LAG) == {(REQUESTS, "1"): 9}


def test_an_agents_newest_message_counts_whatever_it_holds():
    worker, agent, other = Worker(), Agent("a"), Agent("engines")
    worker.flow.own(0, {})
    worker.read(0, encode(agent.message([arrival(START)], watermark=START)), at=100.0)
    worker.read(1, encode(other.message([reading(START, kv=0.5)])), at=101.5)  # promises nothing
    worker.read(0, node_message(), at=102.25, topic=RESOURCES, key="n1")
    assert worker.shown(SPOKE) == {("a",): 100.0, ("engines",): 101.5, ("node",): 102.25}
    worker.read(2, encode(agent.message()), at=103.0)
    worker.read(3, b"junk", at=104.0)
    worker.read(4, encode(agent.message()))  # a log that does not say when
    assert worker.shown(SPOKE) == {("a",): 103.0, ("engines",): 101.5, ("node",): 102.25}


def test_an_agent_is_forgotten_after_an_hour_of_the_logs_time_and_its_clock_after_a_minute():
    worker, gone, here = Worker(), Agent("gone"), Agent("here")
    worker.flow.own(0, {})
    worker.read(0, encode(gone.message(watermark=START)), at=START / 1e6)
    for offset, later_s in enumerate((59, 3599, 3600), 1):
        worker.read(offset, encode(here.message(watermark=START)), at=START / 1e6 + later_s)
        delays = worker.shown("burstwatch_agent_delay_seconds")
        assert (("gone",) in worker.shown(SPOKE), ("gone",) in delays) == (later_s < 3600, later_s < 60)
        assert ("here",) in worker.shown(SPOKE)


def test_a_worker_that_comes_up_while_all_are_silent_says_that_it_has_read_nothing():
    """It has no agent to miss; without these zeros no alert would fire while every agent is dead."""
    worker = Worker()
    worker.flow.own(0, {})
    assert worker.shown(SPOKE) == {}
    assert worker.shown("burstwatch_messages_total") == {(REQUESTS,): 0, (RESOURCES,): 0}


def test_an_agent_is_not_forgotten_while_all_are_silent():
    worker = Worker()
    worker.flow.own(0, {})
    worker.read(0, encode(Agent("a").message()), at=100.0)
    worker.now_s = 1e6
    assert worker.shown(SPOKE) == {("a",): 100.0}


def test_an_agent_whose_services_another_worker_has_is_not_silent_here():
    worker, agent = Worker(), Agent("a")
    for number in (0, 1):
        worker.flow.own(number, {})
    worker.read(0, encode(agent.message(watermark=START)), at=100.0, partition=0)
    worker.read(0, encode(agent.message(watermark=START)), at=200.0, partition=1)
    worker.read(0, node_message("n"), at=150.0, topic=RESOURCES, key="n1", partition=1)
    assert worker.shown(SPOKE) == {("a",): 200.0, ("n",): 150.0}
    worker.flow.disown(1)
    assert worker.shown(SPOKE) == {("a",): 100.0, ("n",): 150.0}
    worker.flow.disown_resources(1)
    worker.flow.disown(0)
    assert worker.shown(SPOKE) == {}


def test_made_up_agents_by_the_thousand_displace_only_the_longest_silent():
    heard = LastHeard()
    for i in range(AGENTS_MAX + 5):
        heard.hear((REQUESTS, 0), f"a{i}", 1000 + i)
        heard.hear((REQUESTS, 0), "a0", 1000 + i)
    found = heard.newest()
    assert len(found) == AGENTS_MAX
    assert "a0" in found
    assert "a1" not in found


def test_a_broker_whose_clock_was_set_back_does_not_make_an_agent_younger():
    heard = LastHeard()
    for at in (5000, 4000):
        heard.hear((REQUESTS, 0), "a", at)
    assert heard.newest() == {"a": 5000}


class Consumer:
    """What the worker asks of aiokafka."""

    def __init__(self, end: int | None, told_s: float | None, error: Exception | None = None) -> None:
        self.end, self.told_s, self.error = end, told_s, error

    def last_poll_timestamp(self, _tp) -> int | None:
        if self.error is not None:
            raise self.error
        return None if self.told_s is None else int(self.told_s * 1000)

    def highwater(self, _tp) -> int | None:
        return self.end


@pytest.mark.parametrize(
    ("consumer", "known"),
    [
        (Consumer(7, time.time() + 1e6), 7),  # far from old, however slow this test is
        (Consumer(7, time.time() - END_OLD_S), None),
        (Consumer(None, None), None),
        (Consumer(7, 0, AssertionError("Partition is not assigned")), None),
        (None, None),
    ],
)
def test_the_end_of_a_partition_is_what_the_last_fetch_said_and_unknown_when_that_is_old(consumer, known):
    thread = object.__new__(PatientThread)
    thread.__dict__["_consumer"] = consumer
    assert thread.known_end(TP(REQUESTS, 0)) == known


def test_both_are_on_the_page_under_their_names():
    worker = Worker()
    worker.flow.own(0, {})
    worker.ends = {(REQUESTS, 0): 5}
    worker.read(0, encode(Agent("a").message()), at=1_700_000_000.25)
    page = Page(lambda: read_samples(worker.flow, 0.0, "1")).render()[0].decode()
    assert f'{LAG}{{partition="0",topic="llm.requests"}} 4.0\n' in page
    assert f'{SPOKE}{{agent="a"}} 1700000000.25\n' in page


@pytest.mark.kafka
def test_a_real_worker_shows_its_backlog_melt_and_who_spoke_when(tmp_path: Path):
    services = [service_traffic(name, 40, 500) for name in ("chat", "code")]
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        for topic in (REQUESTS, RESOURCES):
            create_topic(kafka, partitions=4, name=topic)
        began_s = time.time()
        produce(kafka, interleaved(services))
        produce(kafka, [(b"n1", node_message())] * 3, RESOURCES)
        total = ends(kafka)
        worker = WorkerProcess.start(kafka, "w", tmp_path / "log")
        try:
            seen = []
            while not seen or seen[-1] > 0 or len(lags(worker)) < len(total) + 1:
                assert time.time() - began_s < 100, (seen[-1:], worker.log.read_text()[-2000:])
                seen.append(sum(lags(worker).values()))
                time.sleep(0.02)  # asked without a pause, it would be busy with little else
            assert 0 < max(seen) <= sum(total.values()) + 3
            worker.wait_for(total)
            assert {topic for topic, _ in lags(worker)} == {REQUESTS, RESOURCES}
            spoke = {dict(labels)["agent"]: value for (name, labels), value in worker.page().items() if name == SPOKE}
            assert spoke.keys() == {"a", "node"}
            assert all(began_s - 5 < value < time.time() + 5 for value in spoke.values())
        finally:
            worker.stop()


def lags(worker: WorkerProcess) -> dict[tuple[str, str], float]:
    """(topic, partition) -> lag, as shown now."""
    found = {}
    for (name, labels), value in worker.page().items():
        if name == LAG:
            said = dict(labels)
            found[said["topic"], said["partition"]] = value
    return found
