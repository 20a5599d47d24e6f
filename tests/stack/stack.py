"""Everything docker-compose.yml starts, as processes on loopback: real Kafka, Prometheus and Alertmanager.

Not run are Docker itself and Grafana, of which no server can be had here.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from burstwatch.up.processes import Child, Part, start, stop, wait_ready
from tests.kafka.apache import class_path, wait_until_ready
from tests.kafka.apache import stop as stop_kafka
from tests.stack.configs import written
from tests.stack.prometheus import Prometheus, Webhook
from tests.stack.topology import Topology

# The image's own program, as Debian names it.
PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
WEB = {"prometheus": 9090, "alertmanager": 9093}
NOT_HERE = {"grafana"}
HEALTHY_WITHIN_S = 60


@dataclass
class Stack:
    """The running stack. ``started`` says in which order its services became healthy."""

    topology: Topology
    webhook: Webhook
    children: dict[str, Child] = field(default_factory=dict)
    daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.topology.folder

    @property
    def kafka(self) -> str:
        """Kafka as the services inside reach it."""
        return f"127.0.0.1:{self.topology.port('kafka', 19092)}"

    @property
    def prometheus(self) -> Prometheus:
        return Prometheus(f"http://127.0.0.1:{self.topology.port('prometheus', 9090)}")

    @property
    def alertmanager(self) -> str:
        return f"http://127.0.0.1:{self.topology.port('alertmanager', 9093)}"

    def up(self, names: set[str]) -> None:
        """Start the services in the order Compose would, each when those it waits for are healthy."""
        for name in self.topology.in_order(names - NOT_HERE):
            written(self.topology, name, self.webhook.url)
            if name == "kafka":
                self._start_kafka()
            elif name in PROGRAMS:
                self._start_program(name)
            else:
                self._start_ours(name)
            self.started.append(name)

    def _start_ours(self, name: str) -> None:
        started = []
        for replica in range(self.topology.replicas(name)):
            verb, *words = self.topology.command(name, replica)
            child = start(Part(f"{name}-{replica}", [verb, *words], ready_s=90), self.folder)
            self.children[child.part.name] = child
            started.append(child)
        service = self.topology.services[name]
        if service.get("restart") == "no":
            assert started[0].process.wait(60) == 0, self.logs()
            return
        for replica, child in enumerate(started):
            if name != "replay":
                wait_ready(child)
            if "healthcheck" in service:
                self.wait_until(lambda r=replica: self.healthy(name, r), HEALTHY_WITHIN_S, f"a healthy {name}")

    def healthy(self, name: str, replica: int = 0) -> bool:
        """Run the health check of docker-compose.yml, at this run's address."""
        _, program, *words = self.topology.health_check(name, replica)
        if program == "wget":
            return _answers(words[-1])
        assert program == "python"
        return subprocess.run([sys.executable, *words], capture_output=True, check=False, timeout=20).returncode == 0

    def _start_program(self, name: str) -> None:
        listen = f"--web.listen-address=127.0.0.1:{self.topology.port(name, WEB[name])}"
        self._daemon(name, [shutil.which(PROGRAMS[name]) or name, *self.topology.command(name), listen])
        self.wait_until(lambda: self.healthy(name), HEALTHY_WITHIN_S, f"a healthy {name}")

    def _start_kafka(self) -> None:
        """Kafka with the properties that its image makes of the environment: KAFKA_A_B is a.b."""
        environment = dict(self.topology.services["kafka"]["environment"])
        cluster, heap = environment.pop("CLUSTER_ID"), environment.pop("KAFKA_HEAP_OPTS")
        lines = [
            f"{property_name(key)}={self.topology.rewritten(value, 'kafka')}" for key, value in environment.items()
        ]
        config = self.folder / "server.properties"
        # One machine, many tests: an empty offsets topic of 50 partitions would take longer than all else.
        config.write_text("\n".join([*lines, "offsets.topic.num.partitions=1"]) + "\n")
        java = ["java", *shlex.split(heap), "-XX:TieredStopAtLevel=1", "-cp", class_path()]
        format_ = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
        subprocess.run(format_, check=True, capture_output=True)
        node = self._daemon("kafka", [*java, "kafka.Kafka", str(config)])
        wait_until_ready(node, self.topology.port("kafka", 19092), self.folder / "kafka.log")

    def _daemon(self, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self.daemons[name]

    def wait_until(self, done: Callable[[], bool], patience_s: float, what: str) -> None:
        """Return when ``done()``; fail with the ends of all logs after ``patience_s``, or if a part has died."""
        deadline = time.monotonic() + patience_s
        while not done():
            dead = [name for name, one in self.daemons.items() if one.poll() is not None]
            assert not dead, f"{dead} ended\n{self.logs()}"
            assert time.monotonic() < deadline, f"{what}: not within {patience_s:.0f} s\n{self.logs()}"
            time.sleep(0.25)

    def stop(self, name: str) -> int:
        """SIGTERM, as Docker stops a container; the exit code."""
        return stop(self.children[name])

    def down(self) -> dict[str, int]:
        """Stop everything, the last started first; return the exit codes of what was still running."""
        codes = {}
        for name, child in reversed(self.children.items()):
            if child.running:
                codes[name] = stop(child)
        for name, daemon in reversed(self.daemons.items()):
            if daemon.poll() is None and name != "kafka":
                daemon.send_signal(signal.SIGTERM)
                codes[name] = daemon.wait(20)
        if "kafka" in self.daemons:
            stop_kafka(self.daemons["kafka"])
        return codes

    def logs(self) -> str:
        """The ends of all logs."""
        ends = []
        for log in sorted(self.folder.glob("*.log")):
            ends.append(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
        return "\n".join(ends)


def property_name(variable: str) -> str:
    """Return the property an environment variable of Kafka's image sets."""
    return variable.removeprefix("KAFKA_").lower().replace("_", ".")


def missing() -> str:
    """Return what this machine lacks for the stack, empty if nothing."""
    wanted = ["java", "mvn", *PROGRAMS.values()]
    lacking = [name for name in wanted if shutil.which(name) is None]
    if os.name != "posix":
        lacking.append("POSIX signals")
    return ", ".join(lacking)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
