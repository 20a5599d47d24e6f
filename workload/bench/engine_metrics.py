"""What an engine's ``/metrics`` says of its memory and its queue, whichever engine it is. Pure.

vLLM's names come first; for the others the same quantity under their name. Ray Serve writes ``_`` for ``:``, so both
are taken. What an engine does not tell is None: TGI and llama.cpp have no KV usage, only vLLM and SGLang count
preemptions. A family's series are joined: the fullest cache counts (a mean would hide it), counts of requests add up
over data-parallel engines; SGLang repeats one number for every rank, so there the largest counts.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LINES_MAX = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look. ``kv`` 0 to 1; ``preemptions`` counts from the engine's start; ``engine`` whose names these are."""

    engine: str | None = None
    kv: float | None = None
    running: float | None = None
    waiting: float | None = None
    preemptions: float | None = None
    kv_blocks: float | None = None
    block_tokens: float | None = None
    kv_tokens: float | None = None


# quantity -> (engine, name with ":" written as "_"), the first one present is taken
_NAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "kv": (
        ("vllm", "vllm_kv_cache_usage_perc"),  # a fraction, despite its name
        ("vllm", "vllm_gpu_cache_usage_perc"),  # until 0.10
        ("sglang", "sglang_token_usage"),
        ("trtllm", "trtllm_kv_cache_utilization"),
        ("nim", "gpu_cache_usage_perc"),
        ("nim", "kv_cache_usage_perc"),
    ),
    "running": (
        ("vllm", "vllm_num_requests_running"),
        ("sglang", "sglang_num_running_reqs"),
        ("trtllm", "trtllm_num_requests_running"),
        ("tgi", "tgi_batch_current_size"),
        ("llama.cpp", "llamacpp_requests_processing"),
        ("nim", "num_requests_running"),
    ),
    "waiting": (
        ("vllm", "vllm_num_requests_waiting"),
        ("sglang", "sglang_num_queue_reqs"),
        ("trtllm", "trtllm_num_requests_waiting"),
        ("tgi", "tgi_queue_size"),
        ("llama.cpp", "llamacpp_requests_deferred"),
        ("nim", "num_requests_waiting"),
    ),
    "preemptions": (
        ("vllm", "vllm_num_preemptions_total"),
        ("sglang", "sglang_num_retracted_requests_total"),
    ),
    "kv_tokens": (("sglang", "sglang_max_total_num_tokens"),),
}
_INFO = "vllm_cache_config_info"
_WANTED = {name for names in _NAMES.values() for _, name in names} | {_INFO}
_LARGEST = {"sglang", "kv"}  # engines and quantities of which the largest series counts, not the sum

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def read_engine(text: str) -> Reading:
    """Return what an exposition (Prometheus text or OpenMetrics) tells; a page without known names tells nothing."""
    series: dict[str, list[float]] = {}
    infos: list[Mapping[str, str]] = []
    for name, labels, value in _samples(text):
        if name == _INFO:
            infos.append(dict(_LABEL.findall(labels)))
        else:
            series.setdefault(name, []).append(value)
    engine: str | None = None
    told: dict[str, float] = {}
    for quantity, names in _NAMES.items():
        for whose, name in names:
            if name in series:
                told[quantity] = (max if _LARGEST & {whose, quantity} else sum)(series[name])
                engine = engine or whose
                break
    return Reading(engine=engine, **{**told, **_size(infos)})


def _samples(text: str) -> Iterator[tuple[str, str, float]]:
    for number, line in enumerate(text.splitlines()):
        if number >= LINES_MAX:
            return
        found = None if line.startswith("#") else _LINE.match(line)
        if found is None or (name := found[1].replace(":", "_")) not in _WANTED:
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        if math.isfinite(value):
            yield name, found[2] or "", value


def _size(infos: list[Mapping[str, str]]) -> dict[str, float]:
    """Return the caches' size, all engine cores together, where every core tells it.

    Tokens as newer vLLM tells them, else blocks times block size (which hybrid caches do not amount to).
    """
    blocks = [_whole(info.get("num_gpu_blocks")) for info in infos]
    widths = [_whole(info.get("block_size")) for info in infos]
    told = [_whole(info.get("kv_cache_size_tokens")) for info in infos]
    found: dict[str, float] = {}
    if infos and None not in blocks and None not in widths:
        found["kv_blocks"] = sum(b or 0.0 for b in blocks)
        found["block_tokens"] = widths[0] or 0.0
        found["kv_tokens"] = sum((b or 0.0) * (w or 0.0) for b, w in zip(blocks, widths, strict=True))
    if infos and None not in told:
        found["kv_tokens"] = sum(t or 0.0 for t in told)
    return found


def _whole(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdigit() and int(text) > 0 else None
