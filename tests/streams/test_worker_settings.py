"""The worker's command line and the small parts around the flow."""

import asyncio
import hashlib
import json
import subprocess
import sys

import pytest

from collector.schema.codec import Batch, columns_of, decode, encode
from collector.schema.errors import OperatorError
from collector.schema.events import Kind, Resource
from streams.cli import parse
from streams.processors.settings import AnalysisSettings
from streams.worker.outbox import Outbox, Parcel
from streams.worker.records import DeadLetter, format_dead_letter
from streams.worker.resources import STALE_S, ResourceBoard

PARCEL = Parcel("t", b"k", b"v")


@pytest.mark.parametrize(
    "options",
    [
        ["--kafka", "nowhere"],
        ["--kafka", "h:0"],
        ["--kafka", "h:1", "--partitions", "0"],
        ["--kafka", "h:1", "--metrics-port", "70000"],
        ["--kafka", "h:1", "--snapshot-interval-s", "0"],
        ["--kafka", "h:1", "--app-id", "a b"],
        ["--kafka", "h:1", "--burst-threshold", "1"],
        ["--kafka", "h:1", "--windows", "15"],
        ["--kafka", "h:1", "--lateness-s", "1"],
        ["--kafka", "h:1", "--series-max", "-1"],
        ["--kafka", "h:1", "--failure-budget", "2%"],
        ["--kafka", "h:1", "--failure-budget", "0.9"],
        ["--kafka", "h:1", "--failure-budget", "=0.1"],
        ["--kafka", "h:1", "--failure-budget", "chat=nan"],
        ["--kafka", "h:1", "--burst-threshold", "nan"],
        ["--kafka", "h:1", "--burst-threshold", "inf"],
        ["--kafka", "h:1", "--fleet-services", "0"],
        ["--kafka", "h:1", "--false-alarms-per-day", "nan"],
        ["--kafka", "h:1", "--burst-threshold", "4", "--fleet-services", "9"],
    ],
)
def test_an_impossible_setting_is_the_operators_to_mend(options):
    with pytest.raises(OperatorError):
        parse(options)


@pytest.mark.parametrize(
    ("options", "threshold"),
    [
        ([], 4.0),
        (["--burst-threshold", "4.5"], 4.5),
        (["--fleet-services", "1000"], 4.92),
        (["--fleet-services", "1000", "--false-alarms-per-day", "10"], 4.51),
    ],
)
def test_the_threshold_is_given_or_follows_from_the_size_of_the_fleet(options, threshold):
    settings = parse(["--kafka", "h:1", "--detector", "ten-seconds", *options]).analysis
    assert settings.detector == "ten-seconds"
    assert settings.burst_threshold == pytest.approx(threshold, abs=0.01)


def test_help_shows_the_defaults_that_say_something(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "(default: 127.0.0.1)" in told
    assert "(default: 0)" in told
    assert "default: None" not in told
    assert "default: False" not in told


def test_several_brokers_are_one_setting():
    assert parse(["--kafka", "a:1, b:2"]).servers == ["a:1", "b:2"]


def test_the_analysis_is_chosen_on_the_command_line():
    given = ["--windows", "300,10,60", "--hold-s", "5", "--lateness-s", "90", "--gaps-min", "50", "--bins-min", "20"]
    settings = parse(["--kafka", "h:1", *given, "--classes-max", "7", "--series-max", "900"])
    analysis = settings.analysis
    assert analysis.windows_s == (10, 60, 300)
    assert (analysis.hold_s, analysis.lateness_s, analysis.gaps_min, analysis.bins_min) == (5, 90, 50, 20)
    assert (analysis.classes_max, settings.series_max) == (7, 900)
    assert parse(["--kafka", "h:1"]).analysis == AnalysisSettings()


def test_failure_budgets_are_for_all_or_for_one_and_the_last_word_counts():
    budgets = ["0.03", "chat=0.05", "a=b=0.1", "0.02"]
    analysis = parse(["--kafka", "h:1", *(word for b in budgets for word in ("--failure-budget", b))]).analysis
    assert analysis.failure_budget_ratio == 0.02
    assert analysis.failure_budgets == {"chat": 0.05, "a=b": 0.1}
    assert parse(["--kafka", "h:1"]).analysis.failure_budget_of("chat") == 0.01


def test_no_broker_is_one_line_and_exit_code_2():
    command = [sys.executable, "-m", "burstwatch", "worker", "--kafka", "127.0.0.1:1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no Kafka broker answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_dead_letter_tells_where_and_why_and_never_what():
    body = b'{"prompt": "secret"}'
    letter = format_dead_letter(
        DeadLetter(topic="llm.requests", partition=2, offset=7, reason="version", detail="d", body=body)
    )
    assert json.loads(letter) == {
        "v": 1,
        "topic": "llm.requests",
        "partition": 2,
        "offset": 7,
        "reason": "version",
        "detail": "d",
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    assert b"secret" not in letter


class RefusalError(Exception):
    def __init__(self, *, retriable: bool) -> None:
        self.retriable = retriable


def test_what_fails_for_a_passing_reason_is_sent_again_until_it_is_delivered(monkeypatch):
    monkeypatch.setattr("streams.worker.outbox.RETRY_PAUSE_S", 0)
    tries = []

    async def send(parcel):
        tries.append(parcel)
        if len(tries) < 3:
            raise RefusalError(retriable=True)

    async def run() -> int:
        outbox = Outbox(send)
        outbox.put(PARCEL)
        await outbox.delivered()
        return outbox.refused

    assert asyncio.run(run()) == 0
    assert tries == [PARCEL] * 3


def test_what_kafka_refuses_for_good_is_counted_and_does_not_hold_up_the_state():
    async def send(_):
        raise RefusalError(retriable=False)

    async def run() -> int:
        outbox = Outbox(send)
        outbox.put(PARCEL)
        await outbox.delivered()
        return outbox.refused

    assert asyncio.run(run()) == 1


def test_results_of_a_round_that_was_given_up_are_still_waited_for():
    async def run() -> int:
        gate = asyncio.Event()
        outbox = Outbox(lambda _: gate.wait())
        outbox.put(PARCEL)
        first = asyncio.create_task(outbox.delivered())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return len(outbox)

    assert asyncio.run(run()) == 1


def resource_batch(**fields) -> Batch:
    row = Resource(**{"at": 5, "node": "n1", "source": "s", "engine": "e", **fields})
    columns = columns_of(Kind.RESOURCE, [row])
    batch = Batch(agent="a", boot="b", key="n1", seq=0, kind=Kind.RESOURCE, n=1, columns=columns)
    return decode(encode(batch))


def test_the_board_shows_the_latest_reading_of_each_place_until_it_is_stale():
    board = ResourceBoard()
    board.apply(0, resource_batch(running=1), now_s=0)
    board.apply(0, resource_batch(running=2, at=6), now_s=1)
    board.apply(0, resource_batch(running=9, at=4), now_s=2)  # older: came late
    assert [reading.running for reading in board.readings(now_s=2)] == [2]
    assert list(board.readings(now_s=2 + STALE_S)) == []


def test_a_reading_from_the_year_9000_holds_its_place_for_a_minute_not_for_ever():
    board = ResourceBoard()
    board.apply(0, resource_batch(running=1, at=221_845_392_000_000_000), now_s=0)
    board.apply(0, resource_batch(running=2), now_s=STALE_S)
    assert [reading.running for reading in board.readings(now_s=STALE_S)] == [1]
    board.apply(0, resource_batch(running=3), now_s=STALE_S + 1)
    assert [reading.running for reading in board.readings(now_s=STALE_S + 1)] == [3]


def test_a_partition_that_moved_away_takes_its_nodes_along():
    board = ResourceBoard()
    board.apply(0, resource_batch(), now_s=0)
    board.drop(1)
    assert len(list(board.readings(0))) == 1
    board.drop(0)
    assert not list(board.readings(0))
