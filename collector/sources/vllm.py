"""Reads a vLLM engine's ``/metrics`` and tells its state as resource events.

A scrape that fails gives no event: the last value is never repeated. Series of several engine cores are joined:
the fullest KV cache counts, requests and counters add up.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from collector.config import VllmConfig
from collector.schema.columns import COUNT_MAX
from collector.schema.events import Resource
from collector.sources.base import Emit, resource_lane
from collector.sources.exchange import Clock

log = logging.getLogger(__name__)

SCRAPE_BYTES_MAX = 8 * 1024 * 1024
SCRAPE_TIMEOUT_S = 1.0

_USAGE = "vllm:kv_cache_usage_perc"  # a fraction, despite its name
_SUMS = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:num_preemptions_total": "preemptions_total",
    "vllm:prompt_tokens_total": "request_tokens_total",
    "vllm:generation_tokens_total": "response_tokens_total",
}
_FINISHED = "vllm:request_success_total"  # by finished_reason; "success" is only its name
_FAILED_REASONS = frozenset({"error"})
_WANTED = (_USAGE, _FINISHED, *_SUMS)
SAMPLES_MAX = 2_000


class BadScrape(Exception):  # noqa: N818 - named for what it is
    """An answer that is no usable exposition."""


def engine_state(text: str) -> dict[str, int | float]:
    """Return the fields of a ``Resource`` that an exposition tells. Raises ``BadScrape`` where it is none.

    Counts of aborted requests are left out of both ok and failed: their clients went away. Only the lines of wanted
    metrics are parsed: the histograms, nearly all of a page, would keep proxied requests waiting for tens of ms.
    """
    sums: dict[str, float] = {}
    usage: list[float] = []
    try:
        for family in text_string_to_metric_families(_wanted_lines(text)):
            for sample in family.samples:
                name, value = sample.name, sample.value
                if name == _USAGE:
                    usage.append(value)
                elif name in _SUMS:
                    sums[_SUMS[name]] = sums.get(_SUMS[name], 0.0) + value
                elif name == _FINISHED and (field := _finished_field(sample.labels)):
                    sums[field] = sums.get(field, 0.0) + value
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadScrape(f"not an exposition ({type(error).__name__})") from None
    if not usage and not sums:
        raise BadScrape("no vLLM metric in it")
    if any(not math.isfinite(v) or not 0 <= v <= COUNT_MAX for v in (*sums.values(), *usage)):
        raise BadScrape("a value that is no count")
    state: dict[str, int | float] = {name: int(value) for name, value in sums.items()}
    if usage:
        state["kv_cache_usage_ratio"] = max(usage)
    return state


def _wanted_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith(_WANTED)]
    if len(lines) > SAMPLES_MAX:
        raise BadScrape(f"more than {SAMPLES_MAX} series of wanted metrics")
    return "\n".join([*lines, ""])


def _finished_field(labels: Mapping[str, str]) -> str | None:
    reason = labels.get("finished_reason")
    if reason in _FAILED_REASONS:
        return "requests_failed_total"
    return None if reason == "abort" else "requests_ok_total"


class VllmSource:
    """A ``LiveSource`` that scrapes one engine."""

    def __init__(self, config: VllmConfig, *, clock: Clock, node: str) -> None:
        self.name = config.name
        self.lane = resource_lane(node)
        self._config = config
        self._clock = clock
        self._node = node
        self._scrapes = 0
        self._failures = 0
        self._up: bool | None = None

    async def run(self, emit: Emit, ready: Callable[[], None]) -> None:
        """Scrape every ``interval_s`` until cancelled."""
        ready()
        timeout = aiohttp.ClientTimeout(total=SCRAPE_TIMEOUT_S)
        loop = asyncio.get_running_loop()
        following = loop.time()
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as client:
            while True:
                await self._scrape(client, emit)
                following = max(following + self._config.interval_s, loop.time())
                await asyncio.sleep(following - loop.time())

    async def drain(self, seconds: float) -> None:
        """Nothing is open for long."""

    def counters(self) -> Mapping[str, int]:
        """Return scrapes done and failed, and whether the last one worked."""
        return {"scrapes": self._scrapes, "failures": self._failures, "up": int(bool(self._up))}

    async def _scrape(self, client: aiohttp.ClientSession, emit: Emit) -> None:
        self._scrapes += 1
        try:
            async with client.get(self._config.url, allow_redirects=False) as response:
                body = await _read_bounded(response)
            state = engine_state(body.decode("utf-8", "replace"))
        except (aiohttp.ClientError, OSError, TimeoutError, BadScrape) as error:
            self._failures += 1
            self._note(up=False, why=str(error) if isinstance(error, BadScrape) else type(error).__name__)
            return
        self._note(up=True, why="-")
        emit(
            Resource(
                at=self._clock.now_us(),
                engine=self._config.engine,
                service=self._config.service,
                source=self.name,
                node=self._node,
                **state,  # type: ignore[arg-type]  # names and types are those of engine_state
            )
        )

    def _note(self, *, up: bool, why: str) -> None:
        if up != self._up:
            log.info("event=scrape source=%s up=%s reason=%s", self.name, str(up).lower(), why.replace(" ", "_"))
        self._up = up


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.status != 200:
        raise BadScrape(f"status {response.status}")
    parts, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > SCRAPE_BYTES_MAX:
            raise BadScrape(f"more than {SCRAPE_BYTES_MAX} bytes")
        parts.append(chunk)
    return b"".join(parts)
