"""An engine's readings go two ways: to the node's lane and, without a promise, beside the service's requests."""

import pytest

from collector.intake import Intake
from collector.schema.codec import decode, events_of
from collector.schema.events import Kind, Resource
from collector.schema.topics import REQUESTS, RESOURCES
from collector.sources.base import resource_lane
from tests.support.events import arrival, completion
from tests.support.pump_parts import LANE, Live, Recorded, Spool, pump_over

NODE = resource_lane("n1")
ENGINE, PROXY = Live("engine", NODE), Live("proxy", LANE)


def reading(at, service="chat"):
    return Resource(at=at, engine="e0", service=service, kv_cache_usage_ratio=0.5, source="engine", node="n1")


def told(spool):
    """{(topic, key): batches}, decoded."""
    found = {}
    for flush in spool.flushes:
        for message in flush.messages:
            found.setdefault((message.topic, message.key), []).append(decode(message.body))
    return found


def run(spool, *, live, readings, marks=(), events=()):
    intake = Intake()
    pump, _ = pump_over(spool, live=live, intake=intake)
    for event in readings:
        intake.emitter(NODE)(event)
    for event in events:
        intake.emitter(LANE)(event)
    for mark in marks:
        intake.mark(mark)
    pump.step(0.0)
    pump.step(1.0)
    pump.drain(2.0)
    return pump.counts()


def test_a_reading_with_a_service_is_told_to_its_node_and_to_its_service():
    spool = Spool()
    counts = run(spool, live=[ENGINE], readings=[reading(10), reading(20), reading(30, service=None)])
    [node], [service] = told(spool)[RESOURCES, "n1"], told(spool)[REQUESTS, "chat"]
    assert [event.at for event in events_of(node)] == [10, 20, 30]
    assert [event.at for event in events_of(service)] == [10, 20]
    assert (service.kind, service.key, service.seq) == (Kind.RESOURCE, "chat", 0)
    assert (counts.accepted, counts.spooled) == (5, 5)


def test_an_agent_that_only_scrapes_promises_nothing_about_the_requests():
    spool = Spool()
    run(spool, live=[ENGINE], readings=[reading(10)], marks=[11, 5_000_000])
    assert [batch.watermark for batch in told(spool)[REQUESTS, "chat"]] == [None]
    assert told(spool)[RESOURCES, "n1"][-1].watermark == 4_999_999


def test_readings_do_not_hold_back_the_watermark_of_the_requests_beside_them():
    spool = Spool()
    events = [arrival(12), completion(5, ended_at=13)]
    run(spool, live=[ENGINE, PROXY], readings=[reading(10)], events=events, marks=[5_000_000])
    batches = told(spool)[REQUESTS, "chat"]
    assert [batch.kind for batch in batches] == [Kind.RESOURCE, Kind.COMPLETION, Kind.ARRIVAL]
    assert [batch.watermark for batch in batches] == [None, None, 4_999_999]
    assert [batch.seq for batch in batches] == [0, 1, 2]


def test_a_promise_may_ride_on_a_reading_where_there_is_nothing_else():
    spool = Spool()
    run(spool, live=[ENGINE, PROXY], readings=[reading(10)], marks=[5_000_000])
    [batch] = told(spool)[REQUESTS, "chat"]
    assert (batch.kind, batch.watermark) == (Kind.RESOURCE, 4_999_999)


def test_a_recording_beside_an_engine_keeps_its_own_watermark_and_checkpoint():
    spool, intake = Spool(), Intake()
    source = Recorded([arrival(at) for at in range(1, 31)])
    pump, _ = pump_over(spool, live=[ENGINE], recorded=[source], intake=intake)
    intake.emitter(NODE)(reading(10))
    for now_s in range(10):
        pump.step(float(now_s))
    pump.drain(11.0)
    batches = told(spool)[REQUESTS, "chat"]
    assert [e.submitted_at for b in batches if b.kind is Kind.ARRIVAL for e in events_of(b)] == list(range(1, 31))
    assert batches[-1].watermark == 30 + 15_000_000
    assert spool.state.checkpoints == {"recorded": {"position": 30}}


@pytest.mark.parametrize("n", [9, 10, 11, 25])
def test_a_full_lane_is_flushed_whatever_filled_it(n):
    spool = Spool()
    run(spool, live=[ENGINE], readings=[reading(at) for at in range(n)])
    for batches in told(spool).values():
        assert [e.at for b in batches for e in events_of(b)] == list(range(n))
        assert max(batch.n for batch in batches) <= 10
        assert [batch.seq for batch in batches] == list(range(len(batches)))
