"""The replay's pure parts: when what is sent, how a stream is read, how durations are counted, what a file holds."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.errors import OperatorError
from collector.schema.events import API_LOG, CONVERSATION_LOG, Outcome, Reason
from collector.schema.trace_rows import BURSTGPT_6, TraceRow, format_row
from tests.support.engine_server import capture_of
from tests.support.shared_data import shared
from workload.replay.failures import reason_of
from workload.replay.measure import Durations
from workload.replay.recorded import Recorded, rows_of
from workload.replay.schedule import GIVEN_UP_TOKENS_MIN, Pace, Skipped, ramped, shots
from workload.replay.sse import SseReader
from workload.replay.trace_file import TraceFile, open_trace
from workload.trace.columns import Labels, Trace


def row(at_s, request=10, response=5, **fields):
    return TraceRow(submitted_us=round(at_s * 1e6), request_tokens=request, response_tokens=response, **fields)


def play(rows, skipped=None, **pace):
    pace = Pace(fallback_model="m", **pace)
    return list(shots(lambda: rows, pace, Skipped() if skipped is None else skipped))


times = st.lists(st.integers(0, 10**9), min_size=1, max_size=50)


@given(times, st.floats(0.01, 1000))
def test_gaps_are_the_recorded_ones_divided_by_speed(at_us, speed):
    at_us = sorted(at_us)
    got = [shot.at_s for shot in play([row(us / 1e6) for us in at_us], speed=speed)]
    assert got == pytest.approx([(us - at_us[0]) / 1e6 / speed for us in at_us], rel=1e-9, abs=1e-9)


@given(times)
def test_send_times_never_go_back_and_each_step_back_is_counted(at_us):
    skipped = Skipped()
    got = [shot.at_s for shot in play([row(us / 1e6) for us in at_us], skipped)]
    assert got == sorted(got)
    latest = np.maximum.accumulate(at_us)
    assert skipped.backward == sum(us < top for us, top in zip(at_us, latest, strict=True))


@given(times, st.integers(1, 60), st.floats(0.0, 2000.0, exclude_min=True))
def test_limit_and_duration_cut_exactly(at_us, limit, duration_s):
    rows = [row(us / 1e6) for us in sorted(at_us)]
    whole = play(rows)
    assert play(rows, limit=limit) == whole[:limit]
    assert play(rows, duration_s=duration_s) == [shot for shot in whole if shot.at_s <= duration_s]


def test_a_loop_repeats_one_mean_gap_after_the_end():
    got = play([row(5), row(6), row(8)], loop=True, limit=7)
    assert [0.0, 1.0, 3.0, 4.5, 5.5, 7.5, 9.0] == [shot.at_s for shot in got]


@pytest.mark.parametrize("rows", [[], [row(1, response=0)], [row(1)], [row(1), row(1)]])
def test_a_loop_over_nothing_that_takes_time_ends(rows):
    assert len(play(rows, loop=True)) <= len(rows)


def test_recorded_failures_and_incomplete_rows_are_skipped_and_counted():
    rows = [row(0), row(1, 0, 0), row(2, None, 5), row(3, 5, None), row(4)]
    skipped = Skipped()
    assert [0.0, 4.0] == [shot.at_s for shot in play(rows, skipped)]
    assert Skipped(failed=1, incomplete=2) == skipped
    sent = play(rows, send_failed=True)
    assert [(10, 5), (1, 1), (10, 5)] == [(shot.prompt_tokens, shot.response_tokens) for shot in sent]


def test_model_and_session_come_from_the_row():
    rows = [
        row(0, model="GPT-4", session="s-1", log_type=CONVERSATION_LOG),
        row(1, model="GPT-4", log_type=CONVERSATION_LOG),  # six columns name no session
        row(2, log_type=API_LOG),
        row(3),
    ]
    assert [("GPT-4", "s-1"), ("GPT-4", "replay-1"), ("m", None), ("m", None)] == [
        (shot.model, shot.session) for shot in play(rows)
    ]
    assert {"other"} == {shot.model for shot in play(rows, model="other")}


def test_rows_are_drawn_as_they_are_sent_not_before():
    drawn = []

    def endless():
        while True:
            drawn.append(1)
            yield row(len(drawn))

    stream = shots(endless, Pace(fallback_model="m"), Skipped())
    for _ in range(5):
        next(stream)
    assert len(drawn) == 5


@given(times, st.floats(0.1, 500.0))
def test_a_ramp_stretches_time_so_that_the_rate_rises_evenly_and_nothing_is_left_out(at_us, ramp_s):
    rows = [row(us / 1e6) for us in sorted(at_us)]
    plain, slow = [shot.at_s for shot in play(rows)], [shot.at_s for shot in play(rows, ramp_s=ramp_s)]
    assert len(slow) == len(plain)
    assert slow == sorted(slow)
    for before, after in zip(plain, slow, strict=True):
        # What the rate has let through by then: t²/(2 ramp) inside the ramp, all but half a ramp after it.
        let_through = after**2 / (2 * ramp_s) if after < ramp_s else after - ramp_s / 2
        assert let_through == pytest.approx(before, rel=1e-9, abs=1e-6)


def test_the_ramp_ends_where_the_traces_own_pace_begins():
    assert ramped(5.0, 10.0) == pytest.approx(10.0)
    assert ramped(5.0 + 1e-9, 10.0) == pytest.approx(10.0)
    assert ramped(3.0, 0.0) == 3.0


def recorded(at_s, outcome, reason=None, *, elapsed_s=2.5, response=40):
    return Recorded(
        submitted_us=round(at_s * 1e6),
        elapsed_us=None if elapsed_s is None else round(elapsed_s * 1e6),
        request_tokens=10,
        response_tokens=response,
        outcome=outcome,
        reason=reason,
    )


def test_what_was_given_up_is_given_up_after_the_recorded_time_and_asked_for_more_than_came():
    rows = [
        recorded(0, Outcome.CANCELLED, response=400),
        recorded(1, Outcome.FAILED, "timeout", response=0),
        recorded(2, Outcome.FAILED, "overloaded", response=0),
        recorded(3, Outcome.CANCELLED, elapsed_s=None),
        recorded(4, Outcome.OK),
    ]
    skipped = Skipped()
    got = play(rows, skipped, speed=2.0)
    assert [(2.5, Outcome.CANCELLED, 800), (2.5, Outcome.FAILED, GIVEN_UP_TOKENS_MIN)] == [
        (shot.patience_s, shot.gives_up, shot.response_tokens) for shot in got[:2]
    ]
    assert [None, None] == [shot.patience_s for shot in got[2:]]
    assert skipped.failed == 1
    patient = Skipped()
    assert [None] * 3 == [shot.patience_s for shot in play(rows, patient, as_recorded=False)]
    assert patient.failed == 2


def test_columns_are_the_same_rows_as_a_file():
    trace = Trace.build(
        np.asarray([0, 1_500_000], np.int64),
        request_tokens=np.asarray([10, -1], np.int32),
        response_tokens=np.asarray([0, 7], np.int32),
        session=Labels.of(["s", None]),
    )
    assert [
        Recorded(submitted_us=0, session="s", request_tokens=10, response_tokens=0, outcome=Outcome.FAILED),
        Recorded(submitted_us=1_500_000, response_tokens=7, outcome=Outcome.OK),
    ] == list(rows_of(trace))


# ------------------------------------------------------------------------------------------------ streams

STREAM = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n: ping\n\n'
    b'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n'
    b'data: {"choices":[],"usage":{"completion_tokens":12}}\n\ndata: [DONE]\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.booleans())
def test_a_stream_reads_the_same_however_it_is_cut(cuts, crlf):
    reader, edges = SseReader(keep_text=True), [0, *sorted(cuts), len(STREAM)]
    for start, end in zip(edges, edges[1:], strict=False):
        piece = STREAM[start:end]
        reader.feed(piece.replace(b"\n", b"\r\n") if crlf else piece)
    assert (1, True, None, 12) == (reader.chunks, reader.done, reader.error, reader.count("completion_tokens"))
    assert ["hi"] == reader.texts


def test_the_role_alone_is_not_the_first_token():
    reader = SseReader()
    reader.feed(STREAM[: STREAM.index(b": ping")])
    assert reader.chunks == 0


@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {"content": "x"}},
        {"delta": {"reasoning_content": "x"}},
        {"delta": {"reasoning": "x"}},
        {"delta": {"tool_calls": [{}]}},
        {"text": "x"},
    ],
)
def test_whatever_the_model_says_counts_as_said(choice):
    reader = SseReader()
    for said in (choice, {"delta": {}}, {"finish_reason": "stop", "text": ""}):
        reader.feed(b"data: " + json.dumps({"choices": [said]}).encode() + b"\n\n")
    assert reader.chunks == 1


def test_usage_is_read_wherever_it_comes():
    reader = SseReader()
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    reader.feed(b"data: " + json.dumps({"choices": [{"index": 0, "delta": {}}], "usage": usage}).encode() + b"\n\n")
    assert (9, 2, 4) == (reader.count("prompt_tokens"), reader.count("completion_tokens"), reader.cached_tokens())


def test_an_error_inside_a_stream_is_seen():
    reader = SseReader()
    reader.feed(STREAM[:-14] + b'data: {"error":{"message":"x","code":503}}\n\ndata: [DONE]\n\n')
    assert reader.error == {"message": "x", "code": 503}


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_are_read_without_an_exception(pieces):
    reader = SseReader()
    for piece in pieces:
        reader.feed(piece)
    assert reader.count("completion_tokens") is None or isinstance(reader.count("completion_tokens"), int)


def test_data_is_found_among_an_events_other_fields():
    reader = SseReader(keep_text=True)
    chunk = b'data:{"choices":[{"delta":{"content":"hi"}}]}'
    reader.feed(b": ping\nevent: chunk\nid: 7\n" + chunk + b"\n\n\n" + chunk + b"\n\nretry: 5\ndata: [DONE]\n\n")
    assert (["hi", "hi"], True) == (reader.texts, reader.done)


@pytest.mark.parametrize("count", [-5, 10**20, 2.5, True, "7"])
def test_a_usage_that_is_no_count_is_not_known(count):
    reader = SseReader()
    reader.feed(b"data: " + json.dumps({"choices": [], "usage": {"prompt_tokens": count}}).encode() + b"\n\n")
    assert reader.count("prompt_tokens") is None


def test_an_endless_event_is_an_error_not_memory():
    reader = SseReader()
    for _ in range(20):
        reader.feed(b"data: " + b"x" * 100_000)
    assert reader.error is not None


@pytest.mark.parametrize(("name", "tokens"), [("chat_stream_usage", 8), ("chat_stream_nousage", None)])
def test_vllms_own_streams_are_understood(name, tokens):
    raw = capture_of(f"openai-http/{name}.http").read_bytes()
    reader = SseReader()
    reader.feed(raw[raw.index(b"data:") :])
    assert (True, True, None) == (reader.chunks > 0, reader.done, reader.error)
    assert reader.count("completion_tokens") == tokens


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (400, "This model's maximum context length is 8 tokens.", Reason.CONTEXT_LENGTH),
        (400, "max_tokens must be at least 1", Reason.INVALID_REQUEST),
        (404, "no such model", Reason.INVALID_REQUEST),
        (401, "", Reason.AUTH),
        (429, "", Reason.RATE_LIMITED),
        (503, "", Reason.OVERLOADED),
        (504, "", Reason.TIMEOUT),
        (500, "", Reason.BACKEND_ERROR),
        (302, "", Reason.UNKNOWN),
    ],
)
def test_a_status_has_one_reason(status, message, reason):
    assert reason_of(status, {"message": message}) is reason


# ------------------------------------------------------------------------------------------------ measures


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_a_quantile_is_within_one_per_cent_of_the_exact_one(values, share):
    durations = Durations()
    for value in values:
        durations.add(value)
    exact = sorted(values)[max(1, int(np.ceil(share * len(values)))) - 1]
    assert durations.quantile(share) == pytest.approx(exact, rel=0.011)
    assert durations.max_s == max(values)


def test_nothing_measured_is_none():
    assert Durations().quantile(0.5) is None
    assert Durations().summary() is None


def test_a_million_durations_cost_no_more_buckets_than_their_spread():
    durations = Durations()
    for value in np.random.default_rng(0).lognormal(0, 1, 100_000):
        durations.add(float(value))
    assert len(durations._buckets) < 1_500


# ------------------------------------------------------------------------------------------------ files


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return str(path)


HEADER = ",".join(BURSTGPT_6)


def test_bad_rows_are_passed_over_and_the_first_is_named(tmp_path):
    good = [",".join(format_row(row(at, model="m", log_type=API_LOG), BURSTGPT_6)) for at in range(4)]
    trace = TraceFile(write(tmp_path / "t.csv", [HEADER, good[0], "x,y", good[1], good[2], "1", good[3]]))
    assert [0, 1, 2, 3] == [r.submitted_us // 10**6 for r in trace.rows()]
    assert trace.bad_rows == 2
    assert trace.first_bad.startswith("line 3: ")
    assert trace.read_bytes == trace.size_bytes


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a,b"], "no column"),
        (['{"what": 1}'], "known formats"),
        ([""], "no column"),
        ([HEADER], "no usable row"),
        ([HEADER, "x"], "no usable row (line 2"),
    ],
)
def test_a_file_that_is_no_trace_is_the_operators_to_mend(tmp_path, lines, said):
    with pytest.raises(OperatorError) as caught:
        open_trace(write(tmp_path / "t.csv", lines))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_the_operators_to_mend(tmp_path):
    with pytest.raises(OperatorError, match="cannot read the trace"):
        open_trace(str(tmp_path / "no.csv"))


@pytest.mark.parametrize(
    ("name", "count"),
    [("azure/AzureLLMInferenceTrace_code.csv", 8819), ("burstgpt/burstgpt1_first30_rows.csv", None)],
)
def test_real_traces_become_one_request_per_usable_row(name, count):
    path = shared(name)
    skipped = Skipped()
    got = list(shots(TraceFile(str(path)).rows, Pace(fallback_model="m"), skipped))
    with path.open(newline="") as file:
        rows = sum(1 for _ in csv.reader(file)) - 1
    assert len(got) + skipped.failed + skipped.incomplete == rows
    assert count in {None, len(got)}


def test_any_other_known_format_is_read_with_how_its_requests_ended(tmp_path):
    lines = ['{"timestamp": 0, "input_length": 30, "output_length": 5, "hash_ids": [0]}', "{]"]
    lines.append('{"timestamp": 1500, "input_length": 10, "output_length": 3, "hash_ids": [1]}')
    source = open_trace(write(tmp_path / "t.jsonl", lines))
    assert [(0, 30, 5), (1_500_000, 10, 3)] == [
        (r.submitted_us, r.request_tokens, r.response_tokens) for r in source.rows()
    ]
    assert source.bad_rows == 1
    assert source.first_bad.startswith("line 2: ")
    assert source.read_bytes == source.size_bytes
    with pytest.raises(OperatorError, match="known formats"):
        open_trace(str(tmp_path / "t.jsonl"), "mooncacke")
