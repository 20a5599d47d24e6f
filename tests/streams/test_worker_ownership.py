"""Ownership: whatever mix of snapshots and records a crash leaves, every message is applied exactly once."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.errors import BadMessage
from streams.worker.kit import ServiceKit
from streams.worker.ownership import Admission, PartitionState, read_batch
from streams.worker.records import PartitionRecord, format_record, parse_record, partition_key, service_key
from streams.worker.restoring import restore
from streams.worker.roster import Roster, Tenure
from tests.support.worker_process import SECOND, service_traffic


class BadFakeError(Exception):
    pass


class FakeService:
    """Remembers what was applied, in order, as the real state must."""

    def __init__(self, name: str, joined: int = 0) -> None:
        self.name, self.joined = name, joined
        self.offset = -1
        self.seen: list[str] = []

    def results(self, batch, offset, _appended_at=None):
        if offset <= self.offset:
            return iter(())
        self.offset = offset
        self.seen.append(f"{batch.agent}/{batch.key}/{batch.seq}")
        return iter([(self.name, self.seen[-1])])

    def snapshot(self) -> bytes:
        return f"{self.name}|{self.offset}|{int(self.joined)}|{','.join(self.seen)}".encode()

    @classmethod
    def restore(cls, body: bytes) -> "FakeService":
        if body.count(b"|") != 3:
            raise BadFakeError
        name, offset, joined, seen = body.decode().split("|")
        state = cls(name, int(joined))
        state.offset = int(offset)
        state.seen = [s for s in seen.split(",") if s]
        return state


def kit(services_max: int = 1000) -> ServiceKit:
    return ServiceKit(
        fresh=FakeService,
        restore=FakeService.restore,
        counters=lambda s: tuple(s.seen),
        bad=BadFakeError,
        services_max=services_max,
    )


KIT = kit()


class Always(random.Random):
    """Chance that lets every round land."""

    def random(self) -> float:
        return 1.0


def log_of(turns: list[str]) -> list[tuple[bytes, bytes]]:
    """A source log: the next message of the named service at every offset."""
    waiting = {name: iter(service_traffic(name, 15, 1)) for name in set(turns)}
    return [next(waiting[name]) for name in turns]


def feed(partition: PartitionState, log, until: int, times=None) -> list:
    """Read the log from where the partition wants it."""
    found = []
    for offset in range(partition.next_offset or 0, until):
        assert partition.admit(offset) is Admission.APPLY
        found += partition.apply(offset, *log[offset], appended_at=times[offset] if times else None)
    return found


def cut_of(partition: PartitionState, most: int = 1000):
    """Everything a round would write."""
    portions = [portion] if (portion := partition.save(most)) else []
    return portions, partition.seal(portions)


def write(changelog: dict, partition: PartitionState, rng: random.Random, most: int = 1000) -> None:
    """A snapshot round that may die between any two writes, or be written late by a zombie."""
    portions, seal = cut_of(partition, most)
    writes = [entry for portion in portions for entry in portion.bodies.items()]
    if seal is not None:
        writes += [(seal.key, seal.body), *((key, None) for key in seal.erased.values())]
    done = rng.randint(0, len(writes)) if rng.random() < 0.5 else len(writes)
    for key, body in writes[:done]:
        changelog[key] = body
        if body is None:
            del changelog[key]
    if done == len(writes):
        partition.landed(portions, seal)
    else:
        partition.failed(portions)


def lived_through(log, times, lives, rng, *, limit: int) -> tuple[PartitionState, list]:
    """Workers that come, write some snapshots and die, some of them writing late; the last one reads to the end."""
    changelog: dict[bytes, bytes] = {}
    zombies: list[PartitionState] = []
    found = []
    for reach in lives:
        partition = restore(0, changelog, kit(limit))
        for _ in range(3):
            found += feed(partition, log, min(len(log), max(partition.next_offset or 0, rng.randint(0, reach))), times)
            write(changelog, partition, rng, most=rng.choice([1, 2, 1000]))
        if zombies and rng.random() < 0.3:
            write(changelog, rng.choice(zombies), rng)  # a worker that lost the partition writes late
        zombies.append(partition)
    last = restore(0, changelog, kit(limit))
    return last, found + feed(last, log, len(log), times)


@given(
    turns=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=30),
    lives=st.lists(st.integers(0, 30), max_size=6),
    seed=st.integers(0, 10**6),
)
def test_after_any_crashes_each_service_saw_every_message_once_and_in_order(turns, lives, seed):
    last, _ = lived_through(log_of(turns), None, lives, random.Random(seed), limit=1000)
    for name in set(turns):
        assert last.services[name].seen == [f"a/{name}/{i}" for i in range(turns.count(name))]


@given(
    turns=st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([0, 1, 2000, 4000])), min_size=5, max_size=40),
    lives=st.lists(st.integers(0, 40), max_size=6),
    limit=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=120, deadline=None)
def test_whatever_crashes_the_same_services_share_a_state_and_come_back(turns, lives, limit, seed):
    """Places are given up and taken over between snapshots, records and erasures in any state of completion."""
    log = log_of([name for name, _ in turns])
    times = [1 + sum(pause for _, pause in turns[: i + 1]) * SECOND for i in range(len(turns))]
    undisturbed = restore(0, {}, kit(limit))
    expected = feed(undisturbed, log, len(log), times)
    last, found = lived_through(log, times, lives, random.Random(seed), limit=limit)
    assert last.roster.dump() == undisturbed.roster.dump()
    assert last.services.keys() == undisturbed.services.keys()
    for name, state in undisturbed.services.items():
        assert last.services[name].snapshot() == state.snapshot()
    assert set(found) == set(expected)


def test_a_message_beyond_a_hole_is_refused_until_the_hole_is_read():
    log = log_of(["a"] * 5)
    partition = restore(0, {}, KIT)
    assert partition.admit(0) is Admission.APPLY
    list(partition.apply(0, *log[0]))
    assert partition.admit(3) is Admission.GAP
    assert partition.admit(0) is Admission.DUPLICATE
    assert partition.admit(1) is Admission.APPLY


def record_of(low: int, saved: dict[str, int]) -> bytes:
    """A record that names the services of ``saved``, members from the log's start."""
    roster = Roster(0, 10)
    for name in saved:
        roster.members[name] = Tenure(0, 0)
    roster.decided = low
    return format_record(PartitionRecord(low=low, roster=roster.dump(), saved=saved))


def test_an_unreadable_or_missing_snapshot_makes_the_log_be_read_again():
    record = record_of(9, {"a": 9, "b": 7})
    good = {service_key(0, "a"): b"a|9|0|0,1", service_key(0, "b"): b"b|7|0|0"}
    assert restore(0, {partition_key(0): record, **good}, KIT).next_offset == 10
    broken = restore(0, {partition_key(0): record, **good, service_key(0, "b"): b"garbage"}, KIT)
    assert (broken.next_offset, broken.broken) == (0, ["b"])
    missing = restore(0, {partition_key(0): record, service_key(0, "a"): b"a|9|0|0,1"}, KIT)
    assert (missing.next_offset, missing.broken) == (0, ["b"])


def test_an_older_snapshot_than_recorded_is_read_on_from_its_own_offset():
    record = record_of(9, {"a": 9, "b": 7})
    changelog = {partition_key(0): record, service_key(0, "a"): b"a|4|0|0", service_key(0, "b"): b"b|7|0|0"}
    partition = restore(0, changelog, KIT)
    assert partition.next_offset == 5
    assert partition.durable_offset == 5  # nothing more is claimed


def test_other_partitions_keys_are_left_alone():
    changelog = {service_key(1, "a"): b"a|4|0|0", partition_key(1): record_of(4, {"a": 4})}
    partition = restore(11, {**changelog, service_key(11, "b"): b"b|1|0|0"}, KIT)
    assert (set(partition.services), set(partition._ahead)) == (set(), {"b"})
    assert partition.next_offset == 0


def test_counters_shown_are_those_of_the_last_snapshot_that_landed():
    log = log_of(["a"] * 4)
    partition = restore(0, {}, KIT)
    feed(partition, log, 2)
    portions, seal = cut_of(partition)
    feed(partition, log, 3)
    assert partition.durable == {}
    partition.landed(portions, seal)
    assert (partition.durable, partition.durable_offset) == ({"a": ("a/a/0", "a/a/1")}, 2)


def test_services_are_saved_a_few_at_a_time_the_longest_waiting_first_and_no_more_is_claimed():
    log = log_of(["a", "b", "c", "a", "b", "c"])
    partition = restore(0, {}, KIT)
    feed(partition, log, 4)
    first = partition.save(1)
    assert list(first.offsets.items()) == [("a", 3)]
    seal = partition.seal([first])
    partition.landed([first], seal)
    assert partition.durable_offset == 1  # b's first message is the lowest that is not safe
    feed(partition, log, 6)
    second = partition.save(2)
    assert list(second.offsets.items()) == [("b", 4), ("c", 5)]
    partition.failed([second])
    assert partition.seal([]).durable_offset == 1
    again = partition.save(2)
    assert again.offsets == second.offsets
    partition.landed([again], partition.seal([again]))
    assert (partition.durable_offset, partition.waiting) == (6, 0)


def test_a_service_that_gave_up_its_place_is_erased_after_the_record_that_does_not_name_it():
    log = log_of(["a", "b"])
    partition = restore(0, {}, kit(1))
    feed(partition, log, 1, [SECOND, 4000 * SECOND])
    portions, seal = cut_of(partition)
    partition.landed(portions, seal)
    changelog = {**portions[0].bodies, seal.key: seal.body}
    feed(partition, log, 2, [SECOND, 4000 * SECOND])
    assert (set(partition.services), set(partition.durable)) == ({"b"}, set())
    portions, seal = cut_of(partition)
    assert list(seal.erased) == ["a"]
    died_before_the_erasure = {**changelog, **portions[0].bodies, seal.key: seal.body}
    again = restore(0, died_before_the_erasure, kit(1))
    assert (set(again.services), again.next_offset, again.broken) == ({"b"}, 2, [])
    again.next_offset = 3  # whatever comes next
    assert list(again.seal([]).erased) == ["a"]
    died_before_the_record = {**changelog, **portions[0].bodies}
    again = restore(0, died_before_the_record, kit(1))
    assert (set(again.services), again.next_offset) == ({"a"}, 1)
    feed(again, log, 2, [SECOND, 4000 * SECOND])
    assert set(again.services) == {"b"}
    assert again.services["b"].seen == ["a/b/0"]


def test_services_beyond_the_budget_share_a_state_with_their_agents_kept_apart():
    log = log_of(["a", "b", "c", "b", "a"])
    partition = restore(3, {}, kit(1))
    feed(partition, log, 5)
    assert set(partition.services) == {"a", "other-3"}
    assert partition.services["other-3"].seen == ["a@b/b/0", "a@c/c/0", "a@b/b/1"]
    assert not partition.services["a"].joined


def test_a_service_taken_up_late_is_told_so():
    log = log_of(["a", "b", "b"])
    partition = restore(0, {}, kit(1))
    feed(partition, log, 3, [SECOND, 2 * SECOND, 4000 * SECOND])
    assert (partition.services["b"].seen, partition.services["b"].joined) == (["a/b/1"], True)


def test_a_log_that_was_replaced_is_read_from_its_start_and_known_messages_are_kept():
    log = log_of(["a"] * 3)
    partition = restore(0, {}, KIT)
    feed(partition, log, 3)
    partition.log_was_replaced()
    assert partition.admit(0) is Admission.APPLY
    assert partition.services["a"].offset == -1


def test_a_service_silent_since_the_log_was_replaced_is_kept_by_the_next_worker():
    changelog: dict[bytes, bytes] = {}
    log = log_of(["a", "b", "a"])
    partition = restore(0, {}, KIT)
    feed(partition, log, 2)
    partition.log_was_replaced()
    list(partition.apply(0, *log[2]))
    write(changelog, partition, Always())
    last = restore(0, changelog, KIT)
    assert {name: state.seen for name, state in last.services.items()} == {"a": ["a/a/0", "a/a/1"], "b": ["a/b/0"]}
    assert (last.next_offset, last.durable["b"]) == (1, ("a/b/0",))


def test_a_snapshot_of_the_log_before_does_not_count_for_the_new_one():
    log = log_of(["a"])
    partition = restore(0, {}, KIT)
    feed(partition, log, 1)
    portions, seal = cut_of(partition)
    partition.log_was_replaced()
    partition.landed(portions, seal)
    _, seal = cut_of(partition, 0)
    assert parse_record(seal.body).saved == {}


def test_what_retention_removed_is_counted():
    partition = restore(0, {}, KIT)
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
