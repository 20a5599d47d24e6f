"""Conformance: an idempotent producer's batches are stored once, in order, without holes."""

import pytest

from tests.support.broker import create_topic
from tests.support.kafka_clients import read_kafka_python
from tests.support.kafka_wire import Wire, batch

pytestmark = pytest.mark.kafka


def new_producer(wire: Wire) -> int:
    answer = wire.ask(
        "InitProducerId", 3, transactional_id=None, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1
    )
    assert answer.error_code == 0
    return int(answer.producer_id)


def test_a_batch_sent_twice_is_stored_once_and_answered_with_its_first_offset(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        first = batch(b"a", b"b", producer_id=pid, epoch=0, sequence=0)
        second = batch(b"c", producer_id=pid, epoch=0, sequence=2)
        answers = [wire.produce(topic, sent) for sent in (first, second, first, second)]
    assert [(0, 0), (0, 2), (0, 0), (0, 2)] == [(a.error_code, a.base_offset) for a in answers]
    assert [b"a", b"b", b"c"] == [r.value for r in read_kafka_python(kafka, topic, 3)]


def test_a_gap_in_the_sequence_is_refused_and_nothing_is_stored(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        wire.produce(topic, batch(b"a", producer_id=pid, epoch=0, sequence=0))
        assert wire.produce(topic, batch(b"c", producer_id=pid, epoch=0, sequence=2)).error_code == 45
        assert wire.produce(topic, batch(b"b", producer_id=pid, epoch=0, sequence=1)).base_offset == 1


def test_only_the_last_five_batches_are_remembered(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        batches = [batch(b"%d" % i, producer_id=pid, epoch=0, sequence=i) for i in range(7)]
        assert list(range(7)) == [wire.produce(topic, b).base_offset for b in batches]
        assert [2, 3, 4, 5, 6] == [wire.produce(topic, b).base_offset for b in batches[2:]]
        assert wire.produce(topic, batches[1]).error_code == 45


def test_an_old_epoch_is_refused_and_a_new_one_starts_from_zero(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        wire.produce(topic, batch(b"a", producer_id=pid, epoch=0, sequence=0))
        bumped = wire.ask(
            "InitProducerId", 3, transactional_id=None, transaction_timeout_ms=60_000, producer_id=pid, producer_epoch=0
        )  # fmt: skip
        pid_or_new, epoch = bumped.producer_id, bumped.producer_epoch
        assert (pid_or_new, epoch) != (pid, 0)
        if pid_or_new != pid:  # a broker may give a new id instead of a new epoch (Kafka 4 does)
            pid_or_new, epoch = pid, 1
        assert wire.produce(topic, batch(b"x", producer_id=pid, epoch=epoch, sequence=5)).error_code == 45
        assert wire.produce(topic, batch(b"b", producer_id=pid, epoch=epoch, sequence=0)).base_offset == 1
        assert wire.produce(topic, batch(b"y", producer_id=pid, epoch=0, sequence=1)).error_code == 47


def test_sequences_belong_to_one_partition_each(kafka: str):
    topic = create_topic(kafka, partitions=2)
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        for partition in (0, 1):
            sent = batch(b"a", producer_id=pid, epoch=0, sequence=0)
            assert (0, 0) == (
                (answer := wire.produce(topic, sent, partition=partition)).error_code,
                answer.base_offset,
            )


def test_a_producer_the_log_does_not_know_may_start_anywhere(kafka: str):
    """Kafka forgets producers with their records; refusing them would stop one that only was slow."""
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        assert wire.produce(topic, batch(b"a", producer_id=pid, epoch=0, sequence=41)).error_code == 0
        assert wire.produce(topic, batch(b"b", producer_id=pid, epoch=0, sequence=43)).error_code == 45


def test_sequences_wrap_after_two_to_the_31st(kafka: str):
    topic, last = create_topic(kafka), 2**31 - 1
    with Wire(kafka) as wire:
        pid = new_producer(wire)
        assert wire.produce(topic, batch(b"a", producer_id=pid, epoch=0, sequence=last)).error_code == 0
        assert wire.produce(topic, batch(b"b", producer_id=pid, epoch=0, sequence=0)).base_offset == 1


def test_every_producer_gets_an_id_of_its_own(kafka: str):
    with Wire(kafka) as wire:
        ids = [new_producer(wire) for _ in range(50)]
    assert len(ids) == len(set(ids))
