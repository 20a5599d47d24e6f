"""Conformance: consumer groups share partitions, survive members that leave or die, and resume where they were."""

import subprocess
import sys
import textwrap
import threading
import time

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, errors

from tests.support.broker import create_topic, unique
from tests.support.kafka_clients import wait_for
from tests.support.kafka_wire import Wire

pytestmark = pytest.mark.kafka

QUICK = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 200, "auto_offset_reset": "earliest"}


class Member:
    """A kafka-python consumer in a thread, as a worker would run it: polls, and commits what it has seen."""

    def __init__(self, kafka: str, topic: str, group: str, **config) -> None:
        self.seen: list[int] = []
        self.assigned: set[int] = set()
        self.assignments: list[set[int]] = []
        self._stop = threading.Event()
        self._consumer = KafkaConsumer(
            topic, bootstrap_servers=kafka, group_id=group, enable_auto_commit=False, **QUICK | config
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            records = self._consumer.poll(50)
            self.seen += [int(r.value) for batch in records.values() for r in batch]
            self.assigned = {p.partition for p in self._consumer.assignment()}
            if not self.assignments or self.assignments[-1] != self.assigned:
                self.assignments.append(self.assigned)
            if records:
                try:
                    self._consumer.commit()
                except errors.KafkaError:
                    continue  # a rebalance came between: the next poll joins again
        self._consumer.close()

    def leave(self) -> None:
        self._stop.set()
        self._thread.join(20)


def write(kafka: str, topic: str, numbers: range, partitions: int) -> None:
    sender = KafkaProducer(bootstrap_servers=kafka)
    for number in numbers:
        sender.send(topic, b"%d" % number, partition=number % partitions)
    sender.flush(10)
    sender.close()


def test_two_members_share_the_partitions_and_the_one_that_stays_takes_all(kafka: str):
    topic, group = create_topic(kafka, partitions=6), unique("group")
    write(kafka, topic, range(300), 6)
    first = Member(kafka, topic, group)
    second = None
    try:
        wait_for(lambda: len(first.seen) == 300, "the first member to read everything")
        assert set(range(6)) == first.assigned
        second = Member(kafka, topic, group)
        wait_for(
            lambda: len(first.assigned) == len(second.assigned) == 3 and not first.assigned & second.assigned,
            "each member to have its half",
        )
        write(kafka, topic, range(300, 600), 6)
        wait_for(lambda: len({*first.seen, *second.seen}) == 600, "both to read on")
        second.leave()
        wait_for(lambda: set(range(6)) == first.assigned, "the rest to go back to the first")
    finally:
        first.leave()
        if second:
            second.leave()
    write(kafka, topic, range(600, 700), 6)
    third = Member(kafka, topic, group)
    try:
        wait_for(lambda: len(third.seen) >= 100, "a later member to resume")
        time.sleep(0.2)
        assert set(range(600, 700)) == set(third.seen)  # from the committed offsets, nothing twice
    finally:
        third.leave()


def test_a_killed_member_is_put_out_when_its_session_ends(kafka: str):
    topic, group = create_topic(kafka, partitions=4), unique("group")
    script = textwrap.dedent(f"""
        from kafka import KafkaConsumer
        consumer = KafkaConsumer({topic!r}, bootstrap_servers={kafka!r}, group_id={group!r}, **{QUICK!r})
        while True:
            consumer.poll(50)
            print(len(consumer.assignment()), flush=True)
    """)
    doomed = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    survivor = None
    try:
        wait_for(lambda: doomed.stdout.readline().strip() == "4", "the first member to have all partitions")
        threading.Thread(target=doomed.stdout.read, daemon=True).start()  # so that its pipe never fills
        survivor = Member(kafka, topic, group)
        wait_for(lambda: len(survivor.assigned) == 2, "the second member to have two")
        doomed.kill()
        wait_for(lambda: len(survivor.assigned) == 4, "the survivor to have all", within_s=15)
    finally:
        doomed.kill()
        doomed.wait()
        if survivor:
            survivor.leave()


def test_aiokafka_members_share_and_take_over(kafka: str):
    import asyncio

    from aiokafka import AIOKafkaConsumer

    topic, group = create_topic(kafka, partitions=6), unique("group")
    config = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 200, "auto_offset_reset": "earliest"}

    async def polls_until(condition, *consumers: AIOKafkaConsumer) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.gather(*(consumer.getmany(timeout_ms=50) for consumer in consumers))

    async def scenario() -> None:
        first = AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=group, **config)
        await first.start()
        await polls_until(lambda: len(first.assignment()) == 6, first)
        second = AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=group, **config)
        await second.start()
        await polls_until(lambda: len(first.assignment()) == len(second.assignment()) == 3, first, second)
        await second.stop()
        await polls_until(lambda: len(first.assignment()) == 6, first)
        await first.stop()

    asyncio.run(scenario())


def test_a_restarted_static_member_keeps_its_partitions_and_disturbs_nobody(kafka: str):
    topic, group = create_topic(kafka, partitions=4), unique("group")
    first = Member(kafka, topic, group, group_instance_id="one")
    second = Member(kafka, topic, group, group_instance_id="two")
    try:
        wait_for(lambda: len(first.assigned) == len(second.assigned) == 2, "each to have two partitions")
        before, changes = first.assigned, len(second.assignments)
        first.leave()
        first = Member(kafka, topic, group, group_instance_id="one")
        wait_for(lambda: first.assigned == before, "the same partitions again")
        assert len(second.assignments) == changes
    finally:
        first.leave()
        second.leave()


def test_the_protocol_of_one_member_step_by_step(kafka: str):
    topic, group = create_topic(kafka), unique("group")
    with Wire(kafka) as wire:
        asked = wire.join(group)
        assert (79, True) == (asked.error_code, bool(asked.member_id))  # MEMBER_ID_REQUIRED, and here is one
        assert wire.join(group, "made-up").error_code == 25
        joined = wire.join(group, asked.member_id)
        assert (0, asked.member_id, 1) == (joined.error_code, joined.leader, joined.generation_id)
        assert [asked.member_id] == [m.member_id for m in joined.members]
        assert wire.commit(group, asked.member_id, 1, topic=topic, offset=5) == 27  # not before the assignment
        assert wire.sync(group, "made-up", 1, {}).error_code == 25
        assert wire.sync(group, asked.member_id, 0, {}).error_code == 22
        synced = wire.sync(group, asked.member_id, 1, {asked.member_id: b"all of it"})
        assert (0, b"all of it") == (synced.error_code, bytes(synced.assignment))
        assert wire.heartbeat(group, asked.member_id, 1) == 0
        assert wire.heartbeat(group, asked.member_id, 9) == 22
        assert wire.heartbeat(group, "made-up", 1) == 25
        assert wire.commit(group, asked.member_id, 1, topic=topic, offset=5) == 0
        assert wire.commit(group, asked.member_id, 0, topic=topic, offset=6) == 22
        assert wire.commit(group, "", -1, topic=topic, offset=7) == 25  # not while the group has members
        assert wire.commit(group, asked.member_id, 1, topic="no-such-topic", offset=5) == 3
        # A second member: the first hears of it by its heartbeat, and both must speak a common protocol.
        with Wire(kafka) as other:
            assert other.join(group, protocols={"q": b""}).error_code == 23
            other_id = other.join(group).member_id
            _send_join(other, group, other_id)
            wait_for(lambda: wire.heartbeat(group, asked.member_id, 1) == 27, "the rebalance to be announced")
            again = wire.join(group, asked.member_id)
            follower = other.receive("JoinGroup", 5)
            assert (2, 2) == (again.generation_id, follower.generation_id)
            assert {asked.member_id, other_id} == {m.member_id for m in again.members}
            assert [] == list(follower.members)
            wire.sync(group, asked.member_id, 2, {other_id: b"yours"})
            assert bytes(other.sync(group, other_id, 2, {}).assignment) == b"yours"


def _send_join(wire: Wire, group: str, member_id: str) -> None:
    from kafka.protocol.consumer import JoinGroupRequest

    wire.send(
        "JoinGroup", 5, group_id=group, session_timeout_ms=6000, rebalance_timeout_ms=10_000, member_id=member_id,
        group_instance_id=None, protocol_type="test",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="p", metadata=b"")],
    )  # fmt: skip


def test_an_admin_sees_groups_and_deletes_those_without_members(kafka: str):
    topic, group = create_topic(kafka, partitions=2), unique("group")
    write(kafka, topic, range(10), 2)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    member = Member(kafka, topic, group)
    try:
        wait_for(lambda: len(member.seen) == 10, "the member to read everything")
        wait_for(
            lambda: sum(p.offset for p in admin.list_group_offsets({group: None})[group].values()) == 10,
            "its offsets to be committed",
        )
        assert group in {g["group_id"] for g in admin.list_groups()}
        described = admin.describe_groups([group])[group]
        assert ("Stable", "consumer", 1) == (
            described["group_state"],
            described["protocol_type"],
            len(described["members"]),
        )
        assert admin.delete_groups([group])[group] != "OK"
    finally:
        member.leave()
    wait_for(lambda: admin.describe_groups([group])[group]["group_state"] == "Empty", "the group to be empty")
    offsets = admin.list_group_offsets({group: None})[group]
    assert {TopicPartition(topic, 0): 5, TopicPartition(topic, 1): 5} == {p: o.offset for p, o in offsets.items()}
    assert admin.delete_groups([group])[group] == "OK"
    assert group not in {g["group_id"] for g in admin.list_groups()}
    assert admin.describe_groups([unique("never")]).popitem()[1]["group_state"] == "Dead"
    admin.close()


def test_positions_in_a_deleted_topic_are_forgotten(kafka: str):
    topic, group = create_topic(kafka), unique("group")
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    with Wire(kafka) as wire:
        wait_for(lambda: wire.commit(group, "", -1, topic=topic, offset=3) == 0, "the commit to be taken")
    assert TopicPartition(topic, 0) in admin.list_group_offsets({group: None})[group]
    admin.delete_topics([topic])
    wait_for(lambda: not admin.list_group_offsets({group: None}).get(group), "the positions to be gone")
    admin.close()
