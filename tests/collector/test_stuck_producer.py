"""kafka-python's own traps, met for real: its producer stuck for ever, and its threads left behind."""

import signal
import threading
import time

import pytest

from collector import shipper as module
from collector.config import parse_config
from collector.kafka_sink import KafkaSink
from collector.spool.record import Flush, Message, State, encode_flush
from collector.spool.writer import SpoolWriter
from tests.support.broker import embedded_broker
from tests.support.pipeline import read_values

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker(tmp_path):
    with embedded_broker(tmp_path / "broker") as running:
        yield running
        running.process.send_signal(signal.SIGCONT)


def config_for(folder, broker):
    kafka = {"bootstrap_servers": broker.bootstrap_servers, "partitions": 1}
    source = {"type": "trace", "service": "s", "path": "x"}
    return parse_config({"agent": {"spool_dir": str(folder)}, "kafka": kafka, "sources": [source]}, folder)


def message(number):
    return Message(topic="llm.requests", key="k", at_ms=1, n=1, body=b"%d" % number)


def until(condition, patience_s=20.0):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Results(dict):
    """What became of each send."""

    def send(self, sink, number):
        sink.send(message(number), lambda error: self.__setitem__(number, error))


def producer_threads():
    return [thread for thread in threading.enumerate() if thread.name == "burstwatch-agent-network-thread"]


def test_a_producer_thrown_away_leaves_no_thread_and_fails_what_it_held(tmp_path, broker):
    sink, results = KafkaSink(config_for(tmp_path, broker).kafka), Results()
    sink.connect()
    results.send(sink, 0)
    until(lambda: 0 in results)
    assert producer_threads()
    broker.process.send_signal(signal.SIGSTOP)
    results.send(sink, 1)
    time.sleep(0.2)
    sink.close()
    until(lambda: not producer_threads())
    until(lambda: 1 in results)
    assert (results[0], results[1] is not None, sink.connected) == (None, True, False)


@pytest.mark.slow
def test_a_producer_past_its_delivery_timeout_is_stuck_and_the_shipper_gets_over_it(tmp_path, broker, monkeypatch):
    """The trap itself with a short timeout, which the agent's own settings never come to; then the way out."""
    monkeypatch.setattr("collector.kafka_sink.NEVER_MS", 3_000)
    monkeypatch.setattr("collector.kafka_sink.REQUEST_TIMEOUT_MS", 1_000)
    config = config_for(tmp_path, broker)
    stuck, results = KafkaSink(config.kafka), Results()
    stuck.connect()
    results.send(stuck, 0)
    until(lambda: 0 in results)
    broker.process.send_signal(signal.SIGSTOP)
    results.send(stuck, -1)
    until(lambda: -1 in results)
    assert results[-1] is not None
    broker.process.send_signal(signal.SIGCONT)
    until(stuck.answers)
    results.send(stuck, -2)
    time.sleep(5)  # longer than any of its timeouts: a healthy producer answers within milliseconds
    assert -2 not in results

    writer = SpoolWriter(tmp_path, segment_bytes=20_000, bytes_max=1_000_000)
    for number in range(1, 31):
        flush = Flush(messages=[message(number)], state=State(spooled=number))
        writer.append(encode_flush(flush), flush.state)
    writer.close()
    reports = []

    class Parent:
        def watch(self, *, on_drain, **_):
            on_drain()

        def report(self, _event, **facts):
            reports.append(facts)

    monkeypatch.setattr("collector.kafka_sink.NEVER_MS", 10**9)
    for name, value in {"WATCHDOG_S": 1.0, "PROBE_S": 0.1, "RECONNECT_S": 0.1}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "KafkaSink", lambda _: stuck)
    assert module.Shipper(config, Parent()).run() == 0
    assert (reports[-1]["delivered"], reports[-1]["sent"], reports[-1]["producer_restarts"]) == (True, 30, 1)
    got = [int(value) for value in read_values(broker.bootstrap_servers, "llm.requests")]
    assert [number for number in got if number > 0] == list(range(1, 31))
