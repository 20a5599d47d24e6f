"""The embedded broker: bytes in and out through confluent-kafka (librdkafka), beside a plain file."""

import os
import random
import time

import pytest

from tests.bench.tables import Table, cpu_s
from tests.support.broker import create_topic, embedded_broker, unique

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

MB = 1_000_000
TOTAL = 60 * MB


def test_broker_megabytes_per_second(tmp_path):
    table = Table(
        "broker", f"{TOTAL // MB} MB a size, acks=all, no compression, 4 partitions, one client; CPU: broker's"
    )
    blob = random.Random(1).randbytes(TOTAL)
    began = time.perf_counter()
    with (tmp_path / "plain").open("wb", buffering=0) as plain:
        for start in range(0, TOTAL, 50_000):
            plain.write(blob[start : start + 50_000])
        os.fsync(plain.fileno())
    table.add("plain file, 50 kB writes, one fsync", mb_per_s=TOTAL / MB / (time.perf_counter() - began))
    with embedded_broker() as broker:
        for size in (1_000, 50_000):
            topic = create_topic(broker.bootstrap_servers, partitions=4)
            for what, run in (("produce", _produce), ("consume", _consume)):
                cpu, began = cpu_s(broker.process.pid), time.perf_counter()
                run(broker.bootstrap_servers, topic, blob, size)
                wall_s, cpu = time.perf_counter() - began, cpu_s(broker.process.pid) - cpu
                table.add(
                    f"{what}, {size:,}-byte messages",
                    mb_per_s=TOTAL / MB / wall_s,
                    messages_per_s=TOTAL / size / wall_s,
                    broker_cpu_ms_per_mb=cpu / (TOTAL / MB) * 1e3,
                )
    table.finish()


def _produce(servers: str, topic: str, blob: bytes, size: int) -> None:
    from confluent_kafka import Producer

    failed: list[object] = []
    sender = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 5, "batch.size": 1 << 20})
    for index, start in enumerate(range(0, TOTAL, size)):
        while True:
            try:
                sender.produce(
                    topic,
                    blob[start : start + size],
                    partition=index % 4,
                    on_delivery=lambda error, _message: error and failed.append(error),
                )
                break
            except BufferError:  # its queue is full: let deliveries come back
                sender.poll(0.05)
        sender.poll(0)
    assert sender.flush(60) == 0
    assert not failed


def _consume(servers: str, topic: str, blob: bytes, size: int) -> None:
    from confluent_kafka import Consumer, TopicPartition

    reader = Consumer({"bootstrap.servers": servers, "group.id": unique("bench"), "enable.auto.commit": False})
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    got, deadline = 0, time.monotonic() + 60
    while got < TOTAL:
        assert time.monotonic() < deadline, got
        for message in reader.consume(100, 0.02):
            assert message.error() is None
            got += len(message.value())
    reader.close()
    assert got == TOTAL
