"""Runs a command against a real Apache Kafka on this machine: one KRaft node, thrown away afterwards.

    python -m tests.kafka.apache --run python -m pytest -q -m kafka

The command finds the broker's address in BURSTWATCH_TEST_KAFKA; its exit code is ours. The jars come from Maven
Central, once, into BURSTWATCH_CACHE (default ~/.cache/burstwatch). Without Java or Maven it says so and exits 2.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "4.3.1"
HERE = Path(__file__).parent
READY_WITHIN_S = 90

# Small and quick on one machine; topics are not created on the side, which is how the embedded broker behaves.
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class Missing(Exception):  # noqa: N818 - says what it is: something is missing
    """Something this machine would need; the message says what."""


def class_path() -> str:
    """Return the Java class path of Apache Kafka, fetching the jars if they are not in the cache."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise Missing(f"`{tool}` is not installed (Debian: apt-get install openjdk-17-jre-headless maven)")
    cache = Path(os.environ.get("BURSTWATCH_CACHE") or Path.home() / ".cache" / "burstwatch")
    jars = cache / f"apache-kafka-{VERSION}"
    if not jars.exists():
        aside = cache / f"fetching-{os.getpid()}"
        print(f"==> fetching Apache Kafka {VERSION} from Maven Central into {jars} (44 MB, once)", flush=True)
        fetch = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
        done = subprocess.run([*fetch, f"-DoutputDirectory={aside}"], check=False)
        if done.returncode != 0:
            shutil.rmtree(aside, ignore_errors=True)
            raise Missing("Maven could not fetch the jars (its message is above): is Maven Central reachable?")
        aside.rename(jars)
    return f"{jars}/*"


def free_ports(count: int) -> list[int]:
    with_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in with_sockets]
    for s in with_sockets:
        s.close()
    return ports


@contextmanager
def apache_kafka() -> Iterator[str]:
    """Yield the bootstrap servers of a fresh single-node Apache Kafka."""
    jars = class_path()
    with tempfile.TemporaryDirectory(prefix="apache-kafka-") as folder:
        port, controller = free_ports(2)
        config, log = Path(folder) / "server.properties", Path(folder) / "kafka.log"
        config.write_text(PROPERTIES.format(port=port, controller=controller, data=f"{folder}/data"))
        java = ["java", "-Xmx512m", "-Xms128m", "-XX:TieredStopAtLevel=1", "-cp", jars]
        format_ = [*java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", str(config)]
        formatted = subprocess.run(format_, capture_output=True, text=True, check=False)
        if formatted.returncode != 0:
            raise Missing(f"Kafka could not format its storage:\n{formatted.stdout}{formatted.stderr}")
        with log.open("wb") as out:
            node = subprocess.Popen([*java, "kafka.Kafka", str(config)], stdout=out, stderr=out)
        try:
            wait_until_ready(node, port, log)
            yield f"127.0.0.1:{port}"
        finally:
            stop(node)


def wait_until_ready(node: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    from kafka import KafkaAdminClient

    deadline = time.monotonic() + READY_WITHIN_S
    while node.poll() is None and time.monotonic() < deadline:
        try:
            admin = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=1000)
        except Exception:  # noqa: BLE001 - not up yet: the client has many words for that
            time.sleep(0.3)
            continue
        admin.close()
        return
    tail = log.read_text(errors="replace")[-3000:]
    raise Missing(f"Apache Kafka did not become ready within {READY_WITHIN_S} s; its log ends:\n{tail}")


def stop(node: "subprocess.Popen[bytes]") -> None:
    node.send_signal(signal.SIGTERM)
    try:
        node.wait(20)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.apache", description=__doc__)
    parser.add_argument("--run", nargs=argparse.REMAINDER, required=True, help="the command and its arguments")
    command = parser.parse_args().run
    try:
        with apache_kafka() as servers:
            print(f"==> Apache Kafka {VERSION} is ready at {servers}", flush=True)
            environment = {**os.environ, "BURSTWATCH_TEST_KAFKA": servers}
            return subprocess.run(command, env=environment, check=False).returncode
    except Missing as missing:
        print(f"\n!!! REAL KAFKA TESTS DID NOT RUN !!!\n{missing}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
