"""The simulated engine over real HTTP: OpenAI's shapes as vLLM writes them, refusals, disconnects, metrics."""

import asyncio
import json
import logging
import re

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engine_server import CHAT, TEXT, capture_of, chat, get, post, samples, serve
from workload.engine.requests import ApiError, parse_ask
from workload.engine.scheduler import Pace

SLOW = Pace(decode_tokens_per_s=20.0)


def ask(path, body, **limits):
    return serve(lambda server: post(server, path, body), **limits)


def events(raw):
    """The SSE events of a body, [DONE] included; the framing must be exact."""
    *parts, rest = raw.decode().split("\n\n")
    assert rest == ""
    assert all(part.startswith("data: ") for part in parts)
    assert parts.pop() == "data: [DONE]"
    return [json.loads(part[6:]) for part in parts]


def test_a_chat_answers_with_openais_object_and_exact_usage():
    status, kind, raw = ask(CHAT, chat(max_tokens=7))
    answer = json.loads(raw)
    assert (200, "application/json") == (status, kind)
    assert answer["id"].startswith("chatcmpl-")
    assert ("chat.completion", "tiny") == (answer["object"], answer["model"])
    assert {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10} == answer["usage"]
    (choice,) = answer["choices"]
    assert (0, "length", "assistant") == (choice["index"], choice["finish_reason"], choice["message"]["role"])
    assert len(choice["message"]["content"].split()) == 7


def test_a_completion_answers_with_openais_object():
    _, _, raw = ask(TEXT, {"model": "tiny", "prompt": "a b", "max_tokens": 3, "ignore_eos": True})
    answer = json.loads(raw)
    assert answer["id"].startswith("cmpl-")
    assert answer["object"] == "text_completion"
    assert len(answer["choices"][0]["text"].split()) == 3
    assert answer["usage"]["prompt_tokens"] == 2


def test_a_chat_stream_opens_with_the_role_ends_with_usage_and_done():
    status, kind, raw = ask(CHAT, chat(max_tokens=60, stream=True, stream_options={"include_usage": True}))
    first, *middle, last = events(raw)
    assert (200, "text/event-stream; charset=utf-8") == (status, kind)
    assert {"role": "assistant", "content": ""} == first["choices"][0]["delta"]
    assert {"chat.completion.chunk"} == {event["object"] for event in [first, *middle, last]}
    assert len({event["id"] for event in [first, *middle, last]}) == 1
    assert sum(len(event["choices"][0]["delta"]["content"].split()) for event in middle) == 60
    assert [None] * (len(middle) - 1) + ["length"] == [e["choices"][0]["finish_reason"] for e in middle]
    assert len(middle) > 1, "a stream must come in pieces"
    assert ([], {"prompt_tokens": 3, "total_tokens": 63, "completion_tokens": 60}) == (
        last["choices"],
        last["usage"],
    )


def test_usage_is_not_sent_to_a_stream_that_did_not_ask():
    _, _, raw = ask(TEXT, {"model": "tiny", "prompt": "a", "max_tokens": 3, "ignore_eos": True, "stream": True})
    assert all("usage" not in event for event in events(raw))
    assert sum(len(event["choices"][0]["text"].split()) for event in events(raw)) == 3


def test_the_shapes_have_no_key_vllm_does_not_have():
    """Each key we write appears at the same place in vLLM's own captures."""
    for name, ours in (
        ("chat_nonstream", json.loads(ask(CHAT, chat(max_tokens=2))[2])),
        ("chat_stream_usage", events(ask(CHAT, chat(max_tokens=2, stream=True))[2])[1]),
    ):
        capture = capture_of(f"openai-http/{name}.http").read_text(errors="replace")
        objects = [json.loads(line) for line in re.findall(r"\{.*\}", capture)]
        theirs = objects[1] if "stream" in name.split("_") else objects[0]
        assert set(ours) - {"system_fingerprint"} <= set(theirs)
        assert set(ours["choices"][0]) <= set(theirs["choices"][0])


def test_the_length_is_drawn_when_the_client_leaves_it_to_the_model():
    async def story(server):
        body = chat(max_tokens=50) | {"ignore_eos": False}
        raws = await asyncio.gather(*[post(server, CHAT, body) for _ in range(30)])
        return [json.loads(raw) for _, _, raw in raws]

    answers = serve(story)
    lengths = [answer["usage"]["completion_tokens"] for answer in answers]
    assert len(set(lengths)) > 5
    assert max(lengths) <= 50
    for answer, length in zip(answers, lengths, strict=True):
        assert answer["choices"][0]["finish_reason"] == ("length" if length == 50 else "stop")


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "param"),
    [
        (CHAT, b"{", 400, "BadRequestError", "body"),
        (CHAT, b"[]", 400, "BadRequestError", "body"),
        (CHAT, chat(model="nope"), 404, "NotFoundError", "model"),
        (CHAT, {"model": "tiny"}, 400, "BadRequestError", "messages"),
        (TEXT, {"model": "tiny", "prompt": 3}, 400, "BadRequestError", "prompt"),
        (CHAT, chat(max_tokens=0), 400, "BadRequestError", "max_tokens"),
        (CHAT, chat(n=2), 400, "BadRequestError", "n"),
        (CHAT, chat(stream="yes"), 400, "BadRequestError", "stream"),
        (CHAT, chat("w " * 200, max_tokens=1), 400, "BadRequestError", "input_tokens"),
    ],
)
def test_a_bad_request_gets_vllms_error(path, body, status, kind, param):
    got, content_type, raw = ask(path, body, max_model_len=100)
    error = json.loads(raw)["error"]
    assert (status, "application/json") == (got, content_type)
    assert (status, kind, param) == (error["code"], error["type"], error["param"])


def test_an_engine_told_no_names_answers_to_any():
    said = parse_ask(json.dumps(chat(model="mine")).encode(), chat=True, models=("tiny",), any_model=True)
    assert said.model == "mine"


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["model", "messages", "prompt", "stream", "max_tokens", "stream_options", "n", "content"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.booleans(),
)
def test_any_body_is_a_request_or_an_api_error(body, is_chat):
    try:
        parsed = parse_ask(body, chat=is_chat, models=("tiny",))
    except ApiError as error:
        assert error.status in {400, 404}
    else:
        assert parsed.prompt_tokens >= 1


def test_an_unknown_path_is_a_404_without_an_error_key():
    assert (404, b'{"detail":"Not Found"}') == ask("/v1/nothing", {})[::2]


def test_models_and_health_answer():
    async def story(server):
        return await get(server, "/v1/models"), await get(server, "/health")

    models, health = serve(story, max_model_len=500)
    assert ["tiny", "ChatGPT", "GPT-4"] == [entry["id"] for entry in json.loads(models[2])["data"]]
    assert {500} == {entry["max_model_len"] for entry in json.loads(models[2])["data"]}
    assert (200, "") == health[::2]


@pytest.mark.parametrize("stream", [False, True])
def test_a_full_queue_is_a_503_and_counted(stream):
    async def story(server):
        body = chat(max_tokens=30, stream=stream)
        answers = await asyncio.gather(*[post(server, CHAT, body) for _ in range(8)])
        return answers, await samples(server)

    answers, metrics = serve(story, max_running=1, max_waiting=2)
    refused = [json.loads(raw)["error"] for status, _, raw in answers if status == 503]
    assert len(refused) + sum(status == 200 for status, _, _ in answers) == 8
    assert refused
    assert ("ServiceUnavailableError", 503) == (refused[0]["type"], refused[0]["code"])
    assert len(refused) == metrics["vllm:admission_rejections_total"]


def test_a_request_that_queues_too_long_is_a_503_even_when_streamed():
    async def story(server):
        long = asyncio.create_task(post(server, CHAT, chat(max_tokens=100, stream=True)))
        await asyncio.sleep(0.1)
        short = await post(server, CHAT, chat(max_tokens=1, stream=True))
        long.cancel()
        return short

    status, _, raw = serve(story, max_running=1, queue_timeout_s=0.1, pace=SLOW)
    assert (503, 503) == (status, json.loads(raw)["error"]["code"])


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_blocks(stream):
    async def story(server):
        async with aiohttp.ClientSession() as session:
            sending = asyncio.create_task(
                session.post(f"{server.url}{CHAT}", json=chat(max_tokens=2000, stream=stream))
            )
            await asyncio.sleep(0.3)
            held = server.scheduler.kv.total - server.scheduler.kv.free
            sending.cancel()
            if stream:
                (await asyncio.gather(sending, return_exceptions=True))[0].close()
        for _ in range(100):
            if not server.scheduler.busy:
                break
            await asyncio.sleep(0.02)
        return held, server.scheduler.kv.free - server.scheduler.kv.total, await samples(server)

    held, still_held, metrics = serve(story, pace=SLOW)
    assert held > 0
    assert still_held == 0
    # As in vLLM 0.32: an abort is counted nowhere.
    assert metrics["vllm:request_success_total"] == 0


def test_a_stopping_engine_lets_running_responses_end_and_refuses_new_ones():
    async def story(server):
        running = asyncio.create_task(post(server, CHAT, chat(max_tokens=30)))
        await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/health"):
            stopping = asyncio.create_task(server.stop(drain_s=5.0))
            await asyncio.sleep(0.05)
            late = await session.post(f"{server.url}{CHAT}", json=chat(max_tokens=1))
        await stopping
        return (await running)[0], late.status

    assert (200, 503) == serve(story, pace=Pace(decode_tokens_per_s=50.0))


def test_no_prompt_is_ever_logged_or_echoed(caplog):
    canary = "zebra-canary-7f3a"
    caplog.set_level(logging.DEBUG)

    async def story(server):
        bodies = [
            chat(canary, max_tokens=3),
            chat(f"{canary} " * 300, max_tokens=3),
            {"model": "tiny", "messages": canary},
            json.dumps(chat(canary)).encode()[:-1],
        ]
        answers = [await post(server, CHAT, body) for body in bodies]
        return b"".join(raw for _, _, raw in answers) + (await get(server, "/metrics"))[2].encode()

    said = serve(story, max_model_len=200)
    assert canary.encode() not in said
    assert canary not in caplog.text
