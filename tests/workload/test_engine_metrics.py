"""The simulated engine's /metrics: what was served is counted, under vLLM's names, types, labels and buckets."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.support.engine_server import CHAT, capture_of, chat, get, post, samples, serve
from workload.engine.scheduler import Pace


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
