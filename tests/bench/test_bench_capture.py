"""Capture and export: rows per second, beside a consumer that only stores bytes and a plain csv.writer."""

import csv
import io
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from burstwatch.cli import main
from collector.schema.topics import REQUESTS
from tests.bench.tables import Table, best_cpu_s, cpu_s
from tests.support.broker import create_topic, embedded_broker
from tests.support.pipeline import read_values
from tests.support.worker_process import TOPIC_CONFIG, produce, service_traffic

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROWS = 100_000


def test_capture_and_export_rows_per_second(tmp_path):
    table = Table("capture", f"{ROWS:,} completions (and as many arrivals) in 1,000-event messages; CPU, start-up off")
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        create_topic(kafka, partitions=4, name=REQUESTS, configs=TOPIC_CONFIG)
        idle = _capture(kafka, tmp_path / "idle", rows=0)
        produce(kafka, service_traffic("svc", ROWS // 1000, 1000, rate=200.0))
        began = time.process_time()
        stored = b"".join(read_values(kafka, REQUESTS))
        (tmp_path / "bytes").write_bytes(stored)
        floor = time.process_time() - began
        cost = _capture(kafka, tmp_path / "captured", rows=ROWS) - idle
    _add(table, "floor: read the topic, store the bytes", floor, floor)
    _add(table, "burstwatch capture", cost, floor)
    csv_file = tmp_path / "trace.csv"
    began = time.process_time()
    assert main(["trace", "export", str(tmp_path / "captured"), "--out", str(csv_file)]) == 0
    export = time.process_time() - began
    with csv_file.open(newline="") as lines:
        header, *rows = csv.reader(lines)
    assert (len(rows), len(header)) == (ROWS, 8)
    (plain,) = best_cpu_s([lambda: csv.writer(io.StringIO()).writerows(rows)], rounds=3)
    _add(table, "floor: csv.writer of the same rows", plain, plain)
    _add(table, "burstwatch trace export (verify, merge, CSV, sidecar, manifest)", export, plain)
    table.finish()


def _add(table: Table, what: str, cost: float, floor: float) -> None:
    table.add(what, us_per_row=cost / ROWS * 1e6, rows_per_cpu_s=ROWS / cost, x=cost / floor)


def _capture(kafka: str, out, *, rows: int) -> float:
    """CPU seconds of a capture that takes everything the topic holds, from its start to its end."""
    command = [sys.executable, "-m", "burstwatch", "capture", "--kafka", kafka, "--out", str(out), "--group", out.name]
    log, before = out.with_suffix(".log"), resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        assert b"ready" in process.stdout.readline(), log.read_text()
        _await_quiet(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert rows == sum(int(count) for count in re.findall(r"event=segment .* rows=(\d+)", log.read_text()))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _await_quiet(pid: int) -> None:
    """Return when the process has been idle for a second."""
    deadline = time.monotonic() + 60
    used = -1.0
    while (now := cpu_s(pid)) - used > 0.1:
        assert time.monotonic() < deadline
        used = now
        time.sleep(1.0)
