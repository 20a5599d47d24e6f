"""Ownership: whatever mix of snapshots and records a crash leaves, every message is applied exactly once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.errors import BadMessage
from streams.worker.ownership import Admission, PartitionState, ServiceKit, read_batch, restore
from streams.worker.records import PartitionRecord, format_record, parse_record, partition_key, service_key
from tests.support.worker_process import service_traffic


class BadFakeError(Exception):
    pass


class FakeService:
    """Remembers what was applied, in order, as the real state must."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.offset = -1
        self.seen: list[int] = []

    def results(self, batch, offset):
        if offset <= self.offset:
            return iter(())
        self.offset = offset
        self.seen.append(batch.seq)
        return iter([(self.name, batch.seq)])

    def snapshot(self) -> bytes:
        return f"{self.name}|{self.offset}|{','.join(map(str, self.seen))}".encode()

    @classmethod
    def restore(cls, body: bytes) -> "FakeService":
        if b"|" not in body:
            raise BadFakeError
        name, offset, seen = body.decode().split("|")
        state = cls(name)
        state.offset = int(offset)
        state.seen = [int(s) for s in seen.split(",") if s]
        return state


KIT = ServiceKit(fresh=FakeService, restore=FakeService.restore, counters=lambda s: tuple(s.seen), bad=BadFakeError)


def log_of(turns: list[str]) -> list[tuple[bytes, bytes]]:
    """A source log: the next message of the named service at every offset."""
    waiting = {name: iter(service_traffic(name, 15, 1)) for name in set(turns)}
    return [next(waiting[name]) for name in turns]


def feed(partition: PartitionState, log, until: int) -> None:
    """Read the log from where the partition wants it."""
    for offset in range(partition.next_offset or 0, until):
        assert partition.admit(offset) is Admission.APPLY
        list(partition.apply(offset, *log[offset]))


def write(changelog: dict, partition: PartitionState, rng: random.Random) -> None:
    """A snapshot round that may die between any two writes, or be written late by a zombie."""
    cut = partition.snapshot()
    if cut is None:
        return
    writes = [*cut.bodies.items(), (cut.record_key, cut.record)]
    done = rng.randint(0, len(writes))
    changelog.update(writes[:done])
    if done == len(writes):
        partition.landed(cut)
    else:
        partition.failed(cut)


@given(
    turns=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=30),
    lives=st.lists(st.integers(0, 30), max_size=6),
    seed=st.integers(0, 10**6),
)
def test_after_any_crashes_each_service_saw_every_message_once_and_in_order(turns, lives, seed):
    rng, log = random.Random(seed), log_of(turns)
    changelog: dict[bytes, bytes] = {}
    zombies: list[PartitionState] = []
    for reach in lives:
        partition = restore(0, changelog, KIT)
        for _ in range(3):
            feed(partition, log, min(len(log), max(partition.next_offset or 0, rng.randint(0, reach))))
            write(changelog, partition, rng)
        if zombies and rng.random() < 0.5:
            write(changelog, rng.choice(zombies), rng)  # a worker that lost the partition writes late
        zombies.append(partition)
    last = restore(0, changelog, KIT)
    feed(last, log, len(log))
    for name in set(turns):
        assert last.services[name].seen == list(range(turns.count(name)))


def test_a_message_beyond_a_hole_is_refused_until_the_hole_is_read():
    log = log_of(["a"] * 5)
    partition = PartitionState(0, KIT)
    assert partition.admit(0) is Admission.APPLY
    list(partition.apply(0, *log[0]))
    assert partition.admit(3) is Admission.GAP
    assert partition.admit(0) is Admission.DUPLICATE
    assert partition.admit(1) is Admission.APPLY


def test_an_unreadable_or_missing_snapshot_makes_the_log_be_read_again():
    record = format_record(PartitionRecord(offset=9, services={"a": 9, "b": 7}))
    good = {service_key(0, "a"): b"a|9|0,1", service_key(0, "b"): b"b|7|0"}
    assert restore(0, {partition_key(0): record, **good}, KIT).next_offset == 10
    broken = restore(0, {partition_key(0): record, **good, service_key(0, "b"): b"garbage"}, KIT)
    assert (broken.next_offset, broken.broken) == (0, ["b"])
    missing = restore(0, {partition_key(0): record, service_key(0, "a"): b"a|9|0,1"}, KIT)
    assert (missing.next_offset, missing.broken) == (0, ["b"])


def test_an_older_snapshot_than_recorded_is_read_on_from_its_own_offset():
    record = format_record(PartitionRecord(offset=9, services={"a": 9, "b": 7}))
    changelog = {partition_key(0): record, service_key(0, "a"): b"a|4|0", service_key(0, "b"): b"b|7|0"}
    assert restore(0, changelog, KIT).next_offset == 5


def test_other_partitions_keys_are_left_alone():
    changelog = {service_key(1, "a"): b"a|4|0", partition_key(1): format_record(PartitionRecord(offset=4))}
    partition = restore(11, {**changelog, service_key(11, "b"): b"b|1|0"}, KIT)
    assert set(partition.services) == {"b"}


def test_counters_shown_are_those_of_the_last_snapshot_that_landed():
    log = log_of(["a"] * 4)
    partition = PartitionState(0, KIT)
    feed(partition, log, 2)
    cut = partition.snapshot()
    feed(partition, log, 3)
    assert partition.durable == {}
    partition.landed(cut)
    assert (partition.durable, partition.durable_offset) == ({"a": (0, 1)}, 2)


def test_a_log_that_was_replaced_is_read_from_its_start_and_known_messages_are_kept():
    log = log_of(["a"] * 3)
    partition = PartitionState(0, KIT)
    feed(partition, log, 3)
    partition.log_was_replaced()
    assert partition.admit(0) is Admission.APPLY
    assert partition.services["a"].offset == -1


def test_what_retention_removed_is_counted():
    partition = PartitionState(0, KIT)
    assert partition.log_resumes_at(7) == 0  # nothing was known: nothing is missed
    assert partition.log_resumes_at(10) == 3
    assert partition.admit(10) is Admission.APPLY


@given(st.binary(max_size=200) | st.none())
def test_any_bytes_are_a_record_or_none(body):
    parse_record(body)


@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=200))
def test_any_message_is_a_batch_or_a_named_reason(key, body):
    with pytest.raises(BadMessage):
        read_batch(key, body, {"arrival"})


def test_a_batch_under_another_key_is_refused():
    _, body = service_traffic("chat", 1, 1)[0]
    with pytest.raises(BadMessage, match="wrong_key"):
        read_batch(b"other", body, {"arrival", "completion"})
