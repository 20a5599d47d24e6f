"""The mounted files as this run needs them: other addresses, and clocks that a test can wait for. Pure.

What may differ from the committed files is what these functions change, and nothing else.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.stack.topology import Topology

EVERY = "1s"  # scrape and evaluation interval; committed are 5 s and 15 s
GROUPING = {"group_wait": "1s", "group_interval": "2s"}


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
    config["global"] |= {"scrape_interval": EVERY, "evaluation_interval": EVERY, "scrape_timeout": EVERY}
    for job in config["scrape_configs"]:
        job.pop("scrape_interval", None)
        job.pop("scrape_timeout", None)
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
    """Every receiver tells our webhook, at its own path; routes keep their matchers and order."""
    for receiver in config["receivers"]:
        for key in [key for key in receiver if key.endswith("_configs")]:
            resolved = [one.get("send_resolved", key == "webhook_configs") for one in receiver.pop(key)]
            receiver["webhook_configs"] = [{"url": f"{webhook}/{receiver['name']}", "send_resolved": any(resolved)}]

    def quicken(route: dict[str, Any], *, top: bool) -> None:
        for key, value in GROUPING.items():
            if top or key in route:
                route[key] = value
        for child in route.get("routes", []):
            quicken(child, top=False)

    quicken(config["route"], top=True)
    return config


def _rules(topology: Topology, text: str) -> str:
    """Evaluate every second; links lead to where the page and Grafana would be in this run."""

    def address(found: re.Match[str]) -> str:
        here = topology.published(int(found[1]))
        return f"http://127.0.0.1:{here or found[1]}"

    text = re.sub(r"http://127\.0\.0\.1:(\d+)", address, text)
    return re.sub(r"(?m)^(\s+interval: )\S+$", rf"\g<1>{EVERY}", text)
