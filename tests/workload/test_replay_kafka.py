"""The replay's events in a broker: all there and in order; a broker that dies costs the events, never the replay."""

import asyncio

import pytest
from kafka import KafkaConsumer

from collector.schema.codec import decode
from collector.schema.events import Kind
from collector.schema.topics import REQUESTS
from tests.support.broker import RunningBroker
from tests.support.replay_run import answer, counts, odd_server, play, rows
from workload.replay.kafka_events import KafkaEvents

pytestmark = pytest.mark.slow


async def replayed(events, meanwhile=lambda: None):
    async with odd_server(lambda *_: answer(20)) as server, events.flowing():
        tally, _ = await play(server.url, rows(50), observers=(events.stream,))
        meanwhile()
    return tally


def test_all_events_arrive_numbered_without_holes(tmp_path):
    broker = RunningBroker.start(tmp_path / "broker")
    try:
        events = KafkaEvents(broker.bootstrap_servers, "svc")
        asyncio.run(replayed(events))
        assert events.close() == {"events": 100, "lost": 0}
        consumer = KafkaConsumer(
            REQUESTS,
            bootstrap_servers=broker.bootstrap_servers,
            auto_offset_reset="earliest",
            consumer_timeout_ms=2000,
        )
        batches = [decode(message.value) for message in consumer]
        consumer.close()
    finally:
        broker.stop()
    assert [batch.seq for batch in batches] == list(range(len(batches)))
    assert {"svc"} == {batch.key for batch in batches}
    for kind in (Kind.ARRIVAL, Kind.COMPLETION):
        assert sum(batch.n for batch in batches if batch.kind is kind) == 50
    assert batches[-1].watermark is not None


def test_a_broker_that_dies_costs_the_events_and_they_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("workload.replay.kafka_events.CLOSE_S", 1.0)
    broker = RunningBroker.start(tmp_path / "broker")
    events = KafkaEvents(broker.bootstrap_servers, "svc")
    tally = asyncio.run(replayed(events, meanwhile=broker.kill))
    assert counts(tally) == (50, 0, 0)
    told = events.close()
    assert told["events"] + told["lost"] == 100
    assert told["lost"] > 0
