"""What the proxy reads out of OpenAI-compatible exchanges, pinned to captures of real servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.events import Outcome, Reason
from collector.sources.openai import PARSE_BYTES_MAX, BoundedBody, ResponseObserver, is_generation, request_facts
from collector.sources.outcome import ending_of_status
from collector.sources.sse import EVENT_BYTES_MAX, SseParser
from tests.support.shared_data import SHARED

LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
EVENTS = st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6)


def captured(name):
    path = SHARED / "fixtures" / "openai-http" / name
    if not path.exists():
        pytest.skip(f"no capture at {path}: set BURSTWATCH_SHARED")
    head, _, body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    status = int(head.split()[1])
    content_type = next(
        line.split(b":", 1)[1].strip().decode()
        for line in head.split(b"\n")
        if line.lower().startswith(b"content-type")
    )
    return status, content_type, body


def observe(status, content_type, body, *, step=7):
    observer = ResponseObserver(status=status, content_type=content_type, encoded=False)
    for start in range(0, len(body), step):
        observer.feed(body[start : start + step], 1_000 + start)
    return observer, observer.end()


def test_a_plain_answer_of_vllm():
    observer, ending = observe(*captured("chat_nonstream.http"))
    assert (ending.outcome, ending.reason) == (Outcome.OK, None)
    assert observer.tokens() == {
        "request_tokens": 10,
        "response_tokens": 20,
        "cached_tokens": None,
        "reasoning_tokens": None,
    }
    assert (observer.finish_reason, observer.first_token_at) == ("length", None)


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_streamed_answer_of_vllm_in_any_pieces(step):
    status, content_type, body = captured("chat_stream_usage.http")
    observer, ending = observe(status, content_type, body, step=step)
    assert ending.outcome == Outcome.OK
    assert (observer.tokens()["request_tokens"], observer.tokens()["response_tokens"]) == (10, 8)
    assert observer.finish_reason == "length"
    first_text = body.index(b'" legal"')
    assert step > 1_000 or 1_000 + first_text < observer.first_token_at < 1_000 + first_text + 200


def test_a_stream_without_usage_leaves_tokens_unknown():
    observer, ending = observe(*captured("chat_stream_nousage.http"))
    assert ending.outcome == Outcome.OK
    assert set(observer.tokens().values()) == {None}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("err_404.http", Reason.INVALID_REQUEST),
        ("err_bad_json.http", Reason.INVALID_REQUEST),
        ("err_bad_model.http", Reason.INVALID_REQUEST),
        ("err_ctx_overflow.http", Reason.CONTEXT_LENGTH),
        ("llama.cpp/err_ctx_overflow.http", Reason.CONTEXT_LENGTH),
    ],
)
def test_errors_of_real_servers_have_a_reason(name, reason):
    _, ending = observe(*captured(name))
    assert (ending.outcome, ending.reason) == (Outcome.FAILED, reason)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, None, Reason.AUTH),
        (408, None, Reason.TIMEOUT),
        (429, None, Reason.RATE_LIMITED),
        (500, None, Reason.BACKEND_ERROR),
        (500, {"error": {"message": "CUDA out of memory. Tried"}}, Reason.OUT_OF_MEMORY),
        (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}, Reason.OVERLOADED),
        (504, None, Reason.TIMEOUT),
        (400, {"error": {"code": "content_filter"}}, Reason.CONTENT_FILTER),
        (418, "tea", Reason.INVALID_REQUEST),
    ],
)
def test_a_status_has_a_reason(status, body, reason):
    ending = ending_of_status(status, body)
    assert (ending.outcome, ending.reason) == (Outcome.FAILED, reason)


def test_the_servers_message_never_becomes_part_of_the_event():
    ending = ending_of_status(400, {"error": {"message": "prompt: SECRET", "type": "Bad Request", "code": 400}})
    assert ending.reason_raw == "Bad_Request"


def test_an_error_inside_a_stream_is_a_failure():
    text = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    body = text + b'data: {"error":{"message":"x","code":503}}\n\ndata: [DONE]\n\n'
    _, ending = observe(200, "text/event-stream", body)
    assert (ending.outcome, ending.reason) == (Outcome.FAILED, Reason.OVERLOADED)


def test_a_stream_that_just_stops_is_no_success():
    _, ending = observe(200, "text/event-stream", b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
    assert (ending.outcome, ending.reason, ending.reason_raw) == (
        Outcome.FAILED,
        Reason.BACKEND_ERROR,
        "truncated_stream",
    )


@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(1, 9), min_size=1))
def test_sse_is_parsed_alike_whatever_ends_its_lines_and_wherever_it_is_cut(events, newline, steps):
    lines = [[b"data: " + text.encode() for text in event] for event in events]
    stream = b"".join(newline.join(event) + newline * 2 for event in lines) + b"x"
    parser, found, at, turn = SseParser(), [], 0, 0
    while at < len(stream):
        step = steps[turn % len(steps)]
        found += parser.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert found == [b"\n".join(text.encode() for text in event) for event in events]


def test_an_event_too_large_is_skipped_and_the_next_one_is_read():
    parser = SseParser()
    found = parser.feed(b"data: " + b"x" * 40_000)
    for _ in range(200):
        found += parser.feed(b"y" * 10_000)
        assert len(parser._rest) <= EVENT_BYTES_MAX + 10_000
    found += parser.feed(b"\n\ndata: small\n\n")
    assert (found, parser.oversized) == ([b"small"], 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_observed_without_an_error(data):
    for content_type in ("text/event-stream", "application/json"):
        observer, ending = observe(200, content_type, b"data: " + data + b"\n\n" + data)
        observer.tokens()
        assert ending.outcome in set(Outcome)


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"model": "GPT-4"}, "GPT-4"),
        ({"model": "a b\ud800"}, "a_b_"),
        ({"model": 3}, None),
        ({"model": ""}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_model_is_a_clean_name_or_unknown(body, model):
    assert request_facts(body).model == model


def test_bodies_past_the_bound_or_past_any_nesting_are_unknown_not_fatal():
    body = BoundedBody()
    for _ in range(3):
        body.feed(b" " * (PARSE_BYTES_MAX // 2))
    assert body.overflowed
    assert body.parsed() is None
    for text in (b"[" * 100_000, b'{"a":' * 50_000, b"\xff", b"1" * 5_000, b'{"model": "x"'):
        deep = BoundedBody()
        deep.feed(text)
        assert not isinstance(deep.parsed(), dict)


def test_only_generations_count_as_requests():
    assert is_generation("POST", "/v1/chat/completions")
    assert is_generation("POST", "/v1/completions?x=1")
    assert not is_generation("GET", "/v1/chat/completions")
    assert not is_generation("POST", "/v1/embeddings")
