"""A `burstwatch worker` process, traffic for it, and what it leaves behind."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from collector.schema.codec import Batch, columns_of, decode, encode
from collector.schema.events import Arrival, Completion, Kind, Resource
from collector.schema.topics import REQUESTS

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
TOPIC_CONFIG = {"retention.ms": "-1"}
Page = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass
class WorkerProcess:
    """One worker; ``url`` is its /metrics."""

    process: subprocess.Popen[str]
    log: Path
    started_s: float
    url: str = ""
    ready_s: float = 0.0

    @classmethod
    def start(cls, kafka: str, app_id: str, log: Path, *options: str, command: Sequence[str] = ()) -> "WorkerProcess":
        """Return a worker that is ready."""
        return cls.spawn(kafka, app_id, log, *options, command=command).await_ready()

    @classmethod
    def spawn(cls, kafka: str, app_id: str, log: Path, *options: str, command: Sequence[str] = ()) -> "WorkerProcess":
        """Return a worker that has just been started."""
        command = command or [sys.executable, "-m", "burstwatch", "worker"]
        started = time.monotonic()
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [*command, "--kafka", kafka, "--app-id", app_id, *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        return cls(process, log, started)

    def await_ready(self) -> "WorkerProcess":
        """Wait for the readiness line."""
        line = self.process.stdout.readline() if self.process.stdout and not self.url else ""
        if line:
            self.url, self.ready_s = json.loads(line)["metrics_url"], time.monotonic() - self.started_s
        if not self.url:
            raise RuntimeError(f"the worker did not start ({self.process.wait(20)}):\n{self.log.read_text()[-3000:]}")
        return self

    def kill(self) -> None:
        self.process.kill()
        self._close()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._close()

    def _close(self) -> int:
        code = self.process.wait(20)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def page(self) -> Page:
        """(name, sorted labels) -> value."""
        with urllib.request.urlopen(self.url, timeout=10) as response:
            text = response.read().decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric over the labels not given."""
        return sum(v for (n, have), v in self.page().items() if n == name and labels.items() <= dict(have).items())

    def offsets(self) -> dict[int, int]:
        """Next offset per partition, as of the last snapshot."""
        return {
            int(dict(labels)["partition"]): int(value)
            for (name, labels), value in self.page().items()
            if name == "burstwatch_source_offset"
        }

    def wait_for(self, ends: dict[int, int], patience_s: float = 60) -> None:
        """Return when everything below ``ends`` is applied and safe."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            have = self.offsets()
            if all(have.get(p, 0) >= end for p, end in ends.items()):
                return
            time.sleep(0.05)
        raise AssertionError(f"at {self.offsets()}, wanted {ends}\n{self.log.read_text()[-3000:]}")

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def service_traffic(
    service: str, batches: int, events: int, *, rate: float = 50.0, seed: int = 1
) -> list[tuple[bytes, bytes]]:
    """(key, body) of one service's messages as an agent sends them: completions, arrivals, watermark last."""
    rng = random.Random(f"{service}-{seed}")
    at, seq, messages = START, 0, []
    for _ in range(batches):
        arrivals, completions = [], []
        for _ in range(events):
            at += 1 + int(rng.expovariate(rate) * SECOND)
            where = {"id": f"{service}-{at}", "submitted_at": at, "source": "t", "node": "n"}
            what = {**where, "model": rng.choice(["small", "large"]), "request_tokens": rng.randrange(1, 500)}
            failed = rng.random() < 0.1
            arrivals.append(Arrival(**what))
            completions.append(
                Completion(
                    **what,
                    ended_at=at + rng.randrange(1, 3 * SECOND),
                    response_tokens=0 if failed else rng.randrange(1, 500),
                    outcome="failed" if failed else "ok",
                    reason="overloaded" if failed else None,
                )
            )
        for kind, rows in ((Kind.COMPLETION, completions), (Kind.ARRIVAL, arrivals)):
            messages.append(_message(service, seq, kind, rows, watermark=at if kind is Kind.ARRIVAL else None))
            seq += 1
    messages.append(_message(service, seq, Kind.ARRIVAL, [], watermark=at + 15 * SECOND))
    return messages


def _message(service: str, seq: int, kind: Kind, rows: list, *, watermark: int | None) -> tuple[bytes, bytes]:
    columns = columns_of(kind, rows) if rows else {}
    batch = Batch(
        agent="a", boot="b", key=service, seq=seq, kind=kind, n=len(rows), watermark=watermark, columns=columns
    )
    return service.encode(), encode(batch)


def with_readings(messages: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """One service's messages, and before every promise what another agent read of its engine: once a second."""
    found, last, counts = [], START, itertools.count()
    for key, body in messages:
        promised = decode(body).watermark or last
        times = range(last + SECOND, promised, SECOND)
        if times:
            service = key.decode()
            readings = [
                Resource(
                    at=at,
                    node="n",
                    source="e",
                    engine="e0",
                    service=service,
                    kv_cache_usage_ratio=(at // SECOND % 50) / 50,
                    waiting=at // SECOND % 7,
                    preemptions_total=(at - START) // (20 * SECOND),
                )
                for at in times
            ]
            seq, columns = next(counts), columns_of(Kind.RESOURCE, readings)
            what = Batch(
                agent="e", boot="b", key=service, seq=seq, kind=Kind.RESOURCE, n=len(readings), columns=columns
            )
            found.append((key, encode(what)))
            last = times[-1]
        found.append((key, body))
    return found


def interleaved(services: Sequence[list]) -> list:
    """One message of each service in turn."""
    return [message for turn in zip(*services, strict=True) for message in turn]


def produce(kafka: str, messages: Iterable[tuple[bytes | None, bytes | None]], topic: str = REQUESTS) -> None:
    """Send and wait until all are acknowledged."""
    producer = KafkaProducer(
        bootstrap_servers=kafka,
        compression_type="lz4",
        linger_ms=5,
        batch_size=1 << 18,
        max_request_size=16 << 20,
        delivery_timeout_ms=10**9,
        reconnect_backoff_max_ms=500,
    )
    futures = [producer.send(topic, key=key, value=value) for key, value in messages]
    for future in futures:
        future.get(60)
    producer.close()


def ends(kafka: str, topic: str = REQUESTS) -> dict[int, int]:
    """End offset per partition."""
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    try:
        tps = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        return {tp.partition: end for tp, end in consumer.end_offsets(tps).items()}
    finally:
        consumer.close()


def read_json(kafka: str, topic: str) -> list[dict]:
    """Everything in a JSON topic, in order per partition."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    try:
        tps = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        last = consumer.end_offsets(tps)
        found: list[dict] = []
        while any(consumer.position(tp) < last[tp] for tp in tps):
            for records in consumer.poll(timeout_ms=500).values():
                found += [json.loads(record.value) for record in records]
        return found
    finally:
        consumer.close()


# Metrics that say how often a process started or was disturbed, not what it saw.
_OF_THE_PROCESS = ("burstwatch_messages_total", "burstwatch_snapshots_total", "burstwatch_offset_gaps_total")


def counters(page: Page) -> Page:
    """The counters of the services: what must be equal however often the worker died."""
    return {
        (name, labels): value
        for (name, labels), value in page.items()
        if name.endswith("_total") and "service" in dict(labels) and name not in _OF_THE_PROCESS
    }
