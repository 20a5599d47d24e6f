"""The replay's pure parts: when what is sent, how a stream is read, how durations are counted."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.errors import OperatorError
from collector.schema.events import API_LOG, CONVERSATION_LOG, Outcome, Reason
from collector.schema.trace_rows import BURSTGPT_6, TraceRow, format_row
from tests.support.engine_server import capture_of
from tests.support.shared_data import shared
from workload.replay.client import body_of, prompt_of
from workload.replay.failures import reason_of
from workload.replay.measure import Durations, Result, Tally
from workload.replay.schedule import Pace, Shot, Skipped, shots
from workload.replay.screen import format_counts, print_summary
from workload.replay.sse import SseReader
from workload.replay.trace_file import TraceFile


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


@pytest.mark.parametrize("tokens", [1, 2, 472])
def test_a_prompt_has_exactly_the_recorded_words_and_no_two_begin_alike(tokens):
    assert len(prompt_of(tokens, 3).split()) == tokens
    assert prompt_of(tokens, 3).split()[0] != prompt_of(tokens, 4).split()[0]
    shot = Shot(at_s=0.0, prompt_tokens=tokens, response_tokens=9, model="m", session=None)
    assert b'"max_tokens":9,"ignore_eos":true,"stream":true' in body_of(shot, 1)


# ------------------------------------------------------------------------------------------------ streams

STREAM = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n: ping\n\n'
    b'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n'
    b'data: {"choices":[],"usage":{"completion_tokens":12}}\n\ndata: [DONE]\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.booleans())
def test_a_stream_reads_the_same_however_it_is_cut(cuts, crlf):
    reader, edges = SseReader(), [0, *sorted(cuts), len(STREAM)]
    for start, end in zip(edges, edges[1:], strict=False):
        piece = STREAM[start:end]
        reader.feed(piece.replace(b"\n", b"\r\n") if crlf else piece)
    assert (True, True, None, 12) == (reader.started, reader.done, reader.error, reader.response_tokens())


def test_the_role_alone_is_not_the_first_token():
    reader = SseReader()
    reader.feed(STREAM[: STREAM.index(b": ping")])
    assert not reader.started


def test_an_error_inside_a_stream_is_seen():
    reader = SseReader()
    reader.feed(STREAM[:-14] + b'data: {"error":{"message":"x","code":503}}\n\ndata: [DONE]\n\n')
    assert reader.error == {"message": "x", "code": 503}


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_are_read_without_an_exception(pieces):
    reader = SseReader()
    for piece in pieces:
        reader.feed(piece)
    assert reader.response_tokens() is None or isinstance(reader.response_tokens(), int)


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
    assert (True, True, None) == (reader.started, reader.done, reader.error)
    assert reader.response_tokens() == tokens


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


def test_sent_is_always_ended_plus_in_flight():
    tally = Tally(sent=4)
    tally.on_result(Result(outcome=Outcome.OK, latency_s=1.0, ttft_s=0.1, response_tokens=7))
    tally.on_result(Result(outcome=Outcome.FAILED, reason=Reason.OVERLOADED, latency_s=0.1))
    tally.on_result(Result(outcome=Outcome.CANCELLED, latency_s=0.1))
    assert tally.in_flight == 1
    figures = tally.summary(elapsed_s=2.0, skipped={}, interrupted=False)
    assert (4, 1, 1, 1) == tuple(figures[name] for name in ("sent", "ok", "failed", "cancelled"))
    assert {"overloaded": 1} == figures["failures"]
    assert tally.latency.count == 1


def test_people_see_counts_and_quantiles(capsys):
    tally = Tally(sent=3, sending_s=1.5)
    tally.on_result(Result(outcome=Outcome.OK, latency_s=0.25, ttft_s=0.1, response_tokens=7))
    tally.on_result(Result(outcome=Outcome.FAILED, reason=Reason.OVERLOADED, latency_s=0.1))
    assert format_counts(tally) == "sent 3  ok 1  failed 1  open 1"
    print_summary(tally.summary(elapsed_s=2.0, skipped={"failed": 4}, interrupted=True))
    shown = capsys.readouterr().out
    for said in ("overloaded", "2.00 requests/s", "p99 250.0 ms", "rows failed"):
        assert said in shown


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
        ([""], "no column"),
        ([HEADER], "no usable row"),
        ([HEADER, "x"], "no usable row (line 2"),
    ],
)
def test_a_file_that_is_no_trace_is_the_operators_to_mend(tmp_path, lines, said):
    with pytest.raises(OperatorError) as caught:
        TraceFile(write(tmp_path / "t.csv", lines))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_the_operators_to_mend(tmp_path):
    with pytest.raises(OperatorError, match="cannot read the trace"):
        TraceFile(str(tmp_path / "no.csv"))


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
