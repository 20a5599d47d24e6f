"""deploy/kubernetes without a cluster: what is started parses, what is asked is served, no pod has rights to spare.

test_kubernetes_schemas.py holds the manifests against Kubernetes' own models.
"""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from burstwatch.page.guard import is_own_host
from collector.config import ProxyConfig, VllmConfig, parse_config
from tests.deploy.manifests import (
    FOLDER,
    PARTS,
    ROOT,
    built,
    container,
    containers,
    every_manifest,
    manifests,
    pod,
    ports,
    workloads,
)
from tests.e2e.test_compose import PARSE

PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
OURS = [(name, one["name"]) for name, workload in workloads().items() for one in containers(workload) if "args" in one]
SIZES = {"Mi": 2**20, "Gi": 2**30}


def literals() -> dict[str, str]:
    """What the ConfigMap `burstwatch` gives to its readers."""
    generator = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["configMapGenerator"]
    return dict(pair.split("=", 1) for one in generator if one["name"] == "burstwatch" for pair in one["literals"])


def arguments(one: dict) -> list[str]:
    """A container's arguments as Kubernetes puts its variables into them."""
    known = literals() if {"configMapRef": {"name": "burstwatch"}} in one.get("envFrom", []) else {}
    return [re.sub(r"\$\((\w+)\)", lambda m: known[m[1]], word) for word in one["args"]]


@pytest.mark.parametrize(("workload", "part"), OURS)
def test_every_command_parses(workload, part):
    verb, *argv = arguments(container(workload, part))
    assert PARSE[verb](argv)


def test_the_parts_named_in_the_design_are_there():
    kinds = {name: workload["kind"] for name, workload in workloads().items()}
    assert kinds == {
        "burstwatch-worker": "Deployment",
        "burstwatch-capture": "StatefulSet",
        "burstwatch-page": "Deployment",
        "chat-engine": "Deployment",
        "burstwatch-agent": "DaemonSet",
    }
    assert workloads()["burstwatch-worker"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("name", workloads())
def test_probes_services_and_monitors_ask_a_port_that_is_served(name):
    workload = workloads()[name]
    for one in containers(workload):
        own = {port["name"]: port["containerPort"] for port in one.get("ports", [])}
        asked = [probe for key, probe in one.items() if key.endswith("Probe")]
        assert bool(asked) == bool(own)
        for probe in asked:
            assert (probe.get("httpGet") or probe.get("tcpSocket"))["port"] in own
        said = {int(word.rpartition("=")[2]) for word in one.get("args", []) if re.match(r"--(metrics-)?port=", word)}
        assert said <= set(own.values()) or one["name"] == "engine", "the engine is reached through the agent only"
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels


def test_the_page_answers_its_own_probes():
    """A kubelet names the pod's address unless told otherwise, and the page answers to names it knows."""
    page = container("burstwatch-page", "page")
    names = PARSE["page"](arguments(page)[1:]).allow_host
    assert names == ["localhost"]
    for probe in (probe for key, probe in page.items() if key.endswith("Probe")):
        said = {header["name"]: header["value"] for header in probe["httpGet"]["httpHeaders"]}
        assert is_own_host(said["Host"], "0.0.0.0", names)
        assert not is_own_host("10.0.0.7:8321", "0.0.0.0", names)


def test_whoever_selects_pods_finds_them_and_their_port():
    pods = {frozenset(w["spec"]["template"]["metadata"]["labels"].items()): w for w in workloads().values()}
    selecting = [one for one in every_manifest() if one["kind"] in {"Service", "PodMonitor", "PodDisruptionBudget"}]
    assert len(selecting) >= 7
    for one in selecting:
        selector = one["spec"]["selector"]
        workload = pods[frozenset(selector.get("matchLabels", selector).items())]
        asked = [port["targetPort"] for port in one["spec"].get("ports", [])]
        asked += [endpoint["port"] for endpoint in one["spec"].get("podMetricsEndpoints", [])]
        assert set(asked) <= set(ports(workload))


def test_monitors_give_the_jobs_and_limits_that_rules_and_prometheus_have():
    jobs = {job["job_name"]: job for job in PROMETHEUS["scrape_configs"]}
    monitors = [one for one in every_manifest() if one["kind"] == "PodMonitor"]
    assert len(monitors) == 2
    for monitor in monitors:
        spec = monitor["spec"]
        job = jobs[spec["selector"]["matchLabels"][spec["jobLabel"]]]
        assert spec["sampleLimit"] == job["sample_limit"]
        assert spec["podMetricsEndpoints"][0]["interval"] == PROMETHEUS["global"]["scrape_interval"]


@pytest.mark.parametrize("name", workloads())
def test_no_pod_may_more_than_the_restricted_standard_allows(name):
    spec = pod(workloads()[name])
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    security = spec["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all(set(volume) - {"name"} <= {"emptyDir", "configMap"} for volume in spec["volumes"])
    for one in containers(workloads()[name]):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["resources"]["limits"]["memory"]
        assert one["resources"]["requests"]["cpu"]
        assert one["image"] == "burstwatch", "kustomize puts the tag"


@pytest.mark.parametrize("name", workloads())
def test_everything_written_lies_in_a_volume(name):
    spec = pod(workloads()[name])
    volumes = {volume["name"] for volume in spec["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in workloads()[name]["spec"].get("volumeClaimTemplates", [])}
    for one in containers(workloads()[name]):
        mounts = {mount["mountPath"]: mount for mount in one["volumeMounts"]}
        assert {mount["name"] for mount in mounts.values()} <= volumes
        if "args" in one:
            assert "/tmp" in mounts
        for word in one.get("args", []):
            if word.startswith("--out="):
                assert any(word.startswith(f"--out={path}/") for path in mounts)


def test_the_sidecars_configuration_is_right():
    config = parse_config(tomllib.loads((FOLDER / "sidecar/agent.toml").read_text()), FOLDER)
    engine = PARSE["engine"](arguments(container("chat-engine", "engine"))[1:])
    _agrees(config, "chat-engine", f"{engine.host}:{engine.port}")
    # A native sidecar: before the engine, and after it.
    assert container("chat-engine", "agent")["restartPolicy"] == "Always"


def test_the_daemonsets_configuration_is_right_on_every_node(tmp_path):
    one = container("burstwatch-agent", "config")
    code = one["command"][-1].replace("/etc/burstwatch-template", str(FOLDER / "daemonset"))
    code = code.replace("/etc/burstwatch/", f"{tmp_path}/")
    ids = []
    for node, address in (("gpu-1.example", "10.0.0.7"), ("gpu-2.example", "10.0.0.8")):
        variables = {entry["name"] for entry in one["env"]}
        assert variables == {"NODE_NAME", "NODE_IP"}
        environment = {**os.environ, "NODE_NAME": node, "NODE_IP": address}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        text = (tmp_path / "agent.toml").read_text()
        assert "${" not in "".join(line for line in text.splitlines() if not line.startswith("#"))
        config = parse_config(tomllib.loads(text), tmp_path)
        _agrees(config, "burstwatch-agent", f"{address}:8000")
        assert config.agent.node == node
        ids.append(config.agent.id)
    assert len(set(ids)) == 2, "an agent's id is its own"


def _agrees(config, workload: str, engine: str) -> None:
    """The proxy listens where the Service sends, asks the engine, and the spool fits its volume."""
    proxy = next(source for source in config.sources if isinstance(source, ProxyConfig))
    scraper = next(source for source in config.sources if isinstance(source, VllmConfig))
    assert (proxy.host, proxy.port) == ("0.0.0.0", ports(workloads()[workload])["openai"])
    assert (proxy.upstream, scraper.url) == (f"http://{engine}", f"http://{engine}/metrics")
    mounts = {mount["mountPath"]: mount["name"] for mount in container(workload, "agent")["volumeMounts"]}
    volume = next(v for v in pod(workloads()[workload])["volumes"] if v["name"] == mounts[str(config.agent.spool_dir)])
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", volume["emptyDir"]["sizeLimit"]).groups()
    assert config.agent.spool_max_bytes < int(number) * SIZES[unit]
    assert config.kafka.bootstrap_servers == literals()["KAFKA"], "one Kafka for all parts"


@pytest.mark.parametrize("part", PARTS)
def test_kustomize_puts_it_together(part):
    made = built(PARTS[part])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests(PARTS[part])}
    assert names <= {(one["kind"], one["metadata"]["name"]) for one in made}
    for one in made:
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "burstwatch"
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "burstwatch"
    maps = {one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap"}
    for workload in (one for one in made if "template" in one.get("spec", {})):
        for each in containers(workload):
            assert each["image"] == f"burstwatch:{version}"
            # The generated names carry a hash of the content: a change rolls the pods.
            assert all(source["configMapRef"]["name"] in maps for source in each.get("envFrom", []))
        mounted = [v["configMap"]["name"] for v in pod(workload)["volumes"] if "configMap" in v]
        assert set(mounted) <= maps
    assert all(re.search(r"-[a-z0-9]{10}$", name) for name in maps)
