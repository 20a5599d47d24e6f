"""Capture against a broker that speaks Kafka: positions, commits, restarts, topics that come late or anew."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from burstwatch.cli import main as burstwatch
from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS
from collector.schema.trace_rows import BURSTGPT_8
from streams.capture.export import Wanted, export, list_segments
from streams.capture.files import DiskFolder
from streams.capture.recorder import Recorder
from streams.capture.segments import parse_name, read_segment
from streams.capture.tap import KafkaLog, connect
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.broker import create_topic, embedded_broker, kafka, unique
from tests.support.events import completion
from tests.support.fake_log import heartbeat, message

pytestmark = pytest.mark.kafka
__all__ = ["kafka"]  # the fixture


def produce(bootstrap: str, topic: str, bodies: dict[int, list[bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for partition, messages in bodies.items():
        for body in messages:
            producer.send(topic, value=body, partition=partition).get(10)
    producer.close()


def capture_all(bootstrap: str, topic: str, group: str, folder: Path, *, from_group: bool = False) -> dict[int, int]:
    """One in-process life: read to the end, finish, close; returns the next offsets."""
    log = KafkaLog(connect(bootstrap, group), topic, from_group=from_group)
    writer = SegmentWriter(DiskFolder(folder), topic, Rotation(events=3))
    recorder = Recorder(log, writer, lambda _: None)
    try:
        deadline = time.monotonic() + 20
        recorder.step()
        recorder.drain(log.ends(), lambda: time.monotonic() > deadline)
        assert recorder.finish()
    finally:
        log.close()
    return writer.next_offsets()


def stored(folder: Path) -> dict[int, list[int]]:
    offsets: dict[int, list[int]] = {}
    for file in sorted(folder.iterdir()):
        if (name := parse_name(file.name)) is not None:
            batches = read_segment(name, file.read_bytes().splitlines(keepends=True)).batches
            offsets.setdefault(name.partition, []).extend(offset for offset, _ in batches)
    return offsets


def committed(bootstrap: str, group: str, topic: str, partition: int) -> int | None:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group)
    try:
        return consumer.committed(TopicPartition(topic, partition))
    finally:
        consumer.close()


def test_every_batch_is_captured_once_over_restarts_and_kafka_learns_the_offsets(kafka: str, tmp_path: Path):
    topic, group = create_topic(kafka, partitions=2), unique("capture")
    one = [message([completion(i)], seq=i) for i in range(8)]
    produce(kafka, topic, {0: [*one, b"junk"], 1: [heartbeat(seq=0, watermark=1)]})
    assert capture_all(kafka, topic, group, tmp_path) == {0: 9, 1: 1}
    assert committed(kafka, group, topic, 0) == 9
    produce(kafka, topic, {1: one[:3]})
    assert capture_all(kafka, topic, group, tmp_path) == {0: 9, 1: 4}
    assert stored(tmp_path) == {0: list(range(8)), 1: [1, 2, 3]}
    assert capture_all(kafka, topic, group, tmp_path) == {0: 9, 1: 4}
    assert stored(tmp_path) == {0: list(range(8)), 1: [1, 2, 3]}


def test_files_win_over_the_group_and_the_group_counts_only_where_asked(kafka: str, tmp_path: Path):
    topic, group = create_topic(kafka), unique("capture")
    produce(kafka, topic, {0: [message([completion(i)], seq=i) for i in range(5)]})
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    capture_all(kafka, topic, group, tmp_path / "one")
    produce(kafka, topic, {0: [message([completion(9)], seq=5)]})
    capture_all(kafka, topic, unique("capture"), tmp_path / "one")
    assert stored(tmp_path / "one") == {0: [0, 1, 2, 3, 4, 5]}
    capture_all(kafka, topic, group, tmp_path / "two", from_group=True)
    assert stored(tmp_path / "two") == {0: [5]}
    capture_all(kafka, topic, group, tmp_path / "three")
    assert stored(tmp_path / "three") == {0: [0, 1, 2, 3, 4, 5]}


@pytest.mark.parametrize(("start", "first"), [("oldest", 0), ("group", 5)])
def test_a_folder_new_to_a_group_that_is_not_says_so_and_where_it_begins(tmp_path: Path, start: str, first: int):
    """A second capture with another --out and the --group of the first."""
    out, group = tmp_path / "two", "burstwatch-capture"
    command = [sys.executable, "-m", "burstwatch", "capture", "--out", str(out), "--start", start, "--kafka"]
    with embedded_broker() as broker, out.with_suffix(".log").open("wb") as log:
        kafka = broker.bootstrap_servers
        create_topic(kafka, partitions=1, name=REQUESTS)
        produce(kafka, REQUESTS, {0: [message([completion(i)], seq=i) for i in range(6)]})
        capture_of_another = KafkaLog(connect(kafka, group), REQUESTS)
        assert capture_of_another.commit({0: 5})
        capture_of_another.close()
        process = subprocess.Popen([*command, kafka], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            os.kill(process.pid, signal.SIGTERM)  # what the topic holds at this moment is still taken
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    assert (ready["start"], ready["group_offsets"]) == (start, {"0": 5})
    assert f"event=group_in_use group={group} stands_at={{0: 5}}" in out.with_suffix(".log").read_text()
    assert stored(out) == {0: list(range(first, 6))}


def test_a_topic_made_anew_is_told_not_mixed_with_the_old_one(kafka: str, tmp_path: Path):
    topic = create_topic(kafka)
    produce(kafka, topic, {0: [message([completion(1)], seq=0)]})
    beyond = tmp_path / f"{topic}-0-{0:020d}-{7:020d}.seg"
    writer = SegmentWriter(DiskFolder(tmp_path), topic, Rotation())
    for offset in range(8):
        writer.add(0, offset, message([completion(offset)], seq=offset))
    writer.finish(0)
    assert beyond.exists()
    with pytest.raises(OperatorError, match="the topic was made anew"):
        capture_all(kafka, topic, unique("capture"), tmp_path)


def test_no_broker_is_one_line_that_names_the_option(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr("streams.capture.tap._ASK_MS", 500)
    assert burstwatch(["capture", "--kafka", "127.0.0.1:1", "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "burstwatch capture: no Kafka broker answers at 127.0.0.1:1" in err
    assert "--kafka HOST:PORT" in err


def test_the_process_waits_for_the_topic_drains_on_sigterm_and_leaves_a_trace(tmp_path: Path):
    """Started before the topic exists; stopped while the last messages are still unread."""
    out = tmp_path / "captured"
    command = [sys.executable, "-m", "burstwatch", "capture", "--out", str(out), "--kafka"]
    with embedded_broker() as broker, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, broker.bootstrap_servers], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {
                "event": "ready",
                "component": "capture",
                "dir": str(out),
            }
            second = subprocess.run([*command, broker.bootstrap_servers], capture_output=True, text=True, check=False)
            assert second.returncode == 2
            assert "another capture is writing" in second.stderr
            create_topic(broker.bootstrap_servers, partitions=4, name=REQUESTS)
            bodies = {p: [message([completion(i)], seq=i, key=f"s{p}") for i in range(50)] for p in range(4)}
            produce(broker.bootstrap_servers, REQUESTS, bodies)
            wait_for(lambda: "event=reading" in (tmp_path / "log").read_text())
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stdout.read() == ""
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    about = export(list_segments(out), out, tmp_path / "trace.csv", Wanted(columns=BURSTGPT_8))
    assert about["rows"]["total"] == 200
    assert about["messages"]["duplicates_dropped"] == 0
    assert about["loss"]["missing_messages"] == 0


def wait_for(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
