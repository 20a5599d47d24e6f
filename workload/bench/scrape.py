"""Looks at the measured server's ``/metrics`` while it is under load.

An aiohttp client of its own (the second one of this package): the load's connections and limits are not touched.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
import orjson

from workload.bench.engine_metrics import Reading, read_engine
from workload.bench.looks import Looks
from workload.bench.measured import WATCH_EVERY_S

LOOK_TIMEOUT_S = 2.0
PAGE_BYTES_MAX = 16 * 1024 * 1024


class Scraper:
    """One server's ``/metrics``; an async context manager. ``url`` None: the server has none, nothing is told."""

    def __init__(self, url: str | None) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LOOK_TIMEOUT_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def look(self) -> Reading | None:
        """Return what the engine says now; None if it does not answer or tells nothing known."""
        if self.url is None:
            return None
        try:
            async with self._session.get(self.url) as response:
                if response.status != 200:
                    return None
                page = await response.content.read(PAGE_BYTES_MAX)
                while len(page) < PAGE_BYTES_MAX and (more := await response.content.read(PAGE_BYTES_MAX)):
                    page += more
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        reading = read_engine(page.decode("utf-8", "replace"))
        return None if reading.engine is None else reading

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Looks]:
        """Look every half second while the body runs; a look that fails leaves a hole, never a repeated value."""
        looks = Looks()
        task = asyncio.create_task(self._watch(looks))
        try:
            yield looks
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self, looks: Looks) -> None:
        due_s = time.perf_counter()
        while True:
            reading = await self.look()
            if reading is not None:
                looks.at_us.append(time.time_ns() // 1000)
                looks.readings.append(reading)
            due_s = max(due_s + WATCH_EVERY_S, time.perf_counter())
            await asyncio.sleep(due_s - time.perf_counter())

    async def models(self, base_url: str, api_key: str | None) -> list[str]:
        """Return the names the server answers to; none if it does not tell."""
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        try:
            async with self._session.get(f"{base_url.rstrip('/')}/models", headers=headers) as response:
                fields = orjson.loads(await response.read()) if response.status == 200 else {}
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return []
        entries = fields.get("data", []) if isinstance(fields, dict) else []
        return [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]


def metrics_url_of(base_url: str) -> str:
    """Return where a server with this OpenAI base URL keeps its metrics.

    >>> metrics_url_of("http://gpu7:8000/v1/")
    'http://gpu7:8000/metrics'
    """
    return base_url.rstrip("/").removesuffix("/v1") + "/metrics"
