"""Reading result topics from some way back: no hole, whatever happens to Kafka meanwhile."""

import json
import threading

import pytest

from burstwatch import tail
from burstwatch.tail import History, TopicFollower
from tests.support.broker import create_topic, embedded_broker, unique
from tests.support.kafka_clients import wait_for
from tests.support.worker_process import produce


class Heard:
    """What a follower says, from its thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers, self.states, self.batches = [], [], 0

    def messages(self, batch):
        with self.lock:
            self.numbers += [m["n"] if isinstance(m, dict) else m for m in batch]
            self.batches += 1

    def kafka(self, answers, caught_up):
        self.states.append((answers, caught_up))


def numbered(first, last):
    return [(b"k%d" % (i % 7), json.dumps({"n": i}).encode()) for i in range(first, last)]


def follower(kafka, topics, heard, **history):
    wanted = History(**{"seconds": 3600, **history})
    return TopicFollower(kafka, topics, wanted, on_messages=heard.messages, on_kafka=heard.kafka)


@pytest.mark.kafka
def test_history_and_news_meet_without_a_hole(kafka):
    topic, heard = create_topic(kafka, partitions=3), Heard()
    produce(kafka, numbered(0, 500), topic)
    writer = threading.Thread(target=lambda: [produce(kafka, numbered(i, i + 50), topic) for i in range(500, 1000, 50)])
    writer.start()
    following = follower(kafka, [topic], heard)
    following.start()
    writer.join()
    wait_for(lambda: len(heard.numbers) >= 1000, "all messages")
    following.stop()
    following.stop()
    assert sorted(heard.numbers) == list(range(1000))
    assert heard.states[-1] == (True, True)


@pytest.mark.kafka
def test_only_so_many_of_the_past_but_all_that_comes(kafka):
    topic, heard = create_topic(kafka, partitions=1), Heard()
    produce(kafka, numbered(0, 300), topic)
    following = follower(kafka, [topic], heard, most=100)
    following.start()
    wait_for(lambda: (True, True) in heard.states, "the past")
    produce(kafka, [*numbered(300, 310), (b"k", b"\xff not JSON")], topic)
    wait_for(lambda: len(heard.numbers) >= 111, "what comes")
    following.stop()
    assert heard.numbers == [*range(200, 310), None]


@pytest.mark.kafka
def test_old_messages_are_read_if_there_are_no_newer_ones(kafka):
    topic, heard = create_topic(kafka, partitions=1), Heard()
    produce(kafka, numbered(0, 30), topic)
    following = follower(kafka, [topic], heard, seconds=0, least=10)  # all are older than 0 s
    following.start()
    wait_for(lambda: (True, True) in heard.states, "the past")
    following.stop()
    assert heard.numbers == list(range(20, 30))


@pytest.mark.kafka
def test_a_topic_made_later_is_read_from_its_beginning(kafka, impatient):
    topic, other, heard = create_topic(kafka, partitions=1), unique("later"), Heard()
    following = follower(kafka, [topic, other], heard)
    following.start()
    wait_for(lambda: (True, True) in heard.states, "Kafka")
    create_topic(kafka, partitions=2, name=other)
    produce(kafka, numbered(0, 20), other)
    wait_for(lambda: len(heard.numbers) >= 20, "the later topic")
    following.stop()
    assert sorted(heard.numbers) == list(range(20))


@pytest.mark.kafka
def test_a_fault_nobody_thought_of_is_told_and_nothing_is_lost_by_it(kafka, caplog):
    topic, heard = create_topic(kafka, partitions=1), Heard()
    produce(kafka, numbered(0, 5), topic)
    faults = [RuntimeError("odd")]

    def messages(batch):
        if faults:
            raise faults.pop()
        heard.messages(batch)

    following = TopicFollower(kafka, [topic], History(seconds=3600), on_messages=messages, on_kafka=heard.kafka)
    following.start()
    wait_for(lambda: (True, True) in heard.states, "the past")
    following.stop()
    assert heard.numbers == [0, 1, 2, 3, 4]
    assert heard.states[0][0] is False
    assert "reading Kafka failed" in caplog.text


@pytest.fixture
def impatient(monkeypatch):
    """Look often and wait briefly, so that nobody waits long for what a test is about."""
    monkeypatch.setattr(tail, "_LOOK_S", 0.3)
    monkeypatch.setattr(tail, "_ANSWER_MS", 1000)


def test_kafka_away_is_said_and_what_came_meanwhile_is_read_after(tmp_path, impatient):
    with embedded_broker(tmp_path / "data") as broker:
        kafka, heard = broker.bootstrap_servers, Heard()
        topic = create_topic(kafka, partitions=1)
        produce(kafka, numbered(0, 10), topic)
        following = follower(kafka, [topic], heard)
        following.start()
        wait_for(lambda: len(heard.numbers) == 10, "the past")
        broker.kill()
        wait_for(lambda: heard.states[-1][0] is False, "Kafka's absence to be noticed")
        again = broker.restart()
        try:
            produce(kafka, numbered(10, 20), topic)
            wait_for(lambda: len(heard.numbers) >= 20, "what came since")
            following.stop()
        finally:
            again.stop()
        assert sorted(set(heard.numbers)) == list(range(20))
        assert heard.numbers.count(3) == 1  # it went on where it was
        assert heard.states[-1] == (True, True)
