"""The whole pipeline through a broker, beside its peers and the least that counts the same events.

Ours: the worker with everything on (all windows, detectors, percentiles, snapshots, results sent), on an agent's
messages of 1,000, 100 and 10 events. Floor: kafka-python, decode, one bincount. Peers: one event to a message, a plain
count per key and 10 s and nothing else; bytewax and quixstreams live in an environment of their own (``make bench``
makes it; BURSTWATCH_BENCH_PEERS names another interpreter). All count the same first events of the same services, and
the counts must be equal. Times are CPU seconds of the one process that does the work, all its threads together.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaConsumer, TopicPartition

from collector.schema.codec import Encoding, decode
from collector.schema.events import Kind
from collector.schema.topics import REQUESTS, WINDOWS
from streams.processors.columns import numbers
from tests.bench.pipeline.traffic import PANE, SERVICES, Counts, batch_messages, expected, single_messages
from tests.bench.tables import FOLDER, Table
from tests.support.broker import create_topic, embedded_broker
from tests.support.worker_process import TOPIC_CONFIG, WorkerProcess, ends, produce, read_json

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("BURSTWATCH_BENCH_PEERS", HERE.parents[2] / "build/bench-venv/bin/python"))
DENSE, SPARSE = 2000.0, 200.0  # events a second of event time and service
APP = "bench"
PEER_EVENTS = {"faust": 3_000, "quixstreams": 10_000, "bytewax": 10_000}  # of each service

Figures = dict[str, float]


def test_pipeline_and_its_peers(tmp_path):
    table = Table(
        "pipeline-details",
        f"4 services at {DENSE:,.0f} events/s of event time each unless sparse ({SPARSE:,.0f}); CPU of the reading "
        "process; floor: kafka-python + decode + bincount; x = CPU per event in units of ours_1000",
    )
    found: dict[str, Figures | str] = {}
    worker = _worker(tmp_path, _idle_cpu_s(tmp_path))
    found["floor"] = _on_batches(400_000, 1000, _floor)
    found["ours_1000"] = _on_batches(400_000, 1000, worker)
    extra = {
        "ours_1000_json": _on_batches(200_000, 1000, worker, encoding=Encoding.JSON),
        "ours_1000_sparse": _on_batches(100_000, 1000, worker, rate=SPARSE),
    }
    found["ours_100"] = _on_batches(60_000, 100, worker)
    found["ours_10"] = _on_batches(10_000, 10, worker)
    for name, n in PEER_EVENTS.items():
        found[name] = _peer(name, n, tmp_path / name)
    ours = found["ours_1000"]["cpu_us_per_event"]
    for name, figures in {**found, **extra}.items():
        if isinstance(figures, str):
            table.add(f"{name}: {figures}")
        else:
            table.add(name, **figures, x=figures["cpu_us_per_event"] / ours)
    table.finish()
    wanted = ("events_per_s", "cpu_us_per_event")
    report = {name: f if isinstance(f, str) else {key: f[key] for key in wanted} for name, f in found.items()}
    (FOLDER / "pipeline.json").write_text(json.dumps(report, indent=1) + "\n")


def _figures(events: int, wall_s: float, cpu_s: float) -> Figures:
    """``events_per_s`` is what one core carries: events over CPU seconds."""
    return {
        "events": events,
        "events_per_s": events / cpu_s,
        "cpu_us_per_event": cpu_s / events * 1e6,
        "wall_s": wall_s,
    }


Reader = Callable[[str, Counts], tuple[float, float]]  # (broker, counts wanted) -> wall and CPU seconds


def _on_batches(
    n: int, size: int, read: Reader, *, rate: float = DENSE, encoding: Encoding = Encoding.BINARY
) -> Figures:
    """Produce the first ``n`` events of every service on a fresh broker, then have them read."""
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        create_topic(kafka, partitions=4, name=REQUESTS, configs=TOPIC_CONFIG)
        produce(kafka, batch_messages(n, size, rate=rate, encoding=encoding))
        wall_s, cpu_s = read(kafka, expected(n, rate=rate))
        return _figures(n * len(SERVICES), wall_s, cpu_s)


def _idle_cpu_s(folder: Path) -> float:
    """CPU seconds until a worker with nothing to read is ready, the lesser of two."""
    found = []
    with embedded_broker() as broker:
        for app in ("idle-1", "idle-2"):
            worker = WorkerProcess.start(broker.bootstrap_servers, app, folder / f"{app}.log")
            found.append(worker.cpu_s())
            worker.stop()
    return min(found)


def _worker(folder: Path, idle_cpu_s: float) -> Reader:
    def read(kafka: str, wanted: Counts) -> tuple[float, float]:
        last = ends(kafka)
        # Reading begins before the worker says that it is ready: only an idle one's start-up may be taken off.
        worker = WorkerProcess.start(kafka, APP, folder / "worker.log")
        began = time.perf_counter()
        try:
            _await_commit(kafka, last, worker)
            wall_s, cpu_s = time.perf_counter() - began, worker.cpu_s() - idle_cpu_s
        finally:
            assert worker.stop() == 0
        assert wanted == _told(kafka)
        return wall_s, cpu_s

    return read


def _await_commit(kafka: str, last: dict[int, int], worker: WorkerProcess) -> None:
    """Return when the worker has committed ``last``: the snapshots with the last events are safe then.

    Asked of Kafka, because each look at the worker's page would cost the worker that page.
    """
    reader = KafkaConsumer(bootstrap_servers=kafka, group_id=APP, enable_auto_commit=False)
    deadline = time.perf_counter() + 120
    try:
        while any((reader.committed(TopicPartition(REQUESTS, p)) or 0) < end for p, end in last.items()):
            assert time.perf_counter() < deadline, worker.log.read_text()[-2000:]
            time.sleep(0.1)
    finally:
        reader.close(autocommit=False)


def _told(kafka: str) -> Counts:
    """Events per service and 10 s as the worker published them."""
    counts = Counts()
    for row in read_json(kafka, WINDOWS):
        if row["model"] == "all":
            stats = row["windows"]["10"]
            counts[row["service"], row["end"] - PANE] += stats["arrivals"] + stats["completions"]
    return +counts


def _floor(kafka: str, wanted: Counts) -> tuple[float, float]:
    """The least that counts events per service and 10 s: no state to keep, no windows."""
    began, cpu_s = time.perf_counter(), time.process_time()
    counts = Counts()
    for body in _values(kafka, REQUESTS):
        batch = decode(body)
        if batch.n:
            at = numbers(batch, "submitted_at") if batch.kind is Kind.ARRIVAL else numbers(batch, "ended_at")
            panes = at // PANE
            first = int(panes.min())
            for pane, count in enumerate(np.bincount(panes - first).tolist(), first):
                counts[batch.key, pane * PANE] += count
    assert wanted == counts
    return time.perf_counter() - began, time.process_time() - cpu_s


def _values(kafka: str, topic: str) -> Iterator[bytes]:
    reader = KafkaConsumer(bootstrap_servers=kafka, max_poll_records=5000, fetch_max_bytes=64 << 20)
    try:
        parts = [TopicPartition(topic, p) for p in reader.partitions_for_topic(topic) or ()]
        reader.assign(parts)
        reader.seek_to_beginning(*parts)
        last = reader.end_offsets(parts)
        while any(reader.position(part) < end for part, end in last.items()):
            for records in reader.poll(timeout_ms=500).values():
                for record in records:
                    yield record.value
    finally:
        reader.close()


def _peer(name: str, n: int, folder: Path) -> Figures | str:
    python = sys.executable if name == "faust" else str(PEERS)
    have = (
        subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False)
        if Path(python).exists()
        else None
    )
    if have is None or have.returncode:
        return "not installed"
    events = n * len(SERVICES)
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        topic = create_topic(kafka, partitions=4)
        produce(kafka, single_messages(n, rate=DENSE), topic)
        command = [python, str(HERE / f"peer_{name}.py"), kafka, topic, str(events), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    wanted = {f"{service} {at}": count for (service, at), count in expected(n, rate=DENSE).items()}
    assert wanted == found["counts"]
    return _figures(events, found["wall_s"], found["cpu_s"])
