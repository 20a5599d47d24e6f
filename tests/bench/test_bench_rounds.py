"""Snapshot rounds with many services: bytes and time a service, and how long the loop stands still. No broker."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.bench.tables import Table
from tests.streams.test_worker_flow import FakeKafka
from tests.streams.test_worker_scale import message
from tests.support.service_messages import Agent

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

TABLE = Table("rounds", "one partition, five messages of 20 events a service, then all saved; seconds of the wall")


@pytest.mark.parametrize("services", [100, 1000, 5000])
def test_round_times(services):
    """All services have something unsaved; rounds until nothing is."""

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        flow._kit = replace(flow._kit, services_max=10_000)
        flow.own(0, {})
        agents = [Agent(key=f"svc-{i}") for i in range(services)]
        offset = 0
        for minute in range(5):
            for agent in agents:
                await flow.on_request(message(offset, agent, minute * 60.0, events=20))
                offset += 1
        stalls, last = [0.0], time.perf_counter()

        async def watch():
            nonlocal last
            while True:
                await asyncio.sleep(0)
                now = time.perf_counter()
                stalls.append(now - last)
                last = now

        watching = asyncio.ensure_future(watch())
        began, count = time.perf_counter(), 0
        while flow.partitions[0].waiting:
            last = time.perf_counter()
            await flow.snapshot()
            count += 1
        took = time.perf_counter() - began
        watching.cancel()
        size = sum(map(len, kafka.changelog.values()))
        TABLE.add(
            f"{services} services",
            rounds=count,
            s_per_round=took / count,
            ms_per_service=took / services * 1e3,
            bytes_per_service=size / services,
            longest_stall_ms=max(stalls) * 1e3,
            record_bytes=len(kafka.changelog[b"p:0"]),
        )

    asyncio.run(run())
    TABLE.finish()
