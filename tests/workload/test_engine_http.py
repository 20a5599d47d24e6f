"""The simulated engine over real HTTP: OpenAI's shapes as vLLM writes them, refusals, disconnects, metrics."""

import asyncio
import json
import logging
import re

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.support.engine_server import capture_of, engine, get, post
from workload.engine.requests import ApiError, parse_ask
from workload.engine.scheduler import Pace

SLOW = Pace(decode_tokens_per_s=20.0)
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"


def chat(content="one two three", **fields):
    return {"model": "tiny", "messages": [{"role": "user", "content": content}], "ignore_eos": True, **fields}


def serve(story, **limits):
    async def run():
        async with engine(**limits) as server:
            return await story(server)

    return asyncio.run(run())


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


async def samples(server):
    """Sums over labels of every sample by name."""
    sums = {}
    for family in text_string_to_metric_families((await get(server, "/metrics"))[2]):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def test_metrics_count_what_was_served():
    async def story(server):
        await asyncio.gather(*[post(server, CHAT, chat(max_tokens=6)) for _ in range(5)])
        return await samples(server)

    got = serve(story)
    assert (15, 30, 5) == (
        got["vllm:prompt_tokens_total"],
        got["vllm:generation_tokens_total"],
        got["vllm:request_success_total"],
    )
    assert (5, 5) == (got["vllm:time_to_first_token_seconds_count"], got["vllm:e2e_request_latency_seconds_count"])
    assert (0, 0, 0) == (
        got["vllm:kv_cache_usage_perc"],
        got["vllm:num_requests_running"],
        got["vllm:num_requests_waiting"],
    )
    assert 0 < got["vllm:time_to_first_token_seconds_sum"] <= got["vllm:e2e_request_latency_seconds_sum"]


def test_a_loaded_cache_shows_in_the_gauges():
    async def story(server):
        tasks = [asyncio.create_task(post(server, CHAT, chat("w " * 64, max_tokens=60))) for _ in range(6)]
        await asyncio.sleep(0.3)
        seen = await samples(server)
        await asyncio.gather(*tasks)
        return seen, await samples(server)

    seen, after = serve(story, kv_blocks=14, pace=Pace(decode_tokens_per_s=100.0))
    assert seen["vllm:kv_cache_usage_perc"] > 0.5
    assert seen["vllm:num_requests_running"] + seen["vllm:num_requests_waiting"] == 6
    assert after["vllm:num_preemptions_total"] > 0
    assert after["vllm:request_success_total"] == 6


def test_every_metric_is_one_of_vllms_with_its_type_labels_and_buckets():
    fixture = capture_of("vllm/vllm-0.32.0-cpu_saturated_preempting_own_capture.txt").read_text()
    ours = serve(lambda server: get(server, "/metrics"))
    assert ours[1] == "text/plain; version=1.0.0; charset=utf-8"

    def shape(text):
        families = {}
        for family in text_string_to_metric_families(text):
            keys = {
                (s.name, tuple(sorted(s.labels)), s.labels.get("le"), s.labels.get("finished_reason"))
                for s in family.samples
            }
            families[family.name] = (family.type, keys)
        return families

    theirs = shape(fixture)
    for name, (kind, keys) in shape(ours[2]).items():
        assert kind == theirs[name][0]
        if name == "vllm:cache_config_info":  # vLLM puts its whole configuration in labels
            continue
        buckets = {key for key in keys if key[2] is not None}
        # vLLM cuts the token buckets at its model's length; ours is another model.
        assert keys - buckets <= theirs[name][1]
        assert "tokens" in name or buckets <= theirs[name][1]


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
