"""An operator's mistake gets one clear line that says what to do, and exit code 2."""

import socket

import pytest

from tests.support.pipeline import run_cli

HEADER = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def _one_line(done) -> str:
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_no_such_file(tmp_path):
    line = _one_line(run_cli("up", "--events", str(tmp_path / "none.csv"), "--out", str(tmp_path)))
    assert "none.csv" in line
    assert "No such file" in line


def test_wrong_columns(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n")
    line = _one_line(run_cli("up", "--trace", str(path), "--out", str(tmp_path / "o")))
    assert "no column 'Timestamp'" in line


def test_a_header_without_rows(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text(HEADER)
    assert "no rows" in _one_line(run_cli("up", "--events", str(path), "--out", str(tmp_path / "o")))


def test_a_binary_file(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(b"\xff\xfe\x00\x01" * 100)
    assert "not a trace" in _one_line(run_cli("up", "--events", str(path), "--out", str(tmp_path / "o")))


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = _one_line(run_cli("up", "--metrics-port", str(port), "--out", str(tmp_path)))
    assert f"port {port} is taken" in line
    assert "--metrics-port" in line


def test_no_broker_at_the_given_address(tmp_path):
    line = _one_line(run_cli("up", "--kafka", "127.0.0.1:9", "--out", str(tmp_path)))
    assert "no Kafka broker answers at 127.0.0.1:9" in line


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--speed", "fast"], "--speed"),
        (["--speed", "0"], "--speed"),
        (["--speed", "max"], "--events"),
        (["--duration", "-1"], "--duration"),
        (["--upstream", "localhost:8000"], "--upstream"),
        (["--proxy-port", "99999"], "--proxy-port"),
        (["--service", "two words"], "--service"),
        (["--seed", "-1"], "--seed"),
        (["--origin", "yesterday"], "--origin"),
        (["--kafka", "justahost"], "--kafka"),
        (["--burst-warmup-s", "-4"], "--burst-warmup-s"),
    ],
)
def test_options_that_make_no_sense(tmp_path, args, named):
    assert named in _one_line(run_cli("up", *args, "--out", str(tmp_path)))


def test_a_broker_port_that_does_not_exist(tmp_path):
    assert "99999" in _one_line(run_cli("broker", "--port", "99999", "--data", str(tmp_path)))


def test_an_unknown_command():
    assert "no command 'dance'" in _one_line(run_cli("dance"))


@pytest.mark.parametrize(
    "verb", ["up", "agent", "worker", "capture", "trace", "engine", "replay", "workload", "broker", "dashboards"]
)
def test_every_command_teaches_itself(verb):
    done = run_cli(verb, "--help")
    assert done.returncode == 0
    assert f"burstwatch {verb}" in done.stdout
