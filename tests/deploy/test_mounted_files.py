"""Every file that docker-compose.yml mounts, read by the program it is for; Grafana's by the keys Grafana reads."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml

from collector.config import parse_config

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROVISIONING = ROOT / "deploy/grafana/provisioning"

# What Grafana's provisioning decodes (pkg/services/provisioning, 12.1); anything else it passes over without a word.
DATASOURCE_KEYS = {
    "name", "type", "uid", "access", "url", "orgId", "user", "database", "basicAuth", "basicAuthUser", "isDefault",
    "withCredentials", "correlations", "jsonData", "secureJsonData", "editable", "version",
}  # fmt: skip
JSON_KEYS = {
    "prometheus": {"timeInterval", "httpMethod", "prometheusType", "prometheusVersion", "manageAlerts", "queryTimeout"},
    "alertmanager": {"implementation", "handleGrafanaManagedAlerts"},
}
PROVIDER_KEYS = {
    "name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds", "allowUiUpdates",
    "editable", "options",
}  # fmt: skip
# [section] key of its defaults.ini, which a variable GF_SECTION_KEY sets.
GRAFANA_SETTINGS = {
    "GF_SECURITY_ADMIN_PASSWORD", "GF_USERS_ALLOW_SIGN_UP", "GF_ANALYTICS_REPORTING_ENABLED",
    "GF_ANALYTICS_CHECK_FOR_UPDATES", "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
}  # fmt: skip


def mounts(service: str) -> dict[str, str]:
    """What is mounted from the repository: path in the checkout by path in the container."""
    pairs = [volume.split(":")[:2] for volume in SERVICES[service]["volumes"]]
    return {target: source for source, target in pairs if source.startswith("./")}


def in_checkout(service: str, path: str) -> Path:
    """Where a container's path lies in the checkout."""
    for target, source in mounts(service).items():
        if PurePosixPath(path).is_relative_to(target):
            return (ROOT / source / PurePosixPath(path).relative_to(target)).resolve()
    raise AssertionError(f"{service} sees nothing at {path}")


def datasources() -> list[dict]:
    files = sorted((PROVISIONING / "datasources").glob("*.yml"))
    return [one for file in files for one in yaml.safe_load(file.read_text())["datasources"]]


def test_nothing_is_mounted_that_no_test_here_reads():
    assert {
        source for service in SERVICES if "volumes" in SERVICES[service] for source in mounts(service).values()
    } == {
        "./deploy/agent.toml",
        "./deploy/prometheus/prometheus.yml",
        "./dashboards/generated/rules",
        "./deploy/alertmanager/alertmanager.yml",
        "./deploy/grafana/provisioning",
        "./dashboards/generated/boards",
    }


def test_the_agent_accepts_its_file():
    config = parse_config(tomllib.loads((ROOT / "deploy/agent.toml").read_text()), ROOT / "deploy")
    assert len(config.sources) == 2


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: prometheus.yml only parsed")
def test_promtool_accepts_the_configuration_with_the_rules_it_names(tmp_path):
    config = yaml.safe_load(in_checkout("prometheus", "/etc/prometheus/prometheus.yml").read_text())
    pattern = PurePosixPath(config["rule_files"][0])
    files = sorted(in_checkout("prometheus", str(pattern.parent)).glob(pattern.name))
    assert files
    config["rule_files"] = [str(file) for file in files]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ["promtool", "check", "config", "--lint=all", "--lint-fatal", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SUCCESS: \d+ rules found", done.stdout)


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed: alertmanager.yml not checked")
def test_amtool_accepts_alertmanagers_configuration():
    path = in_checkout("alertmanager", "/etc/alertmanager/alertmanager.yml")
    done = subprocess.run(["amtool", "check-config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_where_somebody_serves_and_tells_where_somebody_listens():
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    found = jobs["burstwatch-worker"]["dns_sd_configs"][0]
    assert f"--metrics-port={found['port']}" in SERVICES[found["names"][0]]["command"]
    host, port = jobs["burstwatch-capture"]["static_configs"][0]["targets"][0].split(":")
    assert f"--metrics-port={port}" in SERVICES[host]["command"]
    # The images' own ports; each is what its health check asks.
    for host, address in (("prometheus", "localhost:9090"), ("alertmanager", "alertmanager:9093")):
        assert jobs[host]["static_configs"][0]["targets"] == [address]
        assert urlsplit(SERVICES[host]["healthcheck"]["test"][-1]).port == int(address.split(":")[1])
    told = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert told == jobs["alertmanager"]["static_configs"][0]["targets"]
    assert config["global"]["scrape_timeout"] <= config["global"]["scrape_interval"]


def test_grafana_knows_every_key_of_its_data_sources():
    found = datasources()
    assert {(one["uid"], one["type"]) for one in found} == {
        ("prometheus", "prometheus"),
        ("alertmanager", "alertmanager"),
    }
    assert [one["uid"] for one in found if one.get("isDefault")] == ["prometheus"]
    for one in found:
        assert set(one) <= DATASOURCE_KEYS
        assert set(one["jsonData"]) <= JSON_KEYS[one["type"]]
        url = urlsplit(one["url"])
        assert one["access"] == "proxy"
        assert str(url.port) in SERVICES[url.hostname]["ports"][0].split(":")


def test_panels_step_no_finer_than_prometheus_scrapes():
    scrapes = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert next(one for one in datasources() if one["uid"] == "prometheus")["jsonData"]["timeInterval"] == scrapes


def test_grafana_knows_every_key_of_its_provider_and_finds_the_boards():
    files = list((PROVISIONING / "dashboards").glob("*.yml"))
    providers = [one for file in files for one in yaml.safe_load(file.read_text())["providers"]]
    assert len(providers) == 1
    assert set(providers[0]) <= PROVIDER_KEYS
    assert set(providers[0]["options"]) <= {"path", "foldersFromFilesStructure"}
    folder = in_checkout("grafana", providers[0]["options"]["path"])
    uids = [json.loads(path.read_text())["uid"] for path in folder.glob("*.json")]
    assert len(set(uids)) == len(uids) > 0


def test_only_what_grafana_provisions_lies_in_its_folder_and_no_variable_is_put_into_it():
    assert {path.name for path in PROVISIONING.iterdir()} <= {"datasources", "dashboards", "alerting", "plugins"}
    for path in PROVISIONING.rglob("*.yml"):
        text = path.read_text()
        assert yaml.safe_load(text)["apiVersion"] == 1
        assert not re.search(r"\$(?!\$)", text), "Grafana would put a variable of its environment here"


def test_every_variable_of_grafana_is_a_setting_it_has():
    assert set(SERVICES["grafana"]["environment"]) <= GRAFANA_SETTINGS
