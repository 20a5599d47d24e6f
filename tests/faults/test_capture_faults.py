"""Capture killed at random instants while a producer runs: every batch is in the trace once."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer

from collector.schema.topics import REQUESTS
from collector.schema.trace_rows import BURSTGPT_8
from streams.capture.export import Wanted, export, list_segments
from tests.support.broker import create_topic, embedded_broker
from tests.support.events import completion
from tests.support.fake_log import heartbeat, message

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

KILLS = 10


def start(bootstrap: str, out: Path, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "burstwatch", "capture", "--kafka", bootstrap, "--out", str(out)]
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [*command, "--rotate-events", "40"], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "ready", log.read_text()
    return process


class Traffic(threading.Thread):
    """Four services, one batch each every few milliseconds, every tenth sent twice, until told to stop."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__()
        self.bootstrap = bootstrap
        self.stop = threading.Event()
        self.sent: list[tuple[str, int]] = []
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            self._run(KafkaProducer(bootstrap_servers=self.bootstrap, acks="all"))
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.failed = error

    def _run(self, producer: KafkaProducer) -> None:
        seq = 0
        while not self.stop.wait(0.005):
            for key in ("s0", "s1", "s2", "s3"):
                rows = [completion(seq * 1000 + n, id=f"{key}-{seq}-{n}") for n in range(3)]
                body = message(rows, seq=2 * seq, key=key, watermark=seq * 1000)
                for _ in range(2 if seq % 10 == 0 else 1):
                    producer.send(REQUESTS, key=key.encode(), value=body)
                producer.send(
                    REQUESTS, key=key.encode(), value=heartbeat(seq=2 * seq + 1, key=key, watermark=seq * 1000)
                )
                self.sent += [(row.id, row.submitted_at) for row in rows]
            seq += 1
        producer.flush(20)
        producer.close()


def test_killed_ten_times_at_random_instants_the_trace_is_exact(tmp_path: Path):
    out, log = tmp_path / "captured", tmp_path / "log"
    rng = random.Random(5)
    with embedded_broker() as broker:
        create_topic(broker.bootstrap_servers, partitions=4, name=REQUESTS)
        traffic = Traffic(broker.bootstrap_servers)
        traffic.start()
        try:
            for _ in range(KILLS):
                process = start(broker.bootstrap_servers, out, log)
                time.sleep(rng.uniform(0.05, 1.2))
                process.kill()
                process.wait()
                process.stdout.close()
        finally:
            traffic.stop.set()
            traffic.join()
        assert traffic.failed is None
        process = start(broker.bootstrap_servers, out, log)
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
        process.stdout.close()
    about = export(list_segments(out), out, tmp_path / "trace.csv", Wanted(columns=BURSTGPT_8))
    lines = (tmp_path / "trace.sidecar.jsonl").read_text().splitlines()
    found = [(row["id"], row["submitted_at"]) for row in map(json.loads, lines)]
    assert sorted(found) == sorted(traffic.sent)
    assert len(found) > 1000
    assert about["loss"]["missing_messages"] == 0
    assert about["offset_holes"] == []
    # Duplicates come only from the producer's double sends, never from a restart of the capture.
    doubled = len({id_.rpartition("-")[0] for id_, _ in found if int(id_.split("-")[1]) % 10 == 0})
    assert about["messages"]["duplicates_dropped"] == doubled
    assert not list(out.glob("*.tmp"))


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; skips where none may be mounted."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a small file system to fill")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_disk_that_fills_up_costs_nothing_once_there_is_space(tmp_path: Path):
    log = tmp_path / "log"
    with embedded_broker() as broker, small_disk(tmp_path / "disk") as disk:
        create_topic(broker.bootstrap_servers, partitions=4, name=REQUESTS)
        out = disk / "captured"
        process = start(broker.bootstrap_servers, out, log)
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 470_000)
        traffic = Traffic(broker.bootstrap_servers)
        traffic.start()
        try:
            wait_for(lambda: "event=disk_trouble" in log.read_text())
            traffic.stop.set()
            traffic.join()
            assert "No space left on device" in log.read_text()
            seen = list_segments(out)
            assert all(item.footer.rows for item in seen)
            assert process.poll() is None
            ballast.unlink()
        finally:
            traffic.stop.set()
            traffic.join()
            process.terminate()
            code = process.wait(30)
            process.stdout.close()
        assert traffic.failed is None
        assert code == 0, log.read_text()
        about = export(list_segments(out), out, tmp_path / "trace.csv", Wanted(columns=BURSTGPT_8))
        assert not list(out.glob("*.tmp"))
    lines = (tmp_path / "trace.sidecar.jsonl").read_text().splitlines()
    assert sorted((row["id"], row["submitted_at"]) for row in map(json.loads, lines)) == sorted(traffic.sent)
    assert about["offset_holes"] == []


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
