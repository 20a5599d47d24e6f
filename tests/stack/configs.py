"""The mounted files as this run needs them: with the addresses of this machine, all else as committed. Pure.

Scrapes, evaluations and the wait before a first notification are the committed ones, so the seconds measured are those
of a deployment. Only what happens after it is hastened: see ``GROUP_INTERVAL``.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.stack.topology import Topology

# Between two notifications of one group, committed as a minute: too long to wait for the word that it is over.
GROUP_INTERVAL = "5s"


def written(topology: Topology, name: str, webhook: str) -> None:
    """Write the copies of everything mounted into ``name``."""
    for place in topology.places(name).values():
        (place.parent if place.suffix else place).mkdir(parents=True, exist_ok=True)
    for origin, copy in topology.mounted(name):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_text(topology, name, origin, webhook))


def _text(topology: Topology, name: str, origin: Path, webhook: str) -> str:
    text = origin.read_text()
    if origin.name == "prometheus.yml" and name == "prometheus":
        return yaml.safe_dump(_prometheus(topology, yaml.safe_load(topology.rewritten(text, name))))
    if origin.name == "alertmanager.yml":
        return yaml.safe_dump(_alertmanager(yaml.safe_load(text), webhook))
    if "rules" in origin.parts:
        return _rules(topology, text)
    return topology.rewritten(text, name)


def _prometheus(topology: Topology, config: dict[str, Any]) -> dict[str, Any]:
    for job in config["scrape_configs"]:
        # No DNS here: the addresses Docker's would answer for the service's name.
        for found in job.pop("dns_sd_configs", []):
            targets = [
                f"127.0.0.1:{topology.port(service, found['port'], replica)}"
                for service in found["names"]
                for replica in range(topology.replicas(service))
            ]
            job.setdefault("static_configs", []).append({"targets": targets})
    return config


def _alertmanager(config: dict[str, Any], webhook: str) -> dict[str, Any]:
    """Whoever is told by webhook is told by ours, at a path of its own."""
    for receiver in config["receivers"]:
        assert set(receiver) <= {"name", "webhook_configs"}, "this run has no other kind of receiver"
        for one in receiver.get("webhook_configs", []):
            one["url"] = f"{webhook}/{receiver['name']}"
    config["route"]["group_interval"] = GROUP_INTERVAL
    return config


def _rules(topology: Topology, text: str) -> str:
    """Links lead to where the page and Grafana would be in this run."""

    def address(found: re.Match[str]) -> str:
        here = topology.published(int(found[1]))
        return f"http://127.0.0.1:{here or found[1]}"

    return re.sub(r"http://127\.0\.0\.1:(\d+)", address, text)
