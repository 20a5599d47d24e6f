"""docker-compose.yml as `docker compose config` reads it: with the same library, of which no engine is needed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
LOADER = Path(__file__).parent / "compose_config"
ENVIRONMENT = {"GRAFANA_ADMIN_PASSWORD": "for-this-test-only"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def loader(tmp_path_factory) -> Path:
    """The loader, built from a pinned module (half a minute where nothing is cached)."""
    if shutil.which("go") is None:
        pytest.skip("no Go here: the file was checked by our own tests only")
    out = tmp_path_factory.mktemp("loader") / "compose_config"
    command = ["go", "build", "-mod=readonly", "-o", str(out), "."]
    done = subprocess.run(command, cwd=LOADER, capture_output=True, text=True, check=False, timeout=380)
    if done.returncode:
        pytest.skip(f"the loader could not be built (no module proxy?): {done.stderr.strip()[-300:]}")
    return out


def load(loader: Path, text: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Load ``text`` as the file of a project in ``folder``."""
    path = folder / "docker-compose.yml"
    path.write_text(text)
    return subprocess.run(
        [loader, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]} | environment,
    )


def test_the_file_loads_and_says_what_it_seems_to_say(loader, tmp_path):
    done = load(loader, TEXT, tmp_path, ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    project = json.loads(done.stdout)
    assert set(project["services"]) == set(yaml.safe_load(TEXT)["services"])
    worker = project["services"]["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert worker["deploy"]["resources"]["limits"]["memory"] == str(2**30)
    assert "--burst-warmup-s=300" in worker["command"]
    # What the parts have in common has reached each of them.
    assert all(service["cap_drop"] == ["ALL"] for service in project["services"].values())
    environment = project["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == ENVIRONMENT["GRAFANA_ADMIN_PASSWORD"]


def test_a_demo_may_shorten_the_warm_up(loader, tmp_path):
    done = load(loader, TEXT, tmp_path, ENVIRONMENT | {"BURSTWATCH_BURST_WARMUP_S": "30"})
    assert "--burst-warmup-s=30" in json.loads(done.stdout)["services"]["worker"]["command"]


def test_without_a_password_nothing_starts_and_the_reason_is_said(loader, tmp_path):
    done = load(loader, TEXT, tmp_path, {})
    assert done.returncode == 1
    assert "set GRAFANA_ADMIN_PASSWORD" in done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("    hostname: agent-1", "    hostnam: agent-1"),
        ("      replicas: 2", "      replicas: two"),
        ("{condition: service_healthy}", "{condition: service_helthy}"),
        ("  kafka-data:\n  spool:", "  spool:"),
        ("      interval: 15s", "      interval: soon"),
    ],
)
def test_the_check_sees_what_is_wrong(loader, tmp_path, right, wrong):
    assert right in TEXT
    assert load(loader, TEXT.replace(right, wrong, 1), tmp_path, ENVIRONMENT).returncode == 1
