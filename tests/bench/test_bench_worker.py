"""The worker through a broker, beside the cheapest and the most usual way to count the same events."""

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition

from collector.schema.codec import decode, encode
from collector.schema.events import Kind
from collector.schema.topics import REQUESTS
from streams.processors.columns import codes, numbers
from tests.bench.tables import Table
from tests.support.broker import create_topic, embedded_broker
from tests.support.worker_process import START, TOPIC_CONFIG, WorkerProcess, ends, produce, service_traffic

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

SERVICES = [f"svc-{i}" for i in range(4)]
RATE = 200.0
PER_EVENT = 12_000  # messages of one event each, for the peers


def test_worker_events_per_second(tmp_path):
    table = Table(
        "worker",
        "produced first, then read to the end (worker: until the snapshot with the last event is safe, one a second); "
        "4 services; CPU of the reading process alone, an idle worker's start-up taken off; "
        "x = times the floor of the same topic",
    )
    for size, flushes in ((1000, 200), (100, 600)):
        with embedded_broker() as broker:
            kafka = broker.bootstrap_servers
            create_topic(kafka, partitions=4, name=REQUESTS, configs=TOPIC_CONFIG)
            idle_ready_s, idle_cpu_s = _start_up(kafka, tmp_path)
            events = _fill(kafka, flushes, size)
            messages = sum(ends(kafka).values())
            floor = _floor(kafka, events)
            table.add(f"floor: kafka-python + decode + bincount, {size:,} a message", **_figures(events, *floor))
            began = time.perf_counter()
            worker = WorkerProcess.start(kafka, f"bench-{size}", tmp_path / f"worker-{size}.log")
            try:
                _await_end(worker, ends(kafka))
                wall_s, cpu_s = time.perf_counter() - began - idle_ready_s, worker.cpu_s() - idle_cpu_s
                assert events == _applied(worker)
                assert messages == worker.total("burstwatch_messages_total", topic=REQUESTS)
                figures = _figures(events, wall_s, cpu_s, floor=floor[1])
                rss_mb = round(worker.rss_mb())
            finally:
                assert worker.stop() == 0
            table.add(
                f"burstwatch worker (all windows, bursts, snapshots), {size:,} a message", **figures, rss_mb=rss_mb
            )
    _add_peers(table, tmp_path)
    table.finish()


def _figures(events: int, wall_s: float, cpu_s: float, floor: float | None = None) -> dict[str, float | int]:
    figures = {
        "events": events,
        "events_per_s": events / wall_s,
        "cpu_us_per_event": cpu_s / events * 1e6,
        "events_per_cpu_s": events / cpu_s,
    }
    return figures if floor is None else {**figures, "x": cpu_s / floor}


def _start_up(kafka: str, folder: Path) -> tuple[float, float]:
    """Seconds until an idle worker is ready, and its CPU seconds until then."""
    worker = WorkerProcess.start(kafka, "bench-idle", folder / "idle.log")
    try:
        return worker.ready_s, worker.cpu_s()
    finally:
        worker.stop()


def _fill(kafka: str, flushes: int, size: int) -> int:
    """Produce the same traffic for every service; return the number of events."""
    batches = [decode(body) for _, body in service_traffic("any", flushes, size, rate=RATE)]
    produce(kafka, ((s.encode(), encode(replace(batch, key=s))) for batch in batches for s in SERVICES))
    return len(SERVICES) * sum(batch.n for batch in batches)


def _floor(kafka: str, events: int) -> tuple[float, float]:
    """Wall and CPU seconds of the least that counts arrivals per 10 s and model: no state to keep, no windows."""
    counts: Counter[tuple[str, int, str]] = Counter()
    wall_s, cpu_s, total = time.perf_counter(), time.process_time(), 0
    for record in _records(kafka, REQUESTS):
        batch = decode(record)
        total += batch.n
        if batch.kind is Kind.ARRIVAL and batch.n:
            panes = (numbers(batch, "submitted_at") - START) // 10_000_000
            models, model = codes(batch, "model")
            found = np.bincount(panes * len(models) + model)
            for cell in np.flatnonzero(found).tolist():
                counts[batch.key, cell // len(models), models[cell % len(models)]] += int(found[cell])
    assert total == events
    assert counts.total() == events // 2
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def _records(kafka: str, topic: str):
    """Every value in the topic, with kafka-python."""
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


def _await_end(worker: WorkerProcess, wanted: dict[int, int]) -> None:
    deadline = time.monotonic() + 120
    while not wanted.items() <= worker.offsets().items():
        assert time.monotonic() < deadline, worker.log.read_text()[-2000:]
        time.sleep(0.5)  # each look costs the worker a page: as often as a keen Prometheus, no more


def _applied(worker: WorkerProcess) -> float:
    return worker.total("burstwatch_arrivals_total") + worker.total("burstwatch_completions_total")


def _add_peers(table: Table, folder: Path) -> None:
    """One event a message: a plain loop, and Faust as its tutorial has it, on one topic."""
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        topic = create_topic(kafka, partitions=4)
        bodies = [
            (s.encode(), orjson.dumps({"id": f"{s}-{i}", "service": s, "model": "small", "submitted_at": START + i}))
            for i in range(PER_EVENT // len(SERVICES))
            for s in SERVICES
        ]
        produce(kafka, bodies, topic)
        counts: Counter[tuple[str, int]] = Counter()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for record in _records(kafka, topic):
            event = orjson.loads(record)
            counts[event["service"], event["submitted_at"] // 10_000_000] += 1
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        assert counts.total() == PER_EVENT
        table.add("peer: kafka-python + dict loop, 1 a message", **_figures(PER_EVENT, wall_s, cpu_s))
        script = Path(__file__).with_name("naive_faust.py")
        command = [sys.executable, str(script), kafka, topic, str(PER_EVENT), str(folder / "naive")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["services"] == dict.fromkeys(SERVICES, PER_EVENT // len(SERVICES))
        figures = _figures(PER_EVENT, found["wall_s"], found["cpu_s"])
        table.add("peer: plain Faust windowed count, 1 a message", **figures)
