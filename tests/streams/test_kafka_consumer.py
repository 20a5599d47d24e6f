"""Consumers that find no broker leave nothing behind; everybody who tries again makes them in one place."""

import ast
import threading
from pathlib import Path

import pytest
from kafka.errors import KafkaError

from collector.schema.errors import OperatorError
from streams.capture import tap
from streams.capture.consumer import open_consumer
from tests.support.broker import embedded_broker

ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:1"


def io_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("kafka-io")}


def test_where_no_broker_answers_no_thread_is_left_and_the_error_is_kafkas():
    before = io_threads()
    for _ in range(3):
        with pytest.raises(KafkaError):
            open_consumer("topic", bootstrap_servers=NOBODY, bootstrap_timeout_ms=50)
    assert io_threads() <= before


def test_whoever_asks_again_and_again_leaves_none_either(monkeypatch):
    monkeypatch.setattr(tap, "_ENDS_MS", 50)
    monkeypatch.setattr(tap, "_ASK_MS", 50)
    before = io_threads()
    ends = tap.KafkaEnds(NOBODY, "topic")
    for _ in range(3):
        assert ends.ask([0]) == {}
    ends.close()
    with pytest.raises(OperatorError):
        tap.connect(NOBODY, "group")
    assert io_threads() <= before


@pytest.mark.kafka
def test_one_that_was_opened_and_closed_leaves_none():
    before = io_threads()
    with embedded_broker() as broker:
        consumer = open_consumer(bootstrap_servers=broker.bootstrap_servers)
        assert consumer.topics() == set()
        assert io_threads() > before
        consumer.close()
    assert io_threads() <= before


def test_nobody_makes_a_consumer_of_kafka_python_by_himself():
    found = {
        str(path.relative_to(ROOT))
        for package in ("burstwatch", "streams")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "KafkaConsumer"
    }
    assert found == {"streams/capture/consumer.py"}
