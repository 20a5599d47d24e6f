"""Conformance: where a log starts and ends, and which offset belongs to a time."""

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from tests.support.broker import create_topic, unique
from tests.support.kafka_clients import read_kafka_python, wait_for
from tests.support.kafka_wire import Wire, batch, keyed_batch

pytestmark = pytest.mark.kafka

EPOCH_MS = 1_700_000_000_000


@pytest.fixture
def written(kafka: str) -> str:
    """A topic with 100 records: batches of ten, ten seconds apart, their records a millisecond apart."""
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        for i in range(0, 100, 10):
            records = [(b"k", b"%d" % (i + j)) for j in range(10)]
            data = keyed_batch(*records, timestamp=EPOCH_MS + i * 1000, compression=3 if i % 20 else 0)
            assert wire.produce(topic, data).base_offset == i
    return topic


def consumer(kafka: str, **config) -> KafkaConsumer:
    return KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, **config)


def test_a_log_starts_at_zero_and_ends_after_its_last_record(kafka: str, written: str):
    partition, reader = TopicPartition(written, 0), consumer(kafka)
    assert {partition: 0} == reader.beginning_offsets([partition])
    assert {partition: 100} == reader.end_offsets([partition])
    reader.close()


def test_the_end_moves_with_each_batch_by_its_records(kafka: str):
    topic = create_topic(kafka)
    partition, reader = TopicPartition(topic, 0), consumer(kafka)
    ends = [reader.end_offsets([partition])[partition]]
    with Wire(kafka) as wire:
        for size in (1, 5, 3):
            wire.produce(topic, batch(*[b"x"] * size))
            ends.append(reader.end_offsets([partition])[partition])
    reader.close()
    assert [0, 1, 6, 9] == ends


@pytest.mark.parametrize(
    ("asked_ms", "offset"),
    [
        (EPOCH_MS - 1, 0),
        (EPOCH_MS, 0),
        (EPOCH_MS + 3, 3),
        (EPOCH_MS + 10, 10),
        (EPOCH_MS + 50_004, 54),
        (EPOCH_MS + 90_009, 99),
    ],
)
def test_a_time_leads_to_the_first_record_not_before_it(kafka: str, written: str, asked_ms: int, offset: int):
    partition, reader = TopicPartition(written, 0), consumer(kafka)
    found = reader.offsets_for_times({partition: asked_ms})[partition]
    reader.close()
    assert offset == found.offset
    assert found.timestamp >= asked_ms


def test_a_time_after_the_last_record_leads_nowhere(kafka: str, written: str):
    partition, reader = TopicPartition(written, 0), consumer(kafka)
    assert reader.offsets_for_times({partition: EPOCH_MS + 90_010})[partition] is None
    reader.close()


def test_reading_may_start_in_the_middle_of_a_batch(kafka: str, written: str):
    partition, reader = TopicPartition(written, 0), consumer(kafka)
    reader.assign([partition])
    reader.seek(partition, 42)
    seen = []
    wait_for(lambda: seen.extend(reader.poll(200).get(partition, [])) or len(seen) >= 58, "58 records")
    reader.close()
    assert list(range(42, 100)) == [record.offset for record in seen]


def test_an_offset_that_is_not_in_the_log_is_refused(kafka: str, written: str):
    with Wire(kafka) as wire:
        assert wire.fetch(written, 101).error_code == 1
        assert wire.fetch(written, 100).error_code == 0
        assert wire.fetch(written, -1).error_code == 1


def test_deleted_records_are_gone_and_the_log_starts_after_them(kafka: str, written: str):
    partition, admin = TopicPartition(written, 0), KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({partition: 45})
    reader = consumer(kafka)
    assert {partition: 45} == reader.beginning_offsets([partition])
    reader.close()
    assert [b"%d" % i for i in range(45, 100)] == [
        r.value for r in read_kafka_python(kafka, written, 55) if r.offset >= 45
    ]
    with Wire(kafka) as wire:
        assert wire.fetch(written, 44).error_code == 1
        admin.delete_records({partition: -1})
        assert wire.fetch(written, 99).error_code == 1
        assert wire.produce(written, batch(b"next")).base_offset == 100
    admin.close()


def test_records_cannot_be_deleted_past_the_end(kafka: str, written: str):
    with Wire(kafka) as wire:
        from kafka.protocol.admin import DeleteRecordsRequest

        topic = DeleteRecordsRequest.DeleteRecordsTopic
        part = topic.DeleteRecordsPartition(partition_index=0, offset=101)
        answer = wire.ask("DeleteRecords", 1, topics=[topic(name=written, partitions=[part])], timeout_ms=5000)
    assert answer.topics[0].partitions[0].error_code == 1


def test_the_one_epoch_ends_where_the_log_ends(kafka: str, written: str):
    from kafka.protocol.consumer import OffsetForLeaderEpochRequest

    topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic
    part = topic.OffsetForLeaderPartition(partition=0, current_leader_epoch=-1, leader_epoch=0)
    with Wire(kafka) as wire:
        answer = wire.ask("OffsetForLeaderEpoch", 3, replica_id=-2, topics=[topic(topic=written, partitions=[part])])
    assert (0, 0, 100) == (
        (end := answer.topics[0].partitions[0]).error_code,
        end.leader_epoch,
        end.end_offset,
    )


def test_a_consumer_without_members_commits_and_reads_its_position(kafka: str, written: str):
    partition, group = TopicPartition(written, 0), unique("group")
    reader = consumer(kafka, group_id=group)
    reader.assign([partition])
    assert reader.committed(partition) is None
    reader.seek(partition, 17)
    reader.commit()
    reader.close()
    again = consumer(kafka, group_id=group)
    assert again.committed(partition) == 17
    again.close()
