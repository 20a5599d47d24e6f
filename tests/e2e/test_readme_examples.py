"""Every command that README and docs show is run as written, but for the addresses and files it names.

Addresses of the examples stand for servers started here: a broker, a simulated engine, an agent's proxy before it and a
stand-in for Grafana. Commands that run until they are stopped are started, seen to be ready, and stopped with SIGTERM.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from burstwatch.up.processes import Part, free_port, start, stop, wait_ready
from tests.support.broker import embedded_broker
from tests.support.fake_grafana import fake_grafana
from tests.support.pipeline import run_cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What ends only when it is told to, by its first words; the text is what it says when it is ready.
LASTING = {
    "broker": '"ready"',
    "engine": '"ready"',
    "agent": '"ready"',
    "worker": '"ready"',
    "capture": '"ready"',
    "page": '"ready"',
    "windows": "",
    "dashboards annotate": "",
}
# Examples of sizes for production are cut to what a test can wait for.
SHORTER = (
    (re.compile(r"--duration-s \d+"), "--duration-s 6"),
    (re.compile(r"--port \d+|--metrics-port \d+"), ""),
)


def examples() -> list[str]:
    """Every `burstwatch ...` line of every fenced block, comments cut off, continued lines joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```\w*\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = re.sub(r"\s+#.*", "", line).strip()
                if words.startswith("burstwatch "):
                    found.append(re.sub(r"\s+", " ", words))
    return list(dict.fromkeys(found))


EXAMPLES = examples()


def verb(example: str) -> str:
    words = example.split()
    return " ".join(words[1:3]) if words[1] in {"trace", "workload", "dashboards"} else words[1]


def lasts(example: str) -> bool:
    return verb(example) in LASTING and "--check" not in example


@dataclass
class Place:
    """A folder with the files the examples name, and the servers that their addresses stand for."""

    folder: Path
    addresses: dict[str, str]
    environment: dict[str, str]

    def command(self, example: str) -> str:
        """The example with real addresses, short durations and ports of ours."""
        text = example
        for shown, real in self.addresses.items():
            text = text.replace(shown, real)
        if lasts(example) or "bench" in example or "replay" in example:
            for pattern, shorter in SHORTER:
                text = pattern.sub(shorter, text)
        if verb(example) == "replay" and "--duration-s" not in text:
            words, pipe, rest = text.partition(" | ")
            text = f"{words} --duration-s 6{pipe}{rest}"
        return text


def _files(folder: Path) -> None:
    """What the examples read: a trace of ours under the names they use."""
    made = run_cli("workload", "generate", "--duration-s", "400", "--out", str(folder / "trace.csv"))
    assert made.returncode == 0, made.stderr
    for name in (
        "made.csv",
        "faster.csv",
        "BurstGPT_1.csv",
        "BurstGPT_2.csv",
        "BurstGPT_3.csv",
        "yesterday.csv",
        "other.csv",
        "workload.csv",
    ):
        shutil.copy(folder / "trace.csv", folder / name)
    (folder / "token.txt").write_text("s3cret")


def _agent_toml(kafka: str, engine: str, port: int) -> str:
    text = (ROOT / "collector/agent.example.toml").read_text()
    text = text.replace("127.0.0.1:9092", kafka).replace("http://127.0.0.1:8000", engine)
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("burstwatch-spool", f"spool-{port}")


def _load(proxy: str, n: int = 12) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 4, "ignore_eos": True}
    for i in range(n):
        request = urllib.request.Request(
            f"{proxy}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "x-session-id": f"s{i % 3}"},
        )
        urllib.request.urlopen(request, timeout=20).read()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    _files(folder)
    mine_port = free_port()
    children = []
    with embedded_broker() as broker, fake_grafana() as grafana:
        try:
            engine = start(Part("engine", ["engine", "--port", "0"]), folder)
            children.append(engine)
            wait_ready(engine)
            url = str(engine.facts["url"])
            (folder / "agent.toml").write_text(_agent_toml(broker.bootstrap_servers, url, free_port()))
            recorded = (
                '\n[[sources]]\ntype = "trace"\nservice = "recorded"\npath = "other.csv"\nspeed = 0.0\norigin = "now"\n'
            )
            (folder / "mine.toml").write_text(_agent_toml(broker.bootstrap_servers, url, mine_port) + recorded)
            capturing = ["capture", "--kafka", broker.bootstrap_servers, "--out", str(folder / "captured")]
            children += [start(Part("agent", ["agent", "-c", str(folder / "mine.toml")]), folder)]
            children += [start(Part("capture", capturing), folder)]
            for child in children[1:]:
                wait_ready(child)
            _load(f"http://127.0.0.1:{mine_port}")
            time.sleep(4)  # the agent's linger and the capture's next fetch
            assert stop(children.pop()) == 0
            exported = run_cli("trace", "export", str(folder / "captured"), "--out", str(folder / "trace.csv"))
            assert exported.returncode == 0, exported.stderr
            fitted = run_cli("workload", "fit", str(folder / "trace.csv"), "--out", str(folder / "model.toml"))
            assert fitted.returncode == 0, fitted.stderr
            yield Place(
                folder,
                {
                    "127.0.0.1:9092": broker.bootstrap_servers,
                    "k1:9092": broker.bootstrap_servers,
                    "http://127.0.0.1:8000": url,
                    "http://gpu7:8000": url,
                    "http://127.0.0.1:8080": f"http://127.0.0.1:{mine_port}",
                    "https://grafana.example": grafana.url,
                },
                {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            )
        finally:
            for child in reversed(children):
                stop(child)


def test_there_are_examples_of_every_command():
    from burstwatch.cli import COMMANDS
    from burstwatch.verbs import TRACE, WORKLOAD

    every = set(COMMANDS) - {"trace", "workload", "dashboards", "up"}  # `make run` is up's example, and CI runs it
    every |= {f"trace {name}" for name in TRACE} | {f"workload {name}" for name in WORKLOAD}
    assert every - {verb(example) for example in EXAMPLES} == set()


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_does_what_it_says(example: str, place: Place):
    command = place.command(example)
    if "jq" in command and shutil.which("jq") is None:
        command = command.partition("|")[0]
    if lasts(example):
        _starts_and_stops(command, LASTING[verb(example)], place)
        return
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=place.folder, env=place.environment, capture_output=True, text=True, timeout=110, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr
    assert done.stdout or done.stderr or ">" in command


def _starts_and_stops(command: str, ready: str, place: Place) -> None:
    log = place.folder / "lasting.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=place.folder, env=place.environment, stdout=sink, stderr=sink,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while ready and ready not in log.read_text(errors="replace"):
            assert process.poll() is None, f"{command} ended\n{log.read_text(errors='replace')[-2000:]}"
            assert time.monotonic() < deadline, f"{command} was not ready\n{log.read_text(errors='replace')[-2000:]}"
            time.sleep(0.1)
        if not ready:
            time.sleep(5)
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, log.read_text(errors="replace")[-2000:]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
