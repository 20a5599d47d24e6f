"""How long a worker takes to come back: 100,000 changelog records and a backlog, and after a kill -9."""

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from kafka import KafkaProducer

from collector.schema.codec import encode
from collector.schema.topics import REQUESTS
from tests.bench.tables import Table
from tests.streams.test_worker_flow import FakeKafka, Message
from tests.support.broker import embedded_broker
from tests.support.service_messages import SECOND, START, Agent, arrival
from tests.support.worker_process import WorkerProcess, ends

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

PARTITIONS, SERVICES, GENERATIONS = 4, 250, 100
BACKLOG = 1  # ten seconds of traffic of every service after its last snapshot
EVENTS = 10


def messages(partition: int, run: str, rounds: int) -> list[Message]:
    agents = [Agent("a", "b", key=f"{run}.{partition}.{i}") for i in range(SERVICES)]
    found: list[Message] = []
    for turn in range(rounds):
        for agent in agents:
            at = START + turn * 10 * SECOND
            batch = agent.message([arrival(at + j * SECOND) for j in range(EVENTS)], watermark=at + 10 * SECOND)
            found.append(Message(len(found), encode(batch), key=agent.key.encode(), partition=partition))
    return found


async def changelog_of(partition: int, log: list[Message]) -> dict[bytes, bytes]:
    kafka = FakeKafka()
    flow = kafka.flow()
    flow.disown(0)
    flow.own(partition, {})
    for message in log:
        await flow.on_request(message)
    await flow.save_all()
    return kafka.changelog


@contextmanager
def broker_for_bench() -> Iterator[str]:
    if named := os.environ.get("BURSTWATCH_TEST_KAFKA"):
        yield named
        return
    with embedded_broker() as broker:
        yield broker.bootstrap_servers


def fill(kafka: str, app_id: str, run: str) -> tuple[int, float]:
    """Write the source log and the changelog; return changelog records and bytes of one generation's snapshot."""
    producer = KafkaProducer(
        bootstrap_servers=kafka, linger_ms=20, batch_size=1 << 19, max_request_size=16 << 20, max_block_ms=120_000
    )
    records = size = 0
    base = ends(kafka)
    for partition in range(PARTITIONS):
        log = messages(partition, run, 6 + BACKLOG)
        for message in log:
            producer.send(REQUESTS, partition=partition, key=message.key, value=message.value)
        placed = [replace(message, offset=message.offset + base[partition]) for message in log]
        changelog = asyncio.run(changelog_of(partition, placed[: 6 * SERVICES]))
        producer.flush(120)
        for _ in range(GENERATIONS):
            for key, body in changelog.items():
                producer.send(f"{app_id}-state-changelog", partition=partition, key=key, value=body)
                records += 1
            producer.flush(120)
        size += sum(map(len, changelog.values()))
    producer.close()
    return records, size / PARTITIONS / SERVICES


def test_how_long_a_worker_takes_to_come_back_with_100_000_changelog_records(tmp_path):
    table = Table(
        "recovery",
        f"{PARTITIONS} partitions x {SERVICES} services x {GENERATIONS} generations, nothing compacted; seconds from "
        f"start; caught up: 10 s of traffic of every service after the snapshots is applied and safe",
    )
    run = f"r{uuid.uuid4().hex[:8]}"
    with broker_for_bench() as kafka:
        empty = WorkerProcess.start(kafka, run, tmp_path / "first.log")  # makes the topics
        table.add("start with nothing to recover", ready_s=round(empty.ready_s, 2))
        assert empty.stop() == 0
        records, body_bytes = fill(kafka, run, run)
        worker = WorkerProcess.start(kafka, run, tmp_path / "log")
        worker.wait_for(ends(kafka), patience_s=120)
        took_s = time.monotonic() - worker.started_s
        table.add(
            f"start with {records:,} records of {body_bytes:,.0f} B",
            ready_s=round(worker.ready_s, 2),
            caught_up_s=round(took_s, 2),
            cpu_s=round(worker.cpu_s(), 2),
        )
        expected = PARTITIONS * SERVICES * EVENTS * (6 + BACKLOG)
        mine = {k: v for k, v in worker.page().items() if dict(k[1]).get("service", "").startswith(run)}
        assert sum(v for (name, _), v in mine.items() if name == "burstwatch_arrivals_total") == expected
        worker.kill()
        again = WorkerProcess.start(kafka, run, tmp_path / "log")
        again.wait_for(ends(kafka), patience_s=120)
        table.add(
            "start at once after kill -9", ready_s=round(again.ready_s, 2),
            caught_up_s=round(time.monotonic() - again.started_s, 2),
        )  # fmt: skip
        assert again.stop() == 0
    table.finish()
