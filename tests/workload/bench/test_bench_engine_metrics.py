"""What is read from an engine's /metrics, whichever engine it is; what is absent is None."""

import pytest

from tests.support.engine_server import capture_of, chat, get, post, serve
from workload.bench.engine_metrics import read_engine
from workload.bench.looks import Looks


def test_the_simulated_engines_page_is_read():
    async def story(server):
        await post(server, "/v1/chat/completions", chat(max_tokens=3))
        return (await get(server, "/metrics"))[2]

    found = read_engine(serve(story, kv_blocks=500, block_tokens=32))
    assert ("vllm", 0.0, 0.0, 0.0, 0.0) == (found.engine, found.kv, found.running, found.waiting, found.preemptions)
    assert (500, 32, 16_000) == (found.kv_blocks, found.block_tokens, found.kv_tokens)


def test_engine_cores_are_joined_the_fullest_cache_and_all_requests():
    page = "\n".join(
        f'vllm:{name}{{engine="{core}",model_name="a,b"}} {value}'
        for core, kv, running in ((0, 0.25, 3), (1, 0.75, 5))
        for name, value in (
            ("kv_cache_usage_perc", kv),
            ("num_requests_running", running),
            ("num_preemptions_total", 2),
            ("num_preemptions_created", 1.7e9),
        )
    )
    found = read_engine(page)
    assert (0.75, 8, 4) == (found.kv, found.running, found.preemptions)
    assert (None, None) == (found.waiting, found.kv_tokens)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("sglang:token_usage 0.5\nsglang:num_running_reqs 4\nsglang:num_queue_reqs 2", ("sglang", 0.5, 4, 2, None)),
        (
            'sglang:num_running_reqs{tp_rank="0"} 4\nsglang:num_running_reqs{tp_rank="1"} 4',
            ("sglang", None, 4, None, None),
        ),
        ("tgi_batch_current_size 7\ntgi_queue_size 1", ("tgi", None, 7, 1, None)),
        ("llamacpp:requests_processing 1\nllamacpp:requests_deferred 0", ("llama.cpp", None, 1, 0, None)),
        ("gpu_cache_usage_perc 0.1\nnum_requests_running 2", ("nim", 0.1, 2, None, None)),
        ("ray_serve_x 1\nvllm_kv_cache_usage_perc 0.3", ("vllm", 0.3, None, None, None)),
        ("vllm:gpu_cache_usage_perc 0.2", ("vllm", 0.2, None, None, None)),
        ("vllm:kv_cache_usage_perc NaN\nup 1", (None, None, None, None, None)),
        ("<html>not here</html>", (None, None, None, None, None)),
    ],
)
def test_other_engines_are_read_under_their_own_names(page, told):
    found = read_engine(page)
    assert told == (found.engine, found.kv, found.running, found.waiting, found.preemptions)


@pytest.mark.parametrize(
    ("name", "engine"),
    [("samples/vllm_0.29.0_real_lines.prom", "vllm"), ("samples/sglang_docs_metrics.prom", "sglang")],
)
def test_samples_of_real_engines_are_read(name, engine):
    assert read_engine(capture_of(name).read_text()).engine == engine


@pytest.mark.parametrize(
    ("labels", "size"),
    [
        ('block_size="16",num_gpu_blocks="100"', (100, 16, 1600)),
        ('block_size="16",num_gpu_blocks="100",kv_cache_size_tokens="900"', (100, 16, 900)),
        ('block_size="16",num_gpu_blocks="None"', (None, None, None)),
    ],
)
def test_the_size_of_the_cache_is_read_from_labels(labels, size):
    found = read_engine(f'vllm:cache_config_info{{engine="0",{labels}}} 1.0\nvllm:num_requests_running 0')
    assert size == (found.kv_blocks, found.block_tokens, found.kv_tokens)


def test_looks_outside_a_run_are_not_of_it():
    looks = Looks()
    for at_s, page in enumerate(("vllm:kv_cache_usage_perc 0.1", "vllm:kv_cache_usage_perc 0.2", "tgi_queue_size 3")):
        looks.at_us.append(at_s * 1_000_000)
        looks.readings.append(read_engine(page))
    found = looks.within(1_000_000, 5_000_000)
    assert [0.0, 1.0] == found.t_s.tolist()
    assert found.kv[0] == 0.2
    assert found.kv[1] != found.kv[1]  # not told
    assert looks.within(9_000_000, 10_000_000) is None
