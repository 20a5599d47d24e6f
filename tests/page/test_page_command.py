"""`burstwatch page` as a command: what it prints, refuses and leaves behind."""

import json
import subprocess
import sys
import urllib.request
from functools import partial

import pytest

import burstwatch.cli
from burstwatch.page import cli
from burstwatch.tail import require_broker
from collector.schema.topics import EPISODES, WINDOWS
from tests.support.broker import create_topic, embedded_broker
from tests.support.kafka_clients import wait_for
from tests.support.page_messages import END, US, burst, memory, row
from tests.support.page_process import page_process
from tests.support.pipeline import run_cli
from tests.support.worker_process import produce


def read(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def test_it_serves_what_the_topics_hold_and_ends_at_once_when_told(tmp_path):
    rows = [row("chat", END + i * 10 * US, seed=i, memory=memory(i / 10)) for i in range(5)]
    with embedded_broker(tmp_path / "data") as broker:
        for topic in (WINDOWS, EPISODES):
            create_topic(broker.bootstrap_servers, partitions=2, name=topic)
        put = [(b"chat", json.dumps(m).encode()) for m in [*rows, row("chat", END, model="GPT-4")]]
        produce(broker.bootstrap_servers, [*put, (b"chat", b"{not JSON"), (b"chat", b'{"windows": 1}')], WINDOWS)
        produce(broker.bootstrap_servers, [(b"chat", json.dumps(burst("chat", END)).encode())], EPISODES)
        with page_process(broker.bootstrap_servers) as page:
            state = wait_for(
                lambda: (found := read(page.url + "/state.json"))["messages"] == 9 and found, "the topics to be read"
            )
            assert page.stop() == 0
    chat = state["services"]["chat"]
    assert state["malformed"] == 2
    assert chat["now"]["end"] == rows[-1]["end"]
    assert chat["now"]["memory"] == rows[-1]["memory"]
    assert [point[1] for point in chat["points"]] == [r["windows"]["10"]["rate"] for r in rows]
    assert [e["id"] for e in state["episodes"]] == [f"chat burst {END}"]


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--kafka", "k:1", "--history-s", "5"], "must be 60 to"),
        (["--kafka", "k:1", "--port", "70000"], "must be 0 to 65535"),
        ([], "--kafka"),
        (["--kafka", "k:1", "--allow-host", "http://x"], "'http://x' is no host name: give it as in the address bar"),
        (["--kafka", "foo:bar"], "foo:bar is no address of a Kafka broker; HOST:PORT is wanted"),
        (["--kafka", "k1:9092,k2"], "k2 is no address"),
        (["--kafka", "k1:99999"], "k1:99999 is no address"),
        (["--kafka", ""], "nothing is no address"),
    ],
)
def test_what_the_operator_must_mend_is_said_in_a_line(args, part):
    done = run_cli("page", *args)
    assert done.returncode == 2
    assert part in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_no_broker_is_said_in_a_line_before_anything_is_served(monkeypatch, capsys):
    monkeypatch.setattr(cli, "require_broker", partial(require_broker, timeout_ms=200))
    assert burstwatch.cli.main(["page", "--kafka", "127.0.0.1:1"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert "no Kafka broker answers at 127.0.0.1:1" in line


def test_the_log_has_a_line_when_kafka_is_lost_and_one_when_it_is_back(tmp_path):
    command = [sys.executable, "-m", "burstwatch", "page", "--port", "0", "--kafka"]
    with embedded_broker(tmp_path / "data") as broker, (tmp_path / "log").open("wb") as told:
        page = subprocess.Popen([*command, broker.bootstrap_servers], stdout=subprocess.PIPE, stderr=told, text=True)
        try:
            health = json.loads(page.stdout.readline())["url"] + "/healthz"
            wait_for(lambda: read(health)["kafka"] == "live", "the page to be live")
            broker.kill()
            wait_for(lambda: read(health)["kafka"] == "away", "Kafka to be missed", within_s=40)
            again = broker.restart()
            wait_for(lambda: read(health)["kafka"] == "live", "Kafka to be heard again", within_s=40)
            again.stop()
        finally:
            page.terminate()
            page.communicate(timeout=15)
    lines = (tmp_path / "log").read_text().splitlines()
    lost, back = (f"Kafka at {broker.bootstrap_servers} {what}" for what in ("does not answer", "answers again"))
    assert sum(lost in line for line in lines) in {1, 2}  # the second when it is stopped for good
    assert [back in line for line in lines].count(True) == 1
    assert len(lines) <= 4, lines


def test_help_teaches_by_example():
    done = run_cli("page", "--help")
    assert done.returncode == 0
    for part in (
        "examples:",
        "burstwatch page --kafka",
        "http://127.0.0.1:8321",
        "/runbook",
        "no login",
        "20000 messages",
    ):
        assert part in done.stdout
    assert "page" in run_cli("--help").stdout
