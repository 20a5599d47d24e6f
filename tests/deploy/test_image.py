"""The Dockerfile without an engine: its build stage run line by line as plain commands, and what the image would hold.

Not run is the second stage, which makes a user and folders; test_compose.py reads it.
"""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
STAGES = re.split(r"(?m)^(?=FROM )", TEXT)[1:]


def instructions(stage: str) -> Iterator[tuple[str, str]]:
    """Yield (instruction, arguments) of a stage, continued lines joined."""
    lines = [line for line in stage.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        yield word, rest


def ignored(_folder: str, names: list[str]) -> set[str]:
    """What .dockerignore keeps back inside the folders it lets through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return {name for name in names if f"**/{name}" in lines}


def test_one_base_two_stages_and_what_the_image_says_of_itself():
    first, second = (dict(instructions(stage)) for stage in STAGES)
    assert first["FROM"].split()[0] == second["FROM"].split()[0], "a venv moves between equal Pythons only"
    python = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", second["FROM"]).groups()))
    assert python >= (3, 11)
    assert second["COPY"] == "--from=build /opt/burstwatch /opt/burstwatch", "to the same path: scripts name it"
    assert second["ENTRYPOINT"] == '["burstwatch"]'
    assert "PATH=/opt/burstwatch/bin:$PATH" in second["ENV"]
    assert second["USER"] == "10001:10001"
    # After USER nothing is made any more that root would own.
    assert [word for word, _ in instructions(STAGES[1])][-4:] == ["USER", "WORKDIR", "ENTRYPOINT", "CMD"]


def test_every_instruction_is_one_docker_knows():
    known = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert {word for stage in STAGES for word, _ in instructions(stage)} == known
    assert "ADD " not in TEXT
    assert "latest" not in TEXT
    assert "sudo" not in TEXT


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """What the build stage leaves at /opt/burstwatch, made by its own lines with /src and /opt in a scratch folder."""
    base = tmp_path_factory.mktemp("image")
    here = {"/src": str(base / "src"), "/opt/burstwatch": str(base / "opt/burstwatch")}
    at = base
    for word, rest in instructions(STAGES[0]):
        for path, place in here.items():
            rest = re.sub(rf"(?<!\S){path}(?=$|[\s/])", place, rest)  # noqa: PLW2901 - the line as it is here
        if word == "WORKDIR":
            at = Path(rest)
            at.mkdir(parents=True)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                origin, place = ROOT / source, at / target / (source if len(sources) > 1 else "")
                if origin.is_dir():
                    shutil.copytree(origin, place, ignore=ignored, dirs_exist_ok=True)
                else:
                    shutil.copy(origin, place)
        elif word == "RUN":
            command = rest.replace("python -m venv", "python3 -m venv")
            done = subprocess.run(command, shell=True, cwd=at, capture_output=True, text=True, check=False)  # noqa: S602
            if "pip" in rest and done.returncode and "No matching distribution" in done.stderr:
                pytest.skip(f"no package index: {done.stderr.strip()[-200:]}")
            assert done.returncode == 0, done.stderr[-3000:]
        else:
            assert word == "FROM"
    return base / "opt/burstwatch"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_build_stage_gives_a_command_that_works_away_from_the_checkout(image, tmp_path):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    def said(*args: str) -> str:
        done = subprocess.run(
            [image / "bin/burstwatch", *args], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert said("--version") == f"burstwatch {version}\n"
    for verb in ("agent", "worker", "capture", "page", "engine", "workload", "replay", "trace"):
        assert f"usage: burstwatch {verb}" in said(verb, "--help")
    # What the agent of docker-compose.yml does with its file at start.
    said("agent", "-c", str(ROOT / "deploy/agent.toml"), "--check")
    assert (image / "bin/python").exists(), "what health checks call"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_is_served_and_read_at_run_time_is_in_the_image(image):
    site = next((image / "lib").glob("python3.*/site-packages"))
    static = ROOT / "burstwatch/page/static"
    wanted = [ROOT / "dashboards/runbook.md", *(path for path in static.rglob("*") if path.is_file())]
    assert len(wanted) > 3
    for path in wanted:
        installed = site / path.relative_to(ROOT)
        assert installed.read_bytes() == path.read_bytes(), installed
    assert not (site / "tests").exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_dependencies_are_those_that_ci_tests_with(image):
    """Everything installed has the version of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    listed = subprocess.run([image / "bin/pip", "freeze"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split("==") for line in listed.splitlines() if "==" in line)
    assert len(found) > 10
    assert {name: version for name, version in found.items() if pinned.get(name) != version} == {}
