"""Short ways to write to and read from a topic with each of the three client libraries."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

PATIENCE_S = 20.0


class Seen(NamedTuple):
    """A record as any client saw it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes], ...]


def wait_for(condition: Callable[[], Any], what: str, *, within_s: float = PATIENCE_S) -> Any:
    """Return the condition's first true value; fail if none comes."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.02)
    return value


def write_kafka_python(servers: str, topic: str, records: list[Seen], *, codec: str | None = None) -> list[int]:
    from kafka import KafkaProducer

    sender = KafkaProducer(bootstrap_servers=servers, compression_type=codec, linger_ms=5)
    sent = [
        sender.send(topic, r.value, r.key, list(r.headers), r.partition, r.timestamp)
        for r in records
    ]  # fmt: skip
    sender.flush(PATIENCE_S)
    offsets = [future.get(1).offset for future in sent]
    sender.close()
    return offsets


def read_kafka_python(servers: str, topic: str, count: int, **config: Any) -> list[Seen]:
    """Return `count` records and whatever comes with them, partition by partition."""
    from kafka import KafkaConsumer, TopicPartition

    reader = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False, **config)
    try:
        partitions = [TopicPartition(topic, p) for p in sorted(reader.partitions_for_topic(topic) or ())]
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        seen: list[Seen] = []

        def enough() -> bool:
            for records in reader.poll(200).values():
                seen.extend(Seen(r.partition, r.offset, r.key, r.value, r.timestamp, tuple(r.headers)) for r in records)
            return len(seen) >= count

        wait_for(enough, f"{count} records of {topic} (got some, not all)")
        return sorted(seen)
    finally:
        reader.close()


def write_aiokafka(servers: str, topic: str, records: list[Seen], *, codec: str | None = None) -> list[int]:
    from aiokafka import AIOKafkaProducer

    async def write() -> list[int]:
        sender = AIOKafkaProducer(
            bootstrap_servers=servers, compression_type=codec, linger_ms=5, enable_idempotence=True
        )
        await sender.start()
        try:
            sent = [
                await sender.send(
                    topic, r.value, r.key, partition=r.partition, timestamp_ms=r.timestamp, headers=list(r.headers)
                )
                for r in records
            ]
            return [(await future).offset for future in sent]
        finally:
            await sender.stop()

    return asyncio.run(write())


def read_aiokafka(servers: str, topic: str, count: int, **config: Any) -> list[Seen]:
    from aiokafka import AIOKafkaConsumer

    async def read() -> list[Seen]:
        reader = AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest", **config)
        await reader.start()
        try:
            seen: list[Seen] = []
            deadline = time.monotonic() + PATIENCE_S
            while len(seen) < count and time.monotonic() < deadline:
                for records in (await reader.getmany(timeout_ms=200)).values():
                    seen += [
                        Seen(r.partition, r.offset, r.key, r.value, r.timestamp, tuple(r.headers)) for r in records
                    ]
            return sorted(seen)
        finally:
            await reader.stop()

    return asyncio.run(read())


def write_confluent(servers: str, topic: str, records: list[Seen], *, codec: str | None = None) -> list[int]:
    from confluent_kafka import Producer

    offsets: list[int] = []
    sender = Producer(
        {"bootstrap.servers": servers, "enable.idempotence": True, "compression.type": codec or "none", "linger.ms": 5}
    )
    for r in records:
        sender.produce(
            topic, r.value, r.key, r.partition, timestamp=r.timestamp, headers=list(r.headers),
            on_delivery=lambda error, sent: offsets.append(-1 if error else sent.offset()),
        )  # fmt: skip
    assert sender.flush(PATIENCE_S) == 0
    return offsets


def read_confluent(servers: str, topic: str, count: int, **config: Any) -> list[Seen]:
    from confluent_kafka import Consumer

    reader = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"reader-of-{topic}",
            "auto.offset.reset": "earliest",
            **{name.replace("_", "."): value for name, value in config.items()},
        }
    )
    reader.subscribe([topic])
    seen: list[Seen] = []
    deadline = time.monotonic() + PATIENCE_S
    try:
        while len(seen) < count and time.monotonic() < deadline:
            for m in reader.consume(1000, 0.2):
                assert m.error() is None, m.error()
                seen.append(
                    Seen(m.partition(), m.offset(), m.key(), m.value(), m.timestamp()[1], tuple(m.headers() or ()))
                )
        return sorted(seen)
    finally:
        reader.close()


WRITERS = {"kafka-python": write_kafka_python, "aiokafka": write_aiokafka, "confluent": write_confluent}
READERS = {"kafka-python": read_kafka_python, "aiokafka": read_aiokafka, "confluent": read_confluent}
