"""Laws of the batcher and the pump: every event counted, numbers without holes, watermarks that are true."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.batcher import Batcher, event_time
from collector.intake import Intake
from collector.pump import HEARTBEAT_S
from collector.schema.codec import decode, events_of
from collector.schema.events import Kind
from collector.sources.base import request_lane
from tests.support.events import arrival, completion
from tests.support.pump_parts import LANE, Live, Recorded, Spool, pump_over


def assert_watermarks_are_true(batches):
    """Nothing a message promised to be sent comes later; watermarks never fall."""
    promised = -1
    for batch in batches:
        assert all(event_time(event) > promised for event in events_of(batch))
        if batch.watermark is not None:
            assert batch.watermark >= promised
            promised = batch.watermark


def test_completions_go_before_arrivals_and_only_the_last_message_moves_the_watermark():
    batcher = Batcher(agent="a", boot="b", batch_max=2)
    batcher.join(LANE, "s")
    batcher.promise(LANE, "s", 5)
    batcher.flush(LANE)
    for at in (6, 7, 8):
        batcher.add(LANE, arrival(at))
        batcher.add(LANE, completion(at, ended_at=at + 1))
    batcher.promise(LANE, "s", 9)
    batches = [decode(message.body) for message in batcher.flush(LANE)]
    assert [(b.kind, b.n, b.watermark) for b in batches] == [
        (Kind.COMPLETION, 2, 5),
        (Kind.COMPLETION, 1, 5),
        (Kind.ARRIVAL, 2, 5),
        (Kind.ARRIVAL, 1, 9),
    ]
    assert [b.seq for b in batches] == [1, 2, 3, 4]


def test_a_lane_promises_only_what_all_its_sources_promise():
    batcher = Batcher(agent="a", boot="b", batch_max=2)
    watermark = lambda: decode(batcher.flush(LANE)[-1].body).watermark  # noqa: E731 - read many times below
    batcher.join(LANE, "x")
    batcher.join(LANE, "y")
    batcher.promise(LANE, "x", 100)
    assert watermark() is None
    batcher.promise(LANE, "y", 40)
    assert watermark() == 40
    batcher.finish(LANE, "y", 60)
    assert watermark() == 100
    batcher.promise(LANE, "x", 90)
    assert watermark() == 100
    batcher.finish(LANE, "x", 300)
    assert watermark() == 300


def test_an_event_the_schema_refuses_is_left_out_and_counted_and_harms_no_other():
    batcher = Batcher(agent="a", boot="b", batch_max=10)
    batcher.join(LANE, "s")
    for event in (arrival(1), arrival(2, model="two words"), arrival(3)):
        batcher.add(LANE, event)
    [message] = batcher.flush(LANE)
    batch = decode(message.body)
    assert [event.submitted_at for event in events_of(batch)] == [1, 3]
    assert (message.n, batch.dropped, batcher.rejected) == (2, 1, 1)


STEPS = st.lists(
    st.sampled_from(["arrive", "complete", "mark", "step", "later", "refuse", "accept"]), min_size=1, max_size=120
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 60))
def test_events_are_in_messages_or_counted_and_watermarks_are_true_under_any_interleaving(steps, recorded_n):
    spool, now_s, clock = Spool(), 0.0, itertools.count(1_000)
    recorded = [Recorded([arrival(at * 7) for at in range(1, recorded_n + 1)])] if recorded_n else []
    pump, intake = pump_over(spool, live=[Live()], recorded=recorded, intake=Intake(most=15))
    emit, emitted, at = intake.emitter(LANE), 0, 1_000
    for step in steps:
        if step in {"arrive", "complete"}:
            at = next(clock)
            emit(arrival(at) if step == "arrive" else completion(at, ended_at=at))
            emitted += 1
        elif step == "mark":
            intake.mark(at)
        elif step == "step":
            pump.step(now_s)
        elif step == "later":
            now_s += 0.3
        else:
            spool.refuses = step == "refuse"
    counts = pump.counts()
    assert counts.accepted == counts.spooled + counts.queued + counts.dropped
    spool.refuses = False
    pump.step(now_s + 10)
    pump.drain(now_s + 20)
    batches = spool.batches()
    counts = pump.counts()
    told = sum(batch.n for batch in batches)
    taken = recorded[0].position if recorded else 0
    assert counts.queued == 0
    assert told == counts.spooled
    assert told + counts.dropped == emitted + taken == counts.accepted
    recorded_told = [e for b in batches for e in events_of(b) if e.submitted_at < 1_000]
    assert len(recorded_told) == taken  # recorded events wait, they are never dropped
    assert all(batch.dropped <= counts.dropped for batch in batches)
    seqs = [batch.seq for batch in batches]
    assert seqs == sorted(set(seqs))
    if not counts.dropped:
        assert seqs == list(range(len(seqs)))
    assert_watermarks_are_true(batches)


def test_what_a_full_spool_costs_is_visible_as_a_hole_in_the_numbers_and_a_count():
    spool = Spool()
    pump, intake = pump_over(spool, live=[Live()], ring_bytes=0)
    emit = intake.emitter(LANE)
    emit(arrival(1))
    pump.step(0.0)
    pump.step(1.0)
    spool.refuses = True
    for at in (2, 3):
        emit(arrival(at))
    pump.step(2.0)
    pump.step(3.0)
    spool.refuses = False
    emit(arrival(4))
    pump.step(4.0)
    pump.step(5.0)
    assert [(b.seq, b.n, b.dropped) for b in spool.batches()] == [(0, 1, 0), (2, 1, 2)]
    assert (pump.counts().accepted, pump.counts().dropped) == (4, 2)


def test_a_recorded_source_waits_while_the_spool_refuses_and_loses_nothing():
    spool = Spool()
    source = Recorded([arrival(at) for at in range(1, 101)])
    pump, _ = pump_over(spool, recorded=[source], ring_bytes=0)
    spool.refuses = True
    for now_s in range(5):
        pump.step(float(now_s))
    assert 0 < source.position <= 10
    assert pump.counts().dropped == 0
    spool.refuses = False
    while not pump.done:
        pump.step(9.0)
    assert [e.submitted_at for b in spool.batches() for e in events_of(b)] == list(range(1, 101))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(1, 9), st.lists(st.integers(0, 30), max_size=6))
def test_a_checkpoint_and_the_events_it_stands_for_enter_the_spool_together(n, batch_max, kills):
    """Killed after any flush and resumed from the spool alone, every event is told exactly once."""
    events = [arrival(at) for at in range(1, n + 1)]
    spool = Spool()
    for kill_after in [*kills, None]:
        position = spool.state.checkpoints.get("recorded", {"position": 0})["position"]
        pump, _ = pump_over(spool, recorded=[Recorded(events, position=position)], batch_max=batch_max)
        steps = range(kill_after) if kill_after is not None else itertools.count()
        for _ in steps:
            pump.step(0.0)
            if pump.done:
                break
    assert [e.submitted_at for b in spool.batches() for e in events_of(b)] == list(range(1, n + 1))
    assert spool.batches()[-1].watermark == n + 15_000_000


def test_an_idle_live_source_sends_a_heartbeat_about_once_a_second():
    spool = Spool()
    pump, intake = pump_over(spool, live=[Live()])
    for tenth in range(100):
        intake.mark(tenth * 100_000 + 1)
        pump.step(tenth / 10)
    batches = spool.batches()
    assert {batch.n for batch in batches} == {0}
    assert len(batches) == 10 / HEARTBEAT_S
    assert_watermarks_are_true(batches)


def test_the_intake_drops_the_newest_and_counts_them_in_the_messages():
    spool, intake = Spool(), Intake(most=5)
    pump, _ = pump_over(spool, live=[Live()], intake=intake)
    emit = intake.emitter(LANE)
    for at in range(1, 9):
        emit(arrival(at))
    pump.step(0.0)
    pump.step(1.0)
    [batch] = spool.batches()
    assert ([e.submitted_at for e in events_of(batch)], batch.dropped) == ([1, 2, 3, 4, 5], 3)
    assert pump.counts().accepted == 8


def test_live_events_given_up_at_the_end_are_counted_and_recorded_ones_come_again():
    spool = Spool()
    source = Recorded([arrival(at) for at in range(1, 4)], lane=request_lane("other"))
    pump, intake = pump_over(spool, live=[Live()], recorded=[source])
    spool.refuses = True
    intake.emitter(LANE)(arrival(5))
    pump.step(0.0)
    pump.drain(1.0)
    counts = pump.counts()
    assert (counts.accepted, counts.spooled, counts.queued, counts.dropped) == (1, 0, 0, 1)
    assert spool.state.checkpoints == {}
