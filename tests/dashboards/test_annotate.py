"""`burstwatch dashboards annotate`: episodes from a real broker into a stand-in for Grafana, each exactly once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from burstwatch.cli import main
from burstwatch.tail import require_broker
from collector.schema.topics import EPISODES
from tests.support.broker import RunningBroker, create_topic, embedded_broker
from tests.support.fake_grafana import FakeGrafana
from tests.support.worker_process import produce

pytestmark = pytest.mark.kafka

T0 = 1_700_000_000_000_000
SECOND, HOUR = 1_000_000, 3_600_000_000


def burst(state: str, number: int = 0, service: str = "chat") -> dict:
    onset = T0 + number * HOUR
    return {"v": 1, "id": f"{service}|burst|{onset}", "kind": "burst", "state": state, "service": service,
            "onset": onset, "detected": onset + 2 * SECOND, "end": onset + 60 * SECOND if state == "end" else None,
            "baseline_rate": 2.0, "peak_rate": 16.0, "peak_z": 9.0, "arrivals": 300}  # fmt: skip


def tell(kafka: str, *messages: dict | bytes) -> None:
    values = [message if isinstance(message, bytes) else json.dumps(message).encode() for message in messages]
    produce(kafka, [(b"chat", value) for value in values], EPISODES)


@pytest.fixture
def broker() -> Iterator[RunningBroker]:
    with embedded_broker() as running:
        create_topic(running.bootstrap_servers, partitions=2, name=EPISODES)
        yield running


@pytest.fixture
def annotate(broker: RunningBroker, grafana: FakeGrafana, token: Path, monkeypatch) -> Callable[..., int]:
    monkeypatch.setattr("dashboards.grafana.client.PAUSES_S", (0.0, 0.0))

    def run(*options: str) -> int:
        common = ("--kafka", broker.bootstrap_servers, "--url", grafana.url, "--token-file", str(token))
        return main(["dashboards", "annotate", *common, *options])

    return run


def regions(grafana: FakeGrafana) -> list[tuple[int, int, bool]]:
    """(start s after T0, length s, lasting) of every annotation, in order."""
    return sorted(
        ((found["time"] - T0 // 1000) // 1000, (found["timeEnd"] - found["time"]) // 1000, "ongoing" in found["tags"])
        for found in grafana.annotations.values()
    )


def test_every_episode_is_one_annotation_however_often_it_is_told_and_written(annotate, broker, grafana, capsys):
    tell(
        broker.bootstrap_servers, burst("onset"), burst("end"), burst("onset"), burst("onset", 1), b"no json", {"x": 1}
    )
    assert annotate() == 0
    assert regions(grafana) == [(0, 60, False), (3600, 2, True)]
    shown = capsys.readouterr().out
    assert "2023-11-14 22:13:20Z +60 s  burst of chat: 16.0/s over 10 s" in shown
    assert shown.endswith("2 created, 1 not readable\n")
    assert annotate() == 0
    assert capsys.readouterr().out == "2 unchanged, 1 not readable\n"
    tell(broker.bootstrap_servers, burst("end", 1))
    assert annotate() == 0
    assert regions(grafana) == [(0, 60, False), (3600, 60, False)]
    assert [path.split()[0] for path in grafana.writes] == ["POST", "POST", "PATCH"]


def test_annotations_are_found_by_tags_even_for_names_that_need_quoting(annotate, broker, grafana):
    tell(broker.bootstrap_servers, burst("end", service="a&tags=b#c%20:d:e"), burst("end", service=" spaced "))
    assert annotate() == 0
    assert annotate() == 0
    services = {kept["tags"][2] for kept in grafana.annotations.values()}
    assert services == {"service:a&tags=b#c%20_d_e", "service:spaced"}
    assert [path.split()[0] for path in grafana.writes] == ["POST", "POST"]


def test_a_dry_run_writes_nothing_and_says_what_it_would(annotate, broker, grafana, capsys):
    tell(broker.bootstrap_servers, burst("end"))
    assert annotate("--dry-run") == 0
    assert grafana.annotations == {}
    shown = capsys.readouterr().out
    assert shown.startswith("would create")
    assert shown.endswith("dry run, nothing was written; would be 1 created\n")


def test_json_has_everything_that_was_written(annotate, broker, grafana, capsys):
    tell(broker.bootstrap_servers, burst("end"))
    assert annotate("--json") == 0
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kept = grafana.annotations[1]
    assert {key: line[key] for key in ("time", "timeEnd", "tags", "text")} == {
        key: kept[key] for key in ("time", "timeEnd", "tags", "text")
    }
    assert (line["action"], line["written"], line["annotation"], line["episode"]) == (
        "create",
        True,
        1,
        f"chat|burst|{T0}",
    )


def test_since_leaves_out_what_was_long_before_the_newest(annotate, broker, grafana, capsys):
    tell(broker.bootstrap_servers, *(burst("end", hours) for hours in (0, 30, 31)))
    assert annotate() == 0
    assert [start for start, _, _ in regions(grafana)] == [30 * 3600, 31 * 3600]
    assert annotate("--since", "all") == 0
    assert len(grafana.annotations) == 3
    assert annotate("--since", "soon") == 2
    assert "--since soon: give a time" in capsys.readouterr().err


def test_a_creation_without_an_answer_is_looked_for_before_it_is_repeated(annotate, broker, grafana):
    tell(broker.bootstrap_servers, burst("end"))
    grafana.fail("POST /api/annotations", 504, done=True)
    assert annotate() == 0
    assert len(grafana.annotations) == 1
    assert grafana.writes == ["POST /api/annotations"]


def test_an_episode_grafana_does_not_take_does_not_keep_the_others_out(annotate, broker, grafana, capsys):
    tell(broker.bootstrap_servers, burst("end"), burst("end", 1))
    grafana.fail("POST /api/annotations", 400, message="Tags length exceeds the maximum allowed.")
    assert annotate() == 1
    assert len(grafana.annotations) == 1
    said = capsys.readouterr()
    assert "1 created, 1 refused" in said.out
    assert "Tags length exceeds" in said.err


def test_one_that_is_deleted_while_it_is_completed_is_let_go(annotate, broker, grafana):
    tell(broker.bootstrap_servers, burst("onset"))
    annotate()
    tell(broker.bootstrap_servers, burst("end"))
    grafana.fail("PATCH /api/annotations", 404, message="Annotation not found")
    assert annotate() == 0


def test_who_may_not_write_is_told_which_right_is_missing(annotate, broker, token, capsys):
    tell(broker.bootstrap_servers, burst("end"))
    token.write_text("viewer")
    assert annotate() == 2
    assert "needs annotations:create (the Editor role has it)" in capsys.readouterr().err


def test_no_kafka_and_no_topic(annotate, grafana, token, capsys, monkeypatch):
    common = ["dashboards", "annotate", "--url", grafana.url, "--token-file", str(token)]
    with monkeypatch.context() as impatient:
        impatient.setattr("burstwatch.annotate.cli.require_broker", partial(require_broker, timeout_ms=300))
        assert main([*common, "--kafka", "127.0.0.1:1"]) == 2
    assert "no Kafka broker answers at 127.0.0.1:1" in capsys.readouterr().err
    with embedded_broker() as empty:
        assert main([*common, "--kafka", empty.bootstrap_servers]) == 0
    assert capsys.readouterr().out == "no episodes\n"


# -- --follow, as a process of its own


IMPATIENT = """
import sys
from burstwatch.annotate import writing
from burstwatch.cli import main
from dashboards.grafana import client
writing.RETRY_S, client.PAUSES_S = 0.3, (0.0, 0.0)
sys.exit(main(sys.argv[1:]))
"""


class Follower:
    """`burstwatch dashboards annotate --follow`; what it says is in ``log``."""

    def __init__(self, kafka: str, url: str, token: Path, log: Path) -> None:
        self.log = log
        options = ["--kafka", kafka, "--url", url, "--token-file", str(token), "--follow"]
        command = [sys.executable, "-c", IMPATIENT, "dashboards", "annotate", *options]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def says(self, words: str) -> Callable[[], bool]:
        return lambda: words in self.log.read_text()


@pytest.fixture
def follow(
    broker: RunningBroker, grafana: FakeGrafana, token: Path, tmp_path: Path
) -> Iterator[Callable[[], Follower]]:
    started: list[Follower] = []

    def start(url: str = "") -> Follower:
        started.append(Follower(broker.bootstrap_servers, url or grafana.url, token, tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield start
    for follower in started:
        follower.process.kill()
        follower.process.wait()


def test_followed_an_episode_appears_when_it_begins_and_is_completed_when_it_ends(follow, broker, grafana):
    tell(broker.bootstrap_servers, burst("onset"))
    follower = follow()
    follower.until(lambda: regions(grafana) == [(0, 2, True)])
    tell(broker.bootstrap_servers, burst("end"), burst("onset", 1))
    follower.until(lambda: regions(grafana) == [(0, 60, False), (3600, 2, True)])
    follower.process.send_signal(signal.SIGTERM)
    assert follower.process.wait(20) == 0
    assert "Traceback" not in follower.log.read_text()


def test_killed_and_started_again_it_writes_nothing_twice(follow, broker, grafana):
    tell(broker.bootstrap_servers, burst("onset"), burst("end"), burst("onset", 1))
    first = follow()
    first.until(lambda: len(grafana.annotations) == 2)
    first.process.kill()
    first.process.wait()
    tell(broker.bootstrap_servers, burst("end", 1), burst("onset", 2))
    again = follow()
    again.until(lambda: regions(grafana) == [(0, 60, False), (3600, 60, False), (7200, 2, True)])
    assert [path.split()[0] for path in grafana.writes] == ["POST", "POST", "PATCH", "POST"]


def test_while_grafana_is_away_episodes_wait_and_it_is_said_once(follow, broker, grafana):
    follower = follow()
    tell(broker.bootstrap_servers, burst("end"))
    follower.until(lambda: len(grafana.annotations) == 1)
    grafana.fail("/api/annotations", 503, 12)
    tell(broker.bootstrap_servers, burst("onset", 1))
    follower.until(follower.says("1 wait, trying again every 0.3 s"))
    tell(broker.bootstrap_servers, burst("end", 1))
    follower.until(follower.says("Grafana answers again; all is written"))
    assert regions(grafana) == [(0, 60, False), (3600, 60, False)]
    assert follower.log.read_text().count("is in trouble") == 1


@pytest.mark.slow
def test_it_outlives_a_restart_of_kafka(follow, broker, grafana):
    follower = follow()
    tell(broker.bootstrap_servers, burst("end"))
    follower.until(lambda: len(grafana.annotations) == 1)
    broker.kill()
    follower.until(follower.says("Kafka does not answer; waiting"))
    restarted = broker.restart()
    try:
        tell(restarted.bootstrap_servers, burst("end", 1))
        follower.until(lambda: len(grafana.annotations) == 2)
    finally:
        restarted.stop()


def test_a_token_that_is_revoked_ends_it_with_one_line(follow, broker, grafana):
    follower = follow()
    tell(broker.bootstrap_servers, burst("end"))
    follower.until(lambda: len(grafana.annotations) == 1)
    grafana.fail("/api/annotations", 401, 99, message="Invalid API key")
    tell(broker.bootstrap_servers, burst("end", 1))
    assert follower.process.wait(30) == 2
    assert "does not accept the credentials" in follower.log.read_text().splitlines()[-1]
