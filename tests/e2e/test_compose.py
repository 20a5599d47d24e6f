"""docker-compose.yml without a Docker engine: every command parses, every file exists, every name is known."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml

import burstwatch.page.cli
import collector.cli
import streams.capture.cli
import streams.cli
import workload.engine.cli
import workload.generate.cli
import workload.replay.cli
from collector.config import ProxyConfig, VllmConfig, parse_config
from dashboards.links import GRAFANA_URL, RUNBOOK_URL

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("burstwatch:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()

PARSE = {
    "agent": lambda argv: collector.cli._parser().parse_args(argv),
    "worker": streams.cli.parse,
    "capture": lambda argv: streams.capture.cli._parser().parse_args(argv),
    "page": lambda argv: burstwatch.page.cli.build_parser().parse_args(argv),
    "engine": lambda argv: workload.engine.cli.build_parser().parse_args(argv),
    "workload": lambda argv: workload.generate.cli.build_parser().parse_args(argv[1:]),
    "replay": lambda argv: workload.replay.cli.build_parser().parse_args(argv),
}


def agent_config():
    return parse_config(tomllib.loads((ROOT / "deploy/agent.toml").read_text()), ROOT / "deploy")


def arguments(name: str) -> list[str]:
    """The words of a command of ours after its verb, optional variables at their defaults."""
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in SERVICES[name]["command"][1:]]


def listeners() -> dict[str, str]:
    """host:port inside the network, by what serves it."""
    inside = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    engine = PARSE["engine"](SERVICES["engine"]["command"][1:])
    proxy = next(s for s in agent_config().sources if isinstance(s, ProxyConfig))
    worker = PARSE["worker"](arguments("worker"))
    return {
        "kafka": re.search(r"INSIDE://([^,]+)", inside)[1],
        "engine": f"engine:{engine.port}",
        "proxy": f"agent:{proxy.port}",
        "worker": f"worker:{worker.metrics_port}",
    }


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_ours_parses(name):
    verb = SERVICES[name]["command"][0]
    assert verb in PARSE
    assert PARSE[verb](arguments(name))


def test_the_parts_named_in_the_design_are_there():
    assert set(SERVICES) == {
        "kafka", "agent", "worker", "capture", "page", "prometheus", "alertmanager", "grafana", "engine", "workload",
        "replay",
    }  # fmt: skip
    assert {name for name, s in SERVICES.items() if s.get("profiles") == ["demo"]} == {"engine", "workload", "replay"}


def test_everything_mounted_from_the_repository_exists_and_every_volume_is_declared():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
                assert volume.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]


def test_two_workers_stand_in_for_each_other():
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    # What can be there only once would stop the second.
    assert not {"container_name", "hostname", "ports", "volumes"} & set(SERVICES["worker"])


def test_our_volumes_lie_where_the_image_made_folders_for_its_user():
    for service in OURS.values():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if not source.startswith("./"):
                assert target in DOCKERFILE
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)


def test_every_path_in_a_command_lies_in_a_volume_of_that_service():
    for service in OURS.values():
        targets = [PurePosixPath(volume.split(":")[1]) for volume in service.get("volumes", [])]
        for word in service["command"]:
            path = word.partition("=")[2] or word
            if path.startswith("/"):
                assert any(PurePosixPath(path).is_relative_to(target) for target in targets), word


def test_every_variable_is_required_or_explained_and_no_password_is_written_down():
    names = set(re.findall(r"\$\{(\w+)", TEXT))
    comments = "\n".join(line for line in TEXT.splitlines() if line.startswith("#"))
    assert names == {"GRAFANA_ADMIN_PASSWORD", "BURSTWATCH_BURST_WARMUP_S"}
    assert all(name in comments for name in names)
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key or "SECRET" in key:
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), f"{key} must come from outside"


def test_images_are_pinned_ports_are_private_and_parts_that_serve_are_checked():
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert "healthcheck" in service or name in {"workload", "replay"}
        for other, how in service.get("depends_on", {}).items():
            wanted = how["condition"]
            assert wanted != "service_healthy" or "healthcheck" in SERVICES[other]
    for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert re.search(r":\d+\.\d+\.\d+-", base)


def test_nobody_who_always_runs_waits_for_the_demo():
    for service in SERVICES.values():
        if "profiles" not in service:
            assert not {o for o in service.get("depends_on", {}) if "profiles" in SERVICES[o]}


def test_everybody_asks_where_somebody_listens():
    at = listeners()
    for name in ("worker", "capture", "page"):
        assert f"--kafka={at['kafka']}" in SERVICES[name]["command"]
    config = agent_config()
    assert config.kafka.bootstrap_servers == at["kafka"]
    for source in config.sources:
        url = source.upstream if isinstance(source, ProxyConfig) else source.url
        assert urlsplit(url).netloc == at["engine"]
        assert isinstance(source, ProxyConfig | VllmConfig)
    replay = PARSE["replay"](SERVICES["replay"]["command"][1:])
    assert urlsplit(replay.url[0]).netloc == at["proxy"]
    workload_out = PARSE["workload"](SERVICES["workload"]["command"][1:]).out
    assert str(workload_out) == str(replay.file)
    assert SERVICES["agent"]["ports"] == ["127.0.0.1:8080:8080"]
    assert at["proxy"] == "agent:8080"
    assert str(config.agent.spool_dir) in [v.split(":")[1] for v in SERVICES["agent"]["volumes"]]


@pytest.mark.parametrize("name", ["engine", "worker", "capture", "page"])
def test_a_health_check_asks_what_its_service_serves(name):
    url = urlsplit(re.search(r"http://[^']+", SERVICES[name]["healthcheck"]["test"][-1])[0])
    option = "metrics-" if name in {"worker", "capture"} else ""
    assert {f"--{option}host=0.0.0.0", f"--{option}port={url.port}"} <= set(SERVICES[name]["command"])
    assert url.path == ("/metrics" if name == "engine" else "/healthz")
    # Either for the other services, or for the host's browser.
    ports = SERVICES[name].get("expose") or SERVICES[name]["ports"]
    assert ports in ([str(url.port)], [f"127.0.0.1:{url.port}:{url.port}"])


def test_everything_has_a_limit_and_nobody_more_rights_than_it_needs():
    for name, service in SERVICES.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["logging"] == {"driver": "local"}
        assert not service.get("privileged")
    heap = re.search(r"-Xmx(\d+)m", SERVICES["kafka"]["environment"]["KAFKA_HEAP_OPTS"])[1]
    assert SERVICES["kafka"]["deploy"]["resources"]["limits"]["memory"] == "2G"
    assert int(heap) <= 1024, "half of the container's memory is for the page cache"


def test_the_links_of_alerts_lead_to_ports_that_are_published():
    published = {port.rpartition(":")[0] for service in SERVICES.values() for port in service.get("ports", [])}
    for address in (GRAFANA_URL, RUNBOOK_URL):
        assert urlsplit(address).netloc in published


def test_the_image_is_built_from_what_the_context_lets_through():
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= copied


def _has_compose() -> bool:
    docker = shutil.which("docker")
    return (
        bool(docker)
        and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(
    not _has_compose(), reason="no docker with its compose plugin here: the file is only parsed as YAML"
)
def test_docker_compose_accepts_the_file():
    done = subprocess.run(
        ["docker", "compose", "--profile", "demo", "config", "--quiet"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GRAFANA_ADMIN_PASSWORD": "for-this-test-only"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
