"""The trace source: a file's requests as events, in time order, resumable behind any of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.batcher import event_time
from collector.config import TraceConfig
from collector.schema.errors import BadTrace, OperatorError
from collector.schema.events import API_LOG, CONVERSATION_LOG, Arrival, Completion
from collector.schema.trace_rows import BURSTGPT_8, read_rows
from collector.sources.recording import build_recording, load_recording
from collector.sources.trace import DEFAULT_ORIGIN, FINAL_WATERMARK_US, TraceSource, resolve_base_us
from tests.support.shared_data import shared

HEADER = ",".join(BURSTGPT_8)
NOV_2023 = 1_698_796_800_000_000


def recording_of(*rows, digest="d"):
    return build_recording([HEADER, *rows], digest)


def source_of(recording, *, speed=0.0, origin=None, checkpoint=None, now_us=0):
    config = TraceConfig(name="t", service="chat", path=None, speed=speed, origin=origin)
    return TraceSource(config, recording, node="n", now_us=now_us, checkpoint=checkpoint)


def take_all(source, most=1_000):
    events = []
    while not source.exhausted:
        events += source.take(most, 0.0)
    return events


def test_every_request_arrives_and_completes_with_what_the_file_says():
    source = source_of(recording_of("5.5,s1,2,GPT-4,10,20,30,Conversation log", "6,,,ChatGPT,7,0,7,API log"))
    first, second, failed, done = take_all(source)
    assert first == Arrival(
        id="r000000000",
        submitted_at=NOV_2023 + 5_500_000,
        model="GPT-4",
        log_type=CONVERSATION_LOG,
        session="s1",
        request_tokens=10,
        source="t",
        node="n",
    )
    assert (second.id, second.log_type, second.session) == ("r000000001", API_LOG, None)
    assert failed == Completion(
        id="r000000001",
        submitted_at=NOV_2023 + 6_000_000,
        model="ChatGPT",
        request_tokens=7,
        response_tokens=0,
        outcome="failed",
        reason="unknown",
        source="t",
        node="n",
    )
    assert (done.id, done.ended_at, done.outcome) == ("r000000000", NOV_2023 + 7_500_000, "ok")


def test_without_a_log_type_a_session_makes_a_conversation():
    source = source_of(recording_of("1,s,,m,1,1,2,", "2,,,m,1,1,2,"))
    assert {event.id: event.log_type for event in take_all(source)} == {
        "r000000000": CONVERSATION_LOG,
        "r000000001": API_LOG,
    }


ROWS = st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 6)), max_size=25)


def recording_from(rows):
    return recording_of(*(f"{at},,{'' if end is None else end},m,1,1,2,API log" for at, end in rows))


@settings(deadline=None)
@given(ROWS)
def test_events_come_in_time_order_each_once_and_an_arrival_before_its_completion(rows):
    events = take_all(source_of(recording_from(rows)))
    times = [event_time(event) for event in events]
    assert times == sorted(times)
    place = {(event.id, type(event)): i for i, event in enumerate(events)}
    assert len(place) == len(events) == 2 * len(rows)
    assert all(place[f"r{i:09d}", Arrival] < place[f"r{i:09d}", Completion] for i in range(len(rows)))
    arrivals = sorted((e for e in events if isinstance(e, Arrival)), key=lambda e: (e.submitted_at, e.id))
    in_file_order = sorted(range(len(rows)), key=lambda i: rows[i][0])
    assert [e.id for e in arrivals] == [f"r{i:09d}" for i in in_file_order]


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(st.integers(0, 7), max_size=12))
def test_resumed_behind_any_event_it_tells_the_rest_and_nothing_twice(rows, cuts):
    recording = recording_from(rows)
    whole = take_all(source_of(recording))
    told, checkpoint = [], None
    for cut in cuts:
        source = source_of(recording, checkpoint=checkpoint)
        told += source.take(cut, 0.0)
        if told:
            checkpoint = source.checkpoint()
    told += take_all(source_of(recording, checkpoint=checkpoint))
    assert told == whole


@settings(deadline=None)
@given(ROWS, st.integers(1, 5))
def test_the_watermark_lies_before_all_that_is_still_to_come(rows, most):
    source = source_of(recording_from(rows))
    whole = take_all(source_of(recording_from(rows)))
    taken = 0
    while not source.exhausted:
        taken += len(source.take(most, 0.0))
        following = whole[taken : taken + 1]
        if following:
            assert source.watermark(0.0) == event_time(following[0]) - 1
    if rows:
        assert source.watermark(0.0) == event_time(whole[-1]) + FINAL_WATERMARK_US


def test_at_a_pace_events_come_when_they_are_due():
    source = source_of(recording_of("100,,1,m,1,1,2,", "110,,1,m,1,1,2,"), speed=10.0)
    base = NOV_2023 + 100_000_000
    assert [e.submitted_at for e in source.take(9, 50.0)] == [base]
    assert source.idle_s(50.0) == pytest.approx(0.1)
    assert source.watermark(50.0625) == base + 625_000
    assert [e.ended_at for e in source.take(9, 50.5)] == [base + 1_000_000]
    assert source.take(9, 50.875) == []
    assert source.watermark(50.875) == base + 8_750_000
    assert len(source.take(9, 51.2)) == 2
    assert source.exhausted


def test_origins():
    relative = recording_of("100,,1,m,1,1,2,")
    calendar = build_recording(["TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.5,1,2"], "d")
    at = calendar.submitted[0]
    assert DEFAULT_ORIGIN.startswith("2023-11-01")
    assert resolve_base_us(relative, None, 0) == NOV_2023
    assert resolve_base_us(relative, "2024-01-01T00:00:00+00:00", 0) == 1_704_067_200_000_000
    assert resolve_base_us(relative, "now", 777_000_000) + 100_000_000 == 777_000_000
    assert resolve_base_us(calendar, None, 0) == 0
    assert resolve_base_us(calendar, "2024-01-01T00:00:00+00:00", 0) + at == 1_704_067_200_000_000
    with pytest.raises(OperatorError, match="origin"):
        resolve_base_us(relative, "9999-12-31T23:59:59+00:00", 0)


def test_now_stays_what_it_was_at_the_first_start():
    recording = recording_of("1,,,m,1,1,2,", "2,,,m,1,1,2,")
    source = source_of(recording, origin="now", now_us=5_000_000_000)
    source.take(1, 0.0)
    resumed = source_of(recording, origin="now", now_us=9_000_000_000, checkpoint=source.checkpoint())
    assert resumed.resumed
    assert [e.submitted_at for e in resumed.take(9, 0.0)][-1] == 5_001_000_000


def test_a_checkpoint_of_another_file_is_not_used():
    source = source_of(recording_of("1,,,m,1,1,2,", digest="one"))
    source.take(1, 0.0)
    other = source_of(recording_of("1,,,m,1,1,2,", digest="two"), checkpoint=source.checkpoint())
    assert not other.resumed
    assert len(take_all(other)) == 2


def test_an_unsorted_file_is_played_in_time_order_and_keeps_its_row_numbers():
    source = source_of(recording_of("9,,,m,1,1,2,", "3,,,m,1,1,2,", "9,,,m,1,1,2,"))
    assert [e.id for e in take_all(source) if isinstance(e, Arrival)] == ["r000000001", "r000000000", "r000000002"]


def test_a_bad_file_is_named_with_its_line(tmp_path):
    with pytest.raises(OperatorError, match=r"gone\.csv: No such file"):
        load_recording(tmp_path / "gone.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{HEADER}\n1,,,m,1,1,2,API log\n2,,,m,many,1,2,API log\n")
    with pytest.raises(OperatorError, match=r"bad\.csv: line 3: Request tokens"):
        load_recording(bad)
    bad.write_text("a,b\n1,2\n")
    with pytest.raises(OperatorError, match="line 1: no column"):
        load_recording(bad)
    with pytest.raises(BadTrace):
        build_recording([], "d")


def test_the_azure_trace_comes_out_as_it_went_in():
    path = shared("azure/AzureLLMInferenceTrace_code.csv")
    with path.open() as lines:
        rows = list(read_rows(lines)[1])
    events = take_all(source_of(load_recording(path)))
    arrivals = [e for e in events if isinstance(e, Arrival)]
    assert [(e.submitted_at, e.request_tokens) for e in arrivals] == [(r.submitted_us, r.request_tokens) for r in rows]
    assert sum(isinstance(e, Completion) for e in events) == len(rows) == 8819
