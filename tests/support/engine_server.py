"""A simulated engine served in this process, and raw HTTP to talk to it."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.shared_data import SHARED
from workload.engine.scheduler import Limits, Pace
from workload.engine.server import EngineConfig, EngineServer

QUICK = Pace(decode_tokens_per_s=500.0, prefill_tokens_per_s=1e6, decode_s_per_sequence=0.0)
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MODELS = ("tiny", "ChatGPT", "GPT-4")


@asynccontextmanager
async def engine(*, pace=QUICK, drain_s=0.0, **limits):
    """A running engine on a free port; it is stopped without waiting for responses."""
    server = EngineServer(EngineConfig(models=MODELS, limits=Limits(**limits), pace=pace, seed=1))
    await server.start()
    try:
        yield server
    finally:
        await server.stop(drain_s=drain_s)


async def post(server, path, body):
    """Return status, content type and bytes of one POST."""
    data = body if isinstance(body, bytes) else None
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}{path}", data=data, json=None if data is not None else body) as response,
    ):
        return response.status, response.headers["Content-Type"], await response.read()


async def get(server, path):
    """Return status, content type and text of one GET."""
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}{path}") as response:
        return response.status, response.headers.get("Content-Type"), await response.text()


def capture_of(name):
    """Return the path of a capture of a real engine; skips the test, saying why, where it is absent."""
    path = SHARED / "fixtures" / name
    if not path.exists():
        pytest.skip(f"no capture at {path}: set BURSTWATCH_SHARED to the folder that holds fixtures/{name}")
    return path


def chat(content="one two three", **fields):
    return {"model": "tiny", "messages": [{"role": "user", "content": content}], "ignore_eos": True, **fields}


def serve(story, **limits):
    async def run():
        async with engine(**limits) as server:
            return await story(server)

    return asyncio.run(run())


async def samples(server):
    """Sums over labels of every sample by name."""
    sums = {}
    for family in text_string_to_metric_families((await get(server, "/metrics"))[2]):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums
