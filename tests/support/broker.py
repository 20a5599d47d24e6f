"""Brokers for tests: a `burstwatch broker` process, or the Kafka that BURSTWATCH_TEST_KAFKA names."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

REAL_KAFKA = os.environ.get("BURSTWATCH_TEST_KAFKA", "")


@dataclass
class RunningBroker:
    """A `burstwatch broker` process. `stop` ends it in order, `kill` at once (kill -9)."""

    process: subprocess.Popen[str]
    bootstrap_servers: str
    data: Path

    @property
    def port(self) -> int:
        return int(self.bootstrap_servers.rpartition(":")[2])

    @classmethod
    def start(cls, data: Path, *, port: int = 0) -> Self:
        """Return a broker that is ready. Its log goes to `DATA.log`, next to the data folder."""
        command = [sys.executable, "-m", "burstwatch", "broker", "--port", str(port), "--data", str(data)]
        data.parent.mkdir(parents=True, exist_ok=True)
        with data.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            process.wait(10)
            raise RuntimeError(f"the broker did not start:\n{data.with_suffix('.log').read_text()[-2000:]}")
        return cls(process, json.loads(line)["bootstrap_servers"], data)

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def restart(self) -> "RunningBroker":
        """Start it again on the same port and data (call `stop` or `kill` first)."""
        return type(self).start(self.data, port=self.port)

    def _wait(self) -> int:
        code = self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
        return code


@contextmanager
def embedded_broker(data: Path | None = None, *, port: int = 0) -> Iterator[RunningBroker]:
    """Yield an embedded broker on a free port, with its data in `data` or a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="burstwatch-broker-") as folder:
        broker = RunningBroker.start(data or Path(folder) / "data", port=port)
        try:
            yield broker
        finally:
            if broker.process.poll() is None:
                broker.stop()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of the broker under test: BURSTWATCH_TEST_KAFKA if set, else an embedded one."""
    if REAL_KAFKA:
        yield REAL_KAFKA
        return
    with embedded_broker() as broker:
        yield broker.bootstrap_servers


def unique(prefix: str) -> str:
    """Return a name (for a topic, a group) that no other test and no earlier run has."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def create_topic(
    bootstrap_servers: str, *, partitions: int = 1, configs: dict[str, str] | None = None, name: str = ""
) -> str:
    """Create a topic and return its name (a unique one if none is given), when it can be written to."""
    from tests.support.kafka_wire import Wire, message

    topic, wanted = name or unique("topic"), message("CreateTopicsRequest").CreatableTopic
    own = [wanted.CreatableTopicConfig(name=key, value=value) for key, value in (configs or {}).items()]
    fields = {"num_partitions": partitions, "replication_factor": 1, "assignments": [], "configs": own}
    with Wire(bootstrap_servers) as wire:
        answer = wire.ask("CreateTopics", 5, topics=[wanted(name=topic, **fields)], timeout_ms=10_000)
    if answer.topics[0].error_code:
        raise RuntimeError(f"topic {topic} was not created: {answer.topics[0]}")
    await_partitions(bootstrap_servers, topic, partitions)
    return topic


def await_partitions(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Return when every partition answers: a real Kafka says "created" a moment before it is."""
    from tests.support.kafka_wire import Wire, message

    wanted = message("ListOffsetsRequest").ListOffsetsTopic
    indexes = [
        wanted.ListOffsetsPartition(partition_index=i, current_leader_epoch=-1, timestamp=-1) for i in range(partitions)
    ]
    deadline = time.monotonic() + 20
    with Wire(bootstrap_servers) as wire:
        while True:
            asked = [wanted(name=topic, partitions=indexes)]
            answer = wire.ask("ListOffsets", 5, replica_id=-1, isolation_level=0, topics=asked)
            if not any(partition.error_code for partition in answer.topics[0].partitions):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"topic {topic} has not its {partitions} partitions: {answer.topics[0]}")
            time.sleep(0.02)
