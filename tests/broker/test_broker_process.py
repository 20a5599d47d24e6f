"""The broker as a process: kill -9 loses nothing acknowledged, SIGTERM ends it, mistakes are named."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.broker import RunningBroker, create_topic, embedded_broker, unique
from tests.support.kafka_clients import read_kafka_python, wait_for
from tests.support.kafka_wire import Wire, batch


def run_broker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "burstwatch", "broker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def started(data: Path) -> RunningBroker:
    return RunningBroker.start(data)


@pytest.mark.parametrize("size", [10, 20_000])
def test_kill_9_in_the_middle_of_a_stream_loses_nothing_acknowledged(tmp_path: Path, size: int):
    broker = started(tmp_path / "data")
    topic = create_topic(broker.bootstrap_servers, configs={"segment.bytes": "1000000"})
    acknowledged: list[tuple[int, bytes]] = []

    def write() -> None:
        with contextlib.suppress(OSError), Wire(broker.bootstrap_servers) as wire:
            while True:
                value = b"%d " % len(acknowledged) + b"x" * size
                acknowledged.append((wire.produce(topic, batch(value)).base_offset, value))

    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: len(acknowledged) >= 500, "a stream of records")
    broker.kill()
    writer.join()
    broker = broker.restart()
    try:
        stored = read_kafka_python(broker.bootstrap_servers, topic, len(acknowledged))
    finally:
        broker.stop()
    by_offset = {r.offset: r.value for r in stored}
    assert acknowledged == [(offset, by_offset.get(offset)) for offset, _ in acknowledged]
    assert len(stored) <= len(acknowledged) + 1  # one may have been stored, its answer not sent


def test_after_kill_9_topics_configs_positions_and_producers_are_known(tmp_path: Path):
    broker = started(tmp_path / "data")
    topic = create_topic(broker.bootstrap_servers, partitions=3, configs={"retention.ms": "12345"})
    with Wire(broker.bootstrap_servers) as wire:
        asked = {"transactional_id": None, "transaction_timeout_ms": 1, "producer_id": -1, "producer_epoch": -1}
        pid = wire.ask("InitProducerId", 3, **asked).producer_id
        first = batch(b"once", producer_id=pid, epoch=0, sequence=0)
        wire.produce(topic, first)
        assert wire.commit("g", "", -1, topic=topic, offset=1) == 0
    broker.kill()
    broker = broker.restart()
    try:
        with Wire(broker.bootstrap_servers) as wire:
            assert (wire.produce(topic, first).base_offset, wire.fetch(topic, 0).high_watermark) == (0, 1)
            assert wire.produce(topic, batch(b"gap", producer_id=pid, epoch=0, sequence=2)).error_code == 45
            assert wire.ask("InitProducerId", 3, **asked).producer_id > pid
            answer = wire.ask("OffsetFetch", 5, group_id="g", topics=None)
            [position] = answer.topics[0].partitions
            assert (1, "note") == (position.committed_offset, position.metadata)
            assert len(wire.ask("Metadata", 5, topics=None).topics[0].partitions) == 3
    finally:
        broker.stop()


def test_kafka_python_rides_out_a_killed_broker_without_loss_or_duplicate(tmp_path: Path):
    from kafka import KafkaProducer

    broker = started(tmp_path / "data")
    topic = create_topic(broker.bootstrap_servers)
    sender = KafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, reconnect_backoff_max_ms=200, retry_backoff_ms=50
    )
    sent = []
    for i in range(600):
        sent.append(sender.send(topic, b"%d" % i))
        if i == 300:
            sent[100].get(10)
            broker.kill()
            broker = broker.restart()
    sender.flush(30)
    offsets = [future.get(1).offset for future in sent]
    sender.close()
    try:
        stored = read_kafka_python(broker.bootstrap_servers, topic, 600)
    finally:
        broker.stop()
    assert [b"%d" % i for i in range(600)] == [r.value for r in stored]
    assert list(range(600)) == offsets


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_clients_connected_and_waiting(tmp_path: Path, signal_number: int):
    broker = started(tmp_path / "data")
    topic = create_topic(broker.bootstrap_servers)
    with Wire(broker.bootstrap_servers) as wire, Wire(broker.bootstrap_servers) as idle:
        idle.ask("ApiVersions", 0)
        waiting = threading.Thread(target=lambda: _suppressed(wire, topic))
        waiting.start()
        broker.process.send_signal(signal_number)
        assert broker.process.wait(5) == 0
        waiting.join(5)
    assert "Traceback" not in (tmp_path / "data.log").read_text()


def _suppressed(wire: Wire, topic: str) -> None:
    with contextlib.suppress(OSError):
        wire.fetch(topic, 0, max_wait_ms=60_000)


def test_the_readiness_line_names_the_address():
    with embedded_broker() as broker, Wire(broker.bootstrap_servers) as wire:
        assert wire.ask("ApiVersions", 0).error_code == 0
        assert broker.bootstrap_servers == f"127.0.0.1:{broker.port}"


def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_broker("--port", str(port), "--data", str(tmp_path))
    assert (2, "") == (done.returncode, done.stdout)
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_brokers_never_share_a_folder_but_a_killed_one_leaves_it_free(tmp_path: Path):
    with embedded_broker(tmp_path / "data") as broker:
        done = run_broker("--port", "0", "--data", str(tmp_path / "data"))
        assert done.returncode == 2
        assert "another broker is using" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        broker.kill()
        with embedded_broker(tmp_path / "data"):
            pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    done = run_broker("--port", "0", "--data", str(tmp_path / "file"))
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "--data" in done.stderr


def test_transactions_are_refused_at_the_first_step():
    from kafka import KafkaProducer, errors

    with embedded_broker() as broker:
        sender = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id="t", max_block_ms=5000)
        with pytest.raises(errors.TransactionalIdAuthorizationFailedError):
            sender.init_transactions()
        sender.close(0)
        with Wire(broker.bootstrap_servers) as wire:
            offered = {api.api_key for api in wire.ask("ApiVersions", 0).api_keys}
            refused = wire.ask(
                "InitProducerId", 3, transactional_id="t", transaction_timeout_ms=1, producer_id=-1, producer_epoch=-1
            )  # fmt: skip
        assert not offered & {24, 25, 26, 28}
        assert (53, -1) == (refused.error_code, refused.producer_id)


def test_garbage_leaves_one_short_line_in_the_log(tmp_path: Path):
    with embedded_broker(tmp_path / "data") as broker:
        for _ in range(3):
            with Wire(broker.bootstrap_servers) as rude:
                rude.socket.sendall(b"GET /" + os.urandom(5000))
                with contextlib.suppress(ConnectionError):
                    rude.exactly(1)
    lines = (tmp_path / "data.log").read_text().splitlines()
    assert 3 == len(lines)
    assert all("event=connection_refused" in line and len(line) < 300 for line in lines)


def test_records_are_on_disk_and_not_in_memory(tmp_path: Path):
    def resident_mb(pid: int) -> int:
        [line] = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS")]
        return int(line.split()[1]) // 1024

    with embedded_broker(tmp_path / "data") as broker:
        topic = create_topic(broker.bootstrap_servers)
        data = batch(os.urandom(1_000_000))
        with Wire(broker.bootstrap_servers) as wire:
            wire.produce(topic, data)
            before = resident_mb(broker.process.pid)
            for _ in range(150):
                wire.produce(topic, data)
            offset = 0
            while offset < 151:
                answer = wire.fetch(topic, offset, max_bytes=2**20)
                offset += len(answer.records) // len(data)
        assert resident_mb(broker.process.pid) - before < 40


def test_a_topic_deleted_while_a_client_waits_for_it_ends_the_wait():
    with embedded_broker() as broker, Wire(broker.bootstrap_servers) as reader, Wire(broker.bootstrap_servers) as admin:
        topic = create_topic(broker.bootstrap_servers, name=unique("short"))
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(reader.fetch(topic, 0, max_wait_ms=60_000)))
        waiting.start()
        admin.ask("DeleteTopics", 3, topic_names=[topic], timeout_ms=1000)
        waiting.join(10)
        assert [3] == [answer.error_code for answer in answers]
