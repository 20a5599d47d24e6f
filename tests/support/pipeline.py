"""The whole pipeline as processes, for end-to-end and fault tests: start, kill -9, start again, compare the end."""

import csv
import json
import os
import signal
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from burstwatch.up.processes import Child, Part, free_port, start, stop, wait_ready
from collector.schema.codec import decode
from collector.schema.topics import EPISODES, REQUESTS, WINDOWS
from tests.support.shared_data import SHARED

AZURE = SHARED / "data/azure/AzureLLMInferenceTrace_code.csv"
BURSTGPT = SHARED / "data/burstgpt"


def generated_trace(folder: Path, duration_s: int = 900) -> Path:
    """A trace of our own making, with bursts, sessions, two models and failures: for machines without real ones."""
    path = folder / "generated.csv"
    done = run_cli("workload", "generate", "--seed", "3", "--duration-s", str(duration_s), "--out", str(path))
    assert done.returncode == 0, done.stderr
    header, *lines = path.read_text().splitlines()
    for i in range(7, len(lines), 40):  # the engine makes failures live; a recording must bring its own
        cells = lines[i].split(",")
        lines[i] = ",".join([*cells[:4], "0", "0", "0", cells[7]])
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


# What depends on how often a part was started, not on what it saw.
_PER_RUN = ("burstwatch_messages_total", "burstwatch_duplicate_messages_total", "burstwatch_offset_gaps_total")


@dataclass(frozen=True)
class Result:
    """Everything a run leaves behind, in comparable form."""

    counters: dict[str, float]
    windows: dict[str, dict]
    episodes: dict[tuple[str, str], dict]
    rows: list[dict[str, str]]
    manifest: dict


@dataclass
class Pipeline:
    """Agent with a trace source, worker and capture on one broker; each can be killed and started again."""

    folder: Path
    kafka: str
    trace: Path
    speed: float = 0.0
    service: str = "svc"
    run_id: str = "run"
    batch_max: int = 1000
    children: dict[str, Child] = field(default_factory=dict)
    metrics_port: int = field(default_factory=free_port)

    def parts(self) -> dict[str, Part]:
        """What is run, by name."""
        group = f"{self.service}-{self.run_id}"
        return {
            "worker": Part(
                "worker",
                [
                    *("worker", "--kafka", self.kafka, "--metrics-port", str(self.metrics_port)),
                    *("--app-id", f"worker-{group}", "--data-dir", str(self.folder / "worker")),
                ],
                ready_s=90,
            ),
            "capture": Part(
                "capture",
                [
                    *("capture", "--kafka", self.kafka, "--out", str(self.folder / "segments")),
                    *("--group", f"capture-{group}"),
                ],
                ready_s=60,
            ),
            "agent": Part("agent", ["agent", "-c", str(self.folder / "agent.toml")]),
        }

    def start(self, *names: str) -> None:
        """Start the named parts (all of them by default) and wait until they are ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "agent.toml").write_text(self.agent_toml())
        names = names or ("worker", "capture", "agent")
        for name in names:
            self.children[name] = start(self.parts()[name], self.folder)
        for name in names:
            if name != "agent":  # a fast trace may be over before we look
                wait_ready(self.children[name])

    def agent_toml(self) -> str:
        """The agent's configuration."""
        return f"""
[agent]
id = "agent-{self.run_id}"
spool_dir = "{self.folder / "spool"}"
batch_max = {self.batch_max}

[kafka]
bootstrap_servers = "{self.kafka}"

[[sources]]
type = "trace"
service = "{self.service}"
path = "{self.trace}"
speed = {self.speed}
"""

    def kill(self, name: str) -> None:
        """kill -9 the part and everything it started, as a power cut would."""
        process = self.children[name].process
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_until(self, done, patience_s: float, what: str) -> None:
        """Return when ``done()``; fail with the logs after ``patience_s``."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if done():
                return
            time.sleep(0.1)
        raise AssertionError(f"{what} did not happen in {patience_s} s\n{self.logs()}")

    def logs(self) -> str:
        """The ends of all logs."""
        ends = []
        for log in sorted(self.folder.glob("*.log")):
            ends.append(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:]))
        return "\n".join(ends)

    def metrics(self) -> dict[tuple[str, tuple], float]:
        """The worker's page: (name, sorted labels) -> value; empty while it is away."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as page:
                text = page.read().decode()
        except OSError:
            return {}
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def finish(self, patience_s: float = 120) -> Result:
        """Wait until all is delivered, analysed and captured; stop; return what is left behind."""
        agent = self.children["agent"]
        self.wait_until(lambda: not agent.running, patience_s, "the agent's delivery")
        assert agent.process.returncode == 0, self.logs()
        ends = end_offsets(self.kafka, REQUESTS)

        def caught_up() -> bool:
            have = {
                int(dict(labels)["partition"]): value
                for (name, labels), value in self.metrics().items()
                if name == "burstwatch_source_offset" and dict(labels)["topic"] == REQUESTS
            }
            return all(have.get(p, 0) >= end for p, end in ends.items())

        self.wait_until(caught_up, patience_s, "the worker's catching up")
        counters = self.counters()
        for name in ("capture", "worker"):
            assert stop(self.children[name]) == 0, self.logs()
        rows, manifest = self.export()
        return Result(
            counters=counters,
            windows={row["id"]: row for row in read_json(self.kafka, WINDOWS, self.service)},
            episodes={(e["id"], e["state"]): e for e in read_json(self.kafka, EPISODES, self.service)},
            rows=rows,
            manifest=manifest,
        )

    def counters(self) -> dict[str, float]:
        """The cumulative counters of our service, but those that count starts rather than events."""
        return {
            f"{name}{labels}": value
            for (name, labels), value in self.metrics().items()
            if name.endswith("_total") and ("service", self.service) in labels and name not in _PER_RUN
        }

    def export(self) -> tuple[list[dict[str, str]], dict]:
        """`burstwatch trace export` of the captured segments."""
        out = self.folder / "trace.csv"
        code = run_cli("trace", "export", str(self.folder / "segments"), "--out", str(out), "--service", self.service)
        assert code.returncode == 0, code.stderr
        with out.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        return rows, json.loads((self.folder / "trace.manifest.json").read_text())

    def stop(self) -> None:
        """Kill what still runs."""
        for child in self.children.values():
            if child.running:
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()


def run_cli(*args: str, timeout_s: float = 120, cwd: Path | None = None):
    """Run `burstwatch ARGS` to its end."""
    import subprocess
    import sys

    return subprocess.run(
        [sys.executable, "-m", "burstwatch", *args],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )


def end_offsets(kafka: str, topic: str) -> dict[int, int]:
    """Partition -> end offset."""
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        return {tp.partition: end for tp, end in consumer.end_offsets(partitions).items()}
    finally:
        consumer.close()


def read_values(kafka: str, topic: str, key: str | None = None) -> list[bytes]:
    """Every value in a topic now, in partition order; of one key if given."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", max_poll_records=5000)
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        values = []
        deadline = time.monotonic() + 60
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            for records in consumer.poll(timeout_ms=500).values():
                values += [r.value for r in records if key is None or r.key == key.encode()]
        return values
    finally:
        consumer.close()


def read_json(kafka: str, topic: str, key: str) -> list[dict]:
    """The JSON messages of one key."""
    return [json.loads(value) for value in read_values(kafka, topic, key)]


def read_batches(kafka: str, key: str):
    """The decoded request batches of one service, duplicates included."""
    return [decode(value) for value in read_values(kafka, REQUESTS, key)]
