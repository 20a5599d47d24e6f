"""The Kubernetes example as data: the files as they are, and as kustomize puts them together."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
PARTS = {"stream side": FOLDER, "sidecar": FOLDER / "sidecar", "daemonset": FOLDER / "daemonset"}

Manifest = dict[str, Any]


def manifests(folder: Path) -> list[Manifest]:
    """Return what the files named in a kustomization hold."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return [one for name in kustomization["resources"] for one in yaml.safe_load_all((folder / name).read_text())]


def built(folder: Path) -> list[Manifest]:
    """Return what `kubectl kustomize` makes of a folder; it asks no cluster."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the kustomizations were only parsed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def every_manifest() -> list[Manifest]:
    """Return all manifests of the example."""
    return [one for folder in PARTS.values() for one in manifests(folder)]


def workloads() -> dict[str, Manifest]:
    """Return what runs pods, by name."""
    kinds = {"Deployment", "StatefulSet", "DaemonSet"}
    return {one["metadata"]["name"]: one for one in every_manifest() if one["kind"] in kinds}


def pod(workload: Manifest) -> Manifest:
    """Return the specification of a workload's pods."""
    return workload["spec"]["template"]["spec"]


def containers(workload: Manifest) -> Iterator[Manifest]:
    """Yield all containers of a workload's pods, those of the start too."""
    yield from pod(workload).get("initContainers", [])
    yield from pod(workload)["containers"]


def container(name: str, part: str) -> Manifest:
    """Return one container of one workload."""
    return next(one for one in containers(workloads()[name]) if one["name"] == part)


def ports(workload: Manifest) -> dict[str, int]:
    """Return the named ports of a workload's pods."""
    return {port["name"]: port["containerPort"] for one in containers(workload) for port in one.get("ports", [])}
