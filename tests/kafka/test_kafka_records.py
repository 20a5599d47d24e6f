"""Conformance: records go in and come out unchanged, whichever client, codec or size."""

import os
import time

import pytest
from crc32c import crc32c

from tests.support.broker import create_topic
from tests.support.kafka_clients import READERS, WRITERS, Seen, read_kafka_python
from tests.support.kafka_wire import Wire, batch

pytestmark = pytest.mark.kafka

EPOCH_MS = 1_700_000_000_000
CODECS = {
    # kafka-python takes snappy and zstd only with libraries that Burstwatch does not install
    "kafka-python": (None, "gzip", "lz4"),
    "aiokafka": (None, "gzip", "snappy", "lz4", "zstd"),
    "confluent": (None, "gzip", "snappy", "lz4", "zstd"),
}


def some_records(count: int, partitions: int) -> list[Seen]:
    return sorted(
        Seen(
            partition=i % partitions,
            offset=i // partitions,
            key=None if i % 7 == 0 else b"key %d" % i,
            value=b"value %d " % i + b"x" * 200,
            timestamp=EPOCH_MS + i,
            headers=(("schema", b"1"), ("n", b"%d" % i)),
        )
        for i in range(count)
    )


@pytest.mark.parametrize(("writer", "codec"), [(w, codec) for w, codecs in CODECS.items() for codec in codecs])
def test_what_each_client_writes_in_each_codec_is_read_back_exactly(kafka: str, writer: str, codec: str | None):
    topic, records = create_topic(kafka, partitions=3), some_records(600, 3)
    offsets = WRITERS[writer](kafka, topic, records, codec=codec)
    assert sorted(r.offset for r in records) == sorted(offsets)
    # kafka-python cannot read snappy and zstd here, the others read everything
    reader = "confluent" if writer == "aiokafka" else "aiokafka"
    assert records == READERS[reader](kafka, topic, len(records))
    if codec in CODECS["kafka-python"]:
        assert records == READERS["kafka-python"](kafka, topic, len(records))


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_records_are_stored_at_every_level_of_acknowledgement(kafka: str, acks: object):
    from kafka import KafkaProducer

    topic = create_topic(kafka)
    sender = KafkaProducer(bootstrap_servers=kafka, acks=acks, enable_idempotence=False)
    for i in range(20):
        sender.send(topic, b"%d" % i)
    sender.flush(10)
    sender.close()
    assert [b"%d" % i for i in range(20)] == [r.value for r in read_kafka_python(kafka, topic, 20)]


def test_a_message_above_the_limit_is_refused_and_the_next_is_taken(kafka: str):
    from kafka import KafkaProducer
    from kafka.errors import MessageSizeTooLargeError

    topic = create_topic(kafka)
    sender = KafkaProducer(bootstrap_servers=kafka, max_request_size=20_000_000, enable_idempotence=False)
    with pytest.raises(MessageSizeTooLargeError):
        sender.send(topic, os.urandom(1_100_000)).get(10)
    assert sender.send(topic, os.urandom(1_000_000)).get(10).offset == 0
    sender.close()


def test_a_topics_own_message_limit_is_the_one_that_counts(kafka: str):
    topic = create_topic(kafka, configs={"max.message.bytes": "5000"})
    with Wire(kafka) as wire:
        assert wire.produce(topic, batch(b"x" * 5000)).error_code == 10
        assert wire.produce(topic, batch(b"x" * 4000)).error_code == 0
    large = create_topic(kafka, configs={"max.message.bytes": "16777216"})
    with Wire(kafka) as wire:
        assert wire.produce(large, batch(b"x" * 9_000_000)).error_code == 0
        # One batch is returned however little room the reader gives, or it could never get on.
        assert len(wire.fetch(large, 0, max_bytes=1000).records) > 9_000_000


def test_the_logs_own_time_replaces_the_producers_where_the_topic_says_so(kafka: str):
    topic = create_topic(kafka, configs={"message.timestamp.type": "LogAppendTime"})
    with Wire(kafka) as wire:
        answer = wire.produce(topic, batch(b"old", timestamp=EPOCH_MS))
    assert answer.log_append_time_ms > EPOCH_MS
    [seen] = read_kafka_python(kafka, topic, 1)
    assert (b"old", answer.log_append_time_ms) == (seen.value, seen.timestamp)


def test_a_time_far_ahead_is_refused_unless_the_log_keeps_its_own_time(kafka: str):
    tomorrow_ms = int(time.time() * 1000) + 86_400_000
    own = create_topic(kafka, configs={"message.timestamp.type": "LogAppendTime"})
    with Wire(kafka) as wire:
        assert wire.produce(create_topic(kafka), batch(b"x", timestamp=tomorrow_ms)).error_code == 32
        assert wire.produce(own, batch(b"x", timestamp=tomorrow_ms)).error_code == 0


def test_a_damaged_or_ancient_batch_is_refused_and_nothing_is_stored(kafka: str):
    topic, good = create_topic(kafka), batch(b"good")
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    ancient = good[:16] + b"\x01" + good[17:]
    miscounted = bytearray(good)
    miscounted[26] = 9  # the last offset lies nine records on, but there is one record
    miscounted[17:21] = crc32c(bytes(miscounted[21:])).to_bytes(4, "big")
    with Wire(kafka) as wire:
        assert wire.produce(topic, flipped).error_code == 2  # CORRUPT_MESSAGE
        assert wire.produce(topic, good + good).error_code == 87  # INVALID_RECORD: one batch per partition
        assert wire.produce(topic, ancient).error_code != 0
        assert wire.produce(topic, bytes(miscounted)).error_code == 87
        assert wire.produce(topic, good).base_offset == 0


def test_an_unknown_topic_or_partition_is_named_as_such(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        assert wire.produce("no-such-topic", batch(b"x")).error_code == 3
        assert wire.produce(topic, batch(b"x"), partition=1).error_code == 3
        assert wire.fetch("no-such-topic", 0).error_code == 3


def test_a_waiting_reader_gets_a_record_as_soon_as_it_is_written(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as reader, Wire(kafka) as writer:
        # Asks to wait a minute: the test's socket would time out first if the record did not wake it.
        entry = {"max_wait_ms": 60_000}
        writer.produce(topic, batch(b"first"))
        assert reader.fetch(topic, 0, **entry).high_watermark == 1
        reader_sent = _fetch_without_waiting(reader, topic, offset=1)
        writer.produce(topic, batch(b"second"))
        answer = reader_sent()
    assert (0, 2) == (answer.error_code, answer.high_watermark)
    assert b"second" in answer.records


def test_a_reader_that_wants_more_bytes_waits_no_longer_than_it_said(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        wire.produce(topic, batch(b"little"))
        assert b"little" in wire.fetch(topic, 0, max_wait_ms=50, min_bytes=1_000_000).records


def _fetch_without_waiting(wire: Wire, topic: str, *, offset: int):
    from kafka.protocol.consumer import FetchRequest

    entry = FetchRequest.FetchTopic
    wanted = entry.FetchPartition(
        partition=0, fetch_offset=offset, partition_max_bytes=2**20, current_leader_epoch=-1, log_start_offset=-1
    )
    wire.send(
        "Fetch", 11, replica_id=-1, max_wait_ms=60_000, min_bytes=1, max_bytes=2**20, isolation_level=0,
        session_id=0, session_epoch=-1, topics=[entry(topic=topic, partitions=[wanted])],
        forgotten_topics_data=[], rack_id="",
    )  # fmt: skip
    return lambda: wire.receive("Fetch", 11).responses[0].partitions[0]
