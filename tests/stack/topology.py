"""docker-compose.yml as processes of one machine: the same commands, files and environment at addresses on loopback.

Pure but for reading the checkout. What a container reaches as `kafka:19092` is 127.0.0.1 with a port of its own here,
what it sees at /var/lib/burstwatch is a folder of this run, and nothing else changes. So the file and the test cannot
drift apart: there is no second description of the stack.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from burstwatch.up.processes import free_port

ROOT = Path(__file__).parents[2]
OURS = "burstwatch:"
HERE = ("localhost", "127.0.0.1", "0.0.0.0")

Service = dict[str, Any]


def interpolated(text: str, environment: dict[str, str]) -> str:
    """Return ``text`` with the variables of Compose put in. Raises ``KeyError`` for a required one that is not set."""

    def value(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        if name in environment:
            return environment[name]
        if operator == ":-":
            return rest
        raise KeyError(name)

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


@dataclass
class Topology:
    """The services of docker-compose.yml and where each of them is on this machine."""

    folder: Path
    environment: dict[str, str]
    services: dict[str, Service] = field(init=False)
    _ports: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = interpolated((ROOT / "docker-compose.yml").read_text(), self.environment)
        self.services = yaml.safe_load(text)["services"]

    def in_order(self, names: set[str]) -> list[str]:
        """Return ``names`` so that everybody comes after those it depends on."""
        done: list[str] = []

        def visit(name: str) -> None:
            for other in self.services[name].get("depends_on", {}):
                visit(other)
            if name not in done:
                done.append(name)

        for name in self.services:
            visit(name)
        return [name for name in done if name in names]

    def ours(self) -> set[str]:
        """Return the services that run our image."""
        return {name for name, service in self.services.items() if service["image"].startswith(OURS)}

    def replicas(self, name: str) -> int:
        """Return how many of a service Compose starts."""
        return int(self.services[name].get("deploy", {}).get("replicas", 1))

    def port(self, name: str, inside: int, replica: int = 0) -> int:
        """Return the port on this machine for port ``inside`` of a service's container."""
        key = (name, inside, replica)
        while key not in self._ports:
            port = free_port()
            if port not in self._ports.values():
                self._ports[key] = port
        return self._ports[key]

    def published(self, outside: int) -> int | None:
        """Return where 127.0.0.1:``outside`` of the Docker host is here; None if nobody publishes it."""
        for name, service in self.services.items():
            for line in service.get("ports", []):
                _, host_port, inside = line.split(":")
                if int(host_port) == outside:
                    return self.port(name, int(inside))
        return None

    def command(self, name: str, replica: int = 0) -> list[str]:
        """Return a service's command line with addresses and paths of this machine."""
        words = [self.rewritten(str(word), name, replica) for word in self.services[name]["command"]]
        return [self._listening(word, name, replica) for word in words]

    def health_check(self, name: str, replica: int = 0) -> list[str]:
        """Return the words of a service's health check, likewise; the first is CMD."""
        return [self.rewritten(word, name, replica) for word in self.services[name]["healthcheck"]["test"]]

    def _listening(self, word: str, name: str, replica: int) -> str:
        option, is_set, value = word.partition("=")
        if is_set and option.endswith("host") and value == "0.0.0.0":
            return f"{option}=127.0.0.1"
        if is_set and option.endswith("port"):
            return f"{option}={self.port(name, int(value), replica)}"
        return word

    def rewritten(self, text: str, name: str, replica: int = 0) -> str:
        """Return ``text`` as the service would say it here: hosts, ports, and the paths of its volumes."""
        for target, place in sorted(self.places(name).items(), reverse=True):
            text = re.sub(rf"(?<![\w/.]){re.escape(target)}(?=$|[/\s\"',])", str(place), text)
        hosts = "|".join(map(re.escape, [*self.services, *HERE]))

        def address(found: re.Match[str]) -> str:
            host, port = found[1], int(found[2])
            if host in HERE or host == name:
                return f"127.0.0.1:{self.port(name, port, replica)}"
            return f"127.0.0.1:{self.port(host, port)}"

        text = re.sub(rf"(?<![\w.-])({hosts}):(\d+)", address, text)
        # Two more spellings: a listener of Kafka without a host, and an address as Python has it.
        for own in (r"(?<=://)():(\d+)", r"(?<=')(127\.0\.0\.1', )(\d+)"):
            text = re.sub(own, lambda m: f"{m[1] or '127.0.0.1:'}{self.port(name, int(m[2]), replica)}", text)
        return text

    def places(self, name: str) -> dict[str, Path]:
        """Return where the paths of a service's volumes are here: named ones are shared, files are copies."""
        found = {}
        for volume in self.services[name].get("volumes", []):
            source, target = volume.split(":")[:2]
            mounted = source.startswith("./")
            found[target] = (
                self.folder / ("mounted" if mounted else "volumes") / (f"{name}{target}" if mounted else source)
            )
        return found

    def mounted(self, name: str) -> Iterator[tuple[Path, Path]]:
        """Yield (file in the checkout, its copy here) for everything mounted from the repository."""
        for volume in self.services[name].get("volumes", []):
            source, target = volume.split(":")[:2]
            if source.startswith("./"):
                origin, place = ROOT / source, self.places(name)[target]
                files = [path for path in origin.rglob("*") if path.is_file()] if origin.is_dir() else [origin]
                for path in files:
                    yield path, place / path.relative_to(origin) if origin.is_dir() else place
