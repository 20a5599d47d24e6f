"""The vLLM scrape, pinned to captures of a real engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sources import vllm
from collector.sources.vllm import BadScrape, engine_state
from tests.support.shared_data import SHARED


def captured(name):
    path = SHARED / "fixtures" / "vllm" / name
    if not path.exists():
        pytest.skip(f"no capture at {path}: set BURSTWATCH_SHARED")
    return path.read_text()


def test_a_saturated_engine():
    state = engine_state(captured("vllm-0.32.0-cpu_saturated_preempting_own_capture.txt"))
    assert (state["running"], state["waiting"]) == (4, 8)
    assert state["kv_cache_usage_ratio"] == pytest.approx(1.0)
    assert state["response_tokens_total"] > 0


def test_engine_cores_are_joined_the_fullest_cache_counts_and_the_rest_adds_up():
    text = "\n".join(
        f'vllm:{name}{{engine="{core}",model_name="m"}} {value}'
        for core, values in enumerate(
            [
                {"kv_cache_usage_perc": 0.25, "num_requests_running": 3, "prompt_tokens_total": 10},
                {"kv_cache_usage_perc": 0.75, "num_requests_running": 4, "prompt_tokens_total": 20},
            ]
        )
        for name, value in values.items()
    )
    text += '\nvllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 5'
    text += '\nvllm:request_success_total{engine="0",finished_reason="abort",model_name="m"} 7'
    text += '\nvllm:request_success_total{engine="0",finished_reason="error",model_name="m"} 2'
    text += '\nvllm:request_success_created{engine="0",finished_reason="stop",model_name="m"} 1.7e9\n'
    assert engine_state(text) == {
        "kv_cache_usage_ratio": 0.75,
        "running": 7,
        "request_tokens_total": 30,
        "requests_ok_total": 5,
        "requests_failed_total": 2,
    }


def test_two_api_servers_are_one_engine():
    state = engine_state(captured("vllm-0.32.0-cpu_api-server-count-2_own_capture.txt"))
    assert (state["requests_ok_total"], state["request_tokens_total"], state["response_tokens_total"]) == (4, 20, 20)


def test_of_a_page_full_of_histograms_only_the_wanted_lines_are_parsed(monkeypatch):
    parsed = []
    real = vllm.text_string_to_metric_families
    monkeypatch.setattr(vllm, "text_string_to_metric_families", lambda text: parsed.append(text) or real(text))
    buckets = "".join(f'vllm:e2e_request_latency_seconds_bucket{{le="{n}"}} {n}\n' for n in range(5_000))
    assert engine_state(f"{buckets}vllm:num_requests_running 3\n{buckets}") == {"running": 3}
    assert parsed == ["vllm:num_requests_running 3\n"]


def test_a_flood_of_series_is_refused():
    flood = "".join(f'vllm:num_requests_running{{model_name="m{n}"}} 1\n' for n in range(vllm.SAMPLES_MAX + 1))
    with pytest.raises(BadScrape, match="series"):
        engine_state(flood)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>not metrics</html>",
        "up 1\n",
        "vllm:num_requests_running NaN\n",
        "vllm:num_requests_running -1\n",
        "a{b 1\n",
    ],
)
def test_what_is_no_exposition_of_vllm_is_refused_whole(text):
    with pytest.raises(BadScrape):
        engine_state(text)


@given(st.text(max_size=80))
def test_any_text_is_a_state_or_one_error(text):
    try:
        engine_state("vllm:num_requests_running 1\n" + text)
    except BadScrape:
        pass
