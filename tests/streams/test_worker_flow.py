"""What happens to messages and snapshots between Faust and the state, with a Kafka that can fail at will."""

import asyncio
from dataclasses import dataclass, field

import orjson
import pytest

from collector.schema.codec import encode
from collector.schema.topics import DEAD_LETTER, REQUESTS, WINDOWS
from streams.processors.settings import AnalysisSettings
from streams.worker import flow as flow_module
from streams.worker import outbox as outbox_module
from streams.worker.flow import Flow, Kafka
from streams.worker.run import read_samples
from tests.support.service_messages import SECOND, SERVICE, START, Agent, arrival

SETTINGS = AnalysisSettings()


class AwayError(Exception):
    retriable = True


@dataclass
class Message:
    offset: int
    value: bytes | None
    key: bytes | None = SERVICE.encode()
    topic: str = REQUESTS
    partition: int = 0
    timestamp: float | None = None


@dataclass
class FakeKafka:
    """Delivers at once, unless told to hold or to fail."""

    results: list = field(default_factory=list)
    changelog: dict = field(default_factory=dict)
    commits: list = field(default_factory=list)
    rewinds: list = field(default_factory=list)
    held: list = field(default_factory=list)
    hold: bool = False
    write_fails: int = 0
    most_on_the_way: int = 0

    def send(self, parcel):
        future = asyncio.get_running_loop().create_future()
        self.held.append((future, parcel))
        self.most_on_the_way = max(self.most_on_the_way, len(self.held))
        if not self.hold:
            asyncio.get_running_loop().call_soon(self.release)
        return future

    def release(self):
        held, self.held = self.held, []
        for future, parcel in held:
            if not future.done():
                self.results.append(parcel)
                future.set_result(None)

    async def write(self, entries):
        await asyncio.sleep(0)
        if self.write_fails:
            self.write_fails -= 1
            raise AwayError
        for _, key, body in entries:
            self.changelog[key] = body
            if body is None:
                del self.changelog[key]

    async def commit(self, offsets):
        self.commits.append(dict(offsets))

    now_s: float = 0.0

    def flow(self) -> Flow:
        kafka = Kafka(
            send=self.send,
            write=self.write,
            commit=self.commit,
            rewind=lambda *args: self.rewinds.append(args),
            errors=AwayError,
        )
        flow = Flow(SETTINGS, kafka, lambda: self.now_s)
        flow.own(0, self.changelog)
        return flow


def messages_of(batches) -> list[Message]:
    return [Message(offset, encode(batch)) for offset, batch in enumerate(batches)]


def sparse(events: int = 2) -> list[Message]:
    """An event every 50 minutes, then one promise over all of them: 300 boundaries from each to the next."""
    agent = Agent()
    arrivals = [arrival(START + i * 3000 * SECOND) for i in range(events)]
    end = START + events * 3000 * SECOND
    return messages_of([agent.message(arrivals, watermark=START), agent.message(watermark=end)])


def rows(kafka: FakeKafka) -> list:
    return [orjson.loads(parcel.value)["id"] for parcel in kafka.results if parcel.topic == WINDOWS]


async def undisturbed(messages) -> tuple[list, dict]:
    kafka = FakeKafka()
    flow = kafka.flow()
    for message in messages:
        await flow.on_request(message)
    await flow.snapshot()
    return rows(kafka), kafka.changelog


def test_a_message_that_spans_hours_of_sparse_traffic_leaves_the_loop_free_and_memory_bounded(monkeypatch):
    monkeypatch.setattr(outbox_module, "ON_THE_WAY_MAX", 50)
    monkeypatch.setattr(flow_module, "RESULTS_AT_ONCE", 20)

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        first, second = sparse()
        await flow.on_request(first)
        turns = 0
        working = asyncio.ensure_future(flow.on_request(second))
        while not working.done():
            await asyncio.sleep(0)
            turns += 1
        await working
        await flow.snapshot()
        return kafka, turns

    kafka, turns = asyncio.run(run())
    expected, changelog = asyncio.run(undisturbed(sparse()))
    assert [r.split("|", 1)[1] for r in rows(kafka)] == [r.split("|", 1)[1] for r in expected]
    assert len(expected) > 1000
    assert turns > len(expected) / 20
    assert kafka.most_on_the_way <= 50 + 20
    assert kafka.changelog.keys() == changelog.keys()


def test_no_snapshot_holds_half_a_message_and_what_was_cut_off_is_done_again(monkeypatch):
    monkeypatch.setattr(flow_module, "RESULTS_AT_ONCE", 20)

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        messages = sparse()
        await flow.on_request(messages[0])
        await flow.snapshot()
        before = dict(kafka.changelog)
        working = asyncio.ensure_future(flow.on_request(messages[1]))
        for _ in range(10):
            await asyncio.sleep(0)
        await flow.snapshot()
        assert kafka.changelog == before
        working.cancel()  # SIGTERM: Faust stops the agent, the last snapshot follows
        await asyncio.gather(working, return_exceptions=True)
        await flow.snapshot()
        assert kafka.changelog == before
        again = kafka.flow()
        assert again.partitions[0].next_offset == 1
        await again.on_request(messages[1])
        await again.snapshot()
        return kafka, messages

    kafka, messages = asyncio.run(run())
    expected, changelog = asyncio.run(undisturbed(messages))
    assert set(rows(kafka)) == set(expected)
    assert kafka.changelog == changelog


def test_a_partition_taken_away_in_the_middle_of_a_message_is_left_at_once(monkeypatch):
    monkeypatch.setattr(flow_module, "RESULTS_AT_ONCE", 20)

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        messages = sparse()
        await flow.on_request(messages[0])
        working = asyncio.ensure_future(flow.on_request(messages[1]))
        await asyncio.sleep(0)
        flow.disown(0)
        flow.own(0, {})
        await working
        count = len(kafka.results)
        for message in messages:
            await flow.on_request(message)
        await flow.snapshot()
        return kafka, count, messages

    kafka, count, messages = asyncio.run(run())
    expected, changelog = asyncio.run(undisturbed(messages))
    assert count < 100
    assert set(rows(kafka)) == set(expected)
    assert kafka.changelog == changelog


def test_a_snapshot_waits_for_every_result_also_those_an_agent_waits_for(monkeypatch):
    monkeypatch.setattr(outbox_module, "ON_THE_WAY_MAX", 50)

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        flow.own(1, {})
        first, second = sparse()
        other = Message(0, encode(Agent("b", key="other").message(watermark=START)), key=b"other", partition=1)
        await flow.on_request(first)
        await flow.on_request(other)
        kafka.hold = True
        working = asyncio.ensure_future(flow.on_request(second))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not working.done()  # no room
        snapshot = asyncio.ensure_future(flow.snapshot())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not snapshot.done()
        assert not kafka.changelog
        kafka.hold = False
        kafka.release()
        await asyncio.gather(working, snapshot)
        await flow.snapshot()
        return kafka

    kafka = asyncio.run(run())
    assert {b"p:0", b"p:1"} <= kafka.changelog.keys()


def test_many_messages_with_few_results_each_wait_for_kafka_too(monkeypatch):
    monkeypatch.setattr(outbox_module, "ON_THE_WAY_MAX", 5)

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        agent = Agent()
        for i in range(100):
            at = START + i * 10 * SECOND
            message = Message(i, encode(agent.message([arrival(at)], watermark=at)))
            await flow.on_request(message)
        return kafka

    kafka = asyncio.run(run())
    assert kafka.most_on_the_way <= 5 + 2
    assert len(kafka.results) > 150


@pytest.mark.parametrize("failures", [1, 3])
def test_a_changelog_write_that_fails_is_made_good_by_the_next_round(failures):
    async def run():
        kafka = FakeKafka(write_fails=failures)
        flow = kafka.flow()
        messages = sparse()
        for message in messages:
            await flow.on_request(message)
        for _ in range(failures):
            await flow.snapshot()
            assert not kafka.commits
            assert b"p:0" not in kafka.changelog
            assert flow.partitions[0].durable_offset is None
            assert not flow.partitions[0].durable
        await flow.snapshot()
        assert kafka.commits == [{0: 2}]
        assert (flow.tally.snapshot_failures, flow.tally.snapshots) == (failures, 1)
        await flow.snapshot()
        assert kafka.commits == [{0: 2}]  # nothing new, nothing written
        return kafka, messages

    kafka, messages = asyncio.run(run())
    assert kafka.changelog == asyncio.run(undisturbed(messages))[1]


def test_a_failed_snapshot_keeps_what_came_meanwhile():
    async def run():
        kafka = FakeKafka(write_fails=1)
        flow = kafka.flow()
        messages = sparse()
        await flow.on_request(messages[0])
        failing = asyncio.ensure_future(flow.snapshot())
        await asyncio.sleep(0)
        await flow.on_request(messages[1])
        await failing
        await flow.snapshot()
        return kafka, messages

    kafka, messages = asyncio.run(run())
    assert kafka.changelog == asyncio.run(undisturbed(messages))[1]


def test_what_cannot_be_used_is_a_dead_letter_and_the_next_message_is_applied():
    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        good = Agent().message([arrival(START)], watermark=START)
        for offset, value in enumerate((b"junk", None, encode(good))):
            await flow.on_request(Message(offset, value))
        await flow.on_request(Message(3, encode(good), key=b"another"))
        await flow.snapshot()
        return kafka, flow

    kafka, flow = asyncio.run(run())
    letters = [orjson.loads(p.value) for p in kafka.results if p.topic == DEAD_LETTER]
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (0, "not_json"),
        (1, "empty"),
        (3, "wrong_key"),
    ]
    assert flow.partitions[0].next_offset == 4
    assert flow.tally.dead_letters.total() == 3


def test_a_fault_of_our_own_is_counted_and_the_message_is_not_tried_for_ever(monkeypatch):
    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        first, second = sparse()
        await flow.on_request(first)
        state = flow.partitions[0].services[SERVICE]
        monkeypatch.setattr(state, "results", lambda *_: 1 / 0)
        await flow.on_request(second)
        await flow.snapshot()
        return kafka, flow

    kafka, flow = asyncio.run(run())
    assert flow.tally.processor_errors == {"ZeroDivisionError": 1}
    assert b"p:0" in kafka.changelog
    assert [orjson.loads(p.value)["reason"] for p in kafka.results if p.topic == DEAD_LETTER] == ["processor_error"]


def test_a_hole_is_asked_for_once_until_the_reader_has_moved():
    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        agent = Agent()
        log = messages_of([agent.message(watermark=START + i) for i in range(6)])
        await flow.on_request(log[0])
        for offset in (3, 4):
            await flow.on_request(log[offset])
        assert kafka.rewinds == [(0, 1)]
        flow.rewound(0)
        await flow.on_request(log[5])
        assert kafka.rewinds == [(0, 1), (0, 1)]
        for message in log[1:]:
            await flow.on_request(message)
        return flow

    flow = asyncio.run(run())
    assert flow.partitions[0].services[SERVICE].ledger.messages == 6
    assert flow.tally.offset_gaps == 2


def test_a_service_nobody_speaks_for_is_not_shown_as_if_it_were_now():
    """A burst that was on when the last agent fell silent would else be on for ever; counters stay."""

    async def story():
        kafka = FakeKafka()
        flow = kafka.flow()
        flow.own(0, {})
        await flow.on_request(Message(0, encode(Agent("a").message([arrival(START)], watermark=START))))
        await flow.on_request(Message(1, b"junk", key=b"made-up"))
        await flow.snapshot()
        assert flow.hears(SERVICE)
        assert not flow.hears("made-up")
        shown = {s.name for s in read_samples(flow, 0.0, "1")}
        kafka.now_s = 61.0
        assert not flow.hears(SERVICE)
        silent = {s.name for s in read_samples(flow, 61.0, "1")}
        assert "burstwatch_burst_active" in shown - silent
        assert "burstwatch_arrivals_total" in silent
        flow.own(0, kafka.changelog)
        assert flow.hears(SERVICE)
        flow.disown(0)
        assert not flow.hears(SERVICE)

    asyncio.run(story())
