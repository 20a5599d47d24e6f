"""`burstwatch windows` against a real broker: the newest rows, the live lines, the table."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from burstwatch import tail
from burstwatch.windows import table
from burstwatch.windows.table import Newest, picture
from collector.schema.errors import OperatorError
from collector.schema.topics import EPISODES, WINDOWS
from tests.support.broker import create_topic, embedded_broker
from tests.support.pipeline import run_cli
from tests.support.worker_process import produce

pytestmark = pytest.mark.kafka

END = 1_700_000_000_000_000
STATS = {"arrivals": 120, "rate": 2.0, "cv": 1.5, "gamma_shape": 0.5, "dispersion_1s": 3.0, "failure_ratio": 0.25,
         "failure_ratio_lower": 0.2, "failure_ratio_upper": 0.3, "concurrency": 4.2,
         "percentiles": {"time_to_first_token_s": {"p95": 0.25}, "request_duration_s": {"p95": 7.5}}}  # fmt: skip


def row(service: str, end: int, model: str = "all", **changes) -> dict:
    log_type = "all" if model == "all" else "API log"
    windows = {"10": STATS | changes, "60": STATS | changes}
    return {"v": 1, "id": f"{service}|{model}|{log_type}|{end}", "service": service, "model": model,
            "log_type": log_type, "end": end, "windows": windows}  # fmt: skip


def burst(state: str) -> dict:
    end = END if state == "end" else None
    return {"v": 1, "id": f"chat|burst|{END - 60_000_000}", "kind": "burst", "state": state, "service": "chat",
            "onset": END - 60_000_000, "detected": END - 58_000_000, "end": end, "baseline_rate": 2.0,
            "peak_rate": 16.0, "peak_z": 9.0, "arrivals": 300}  # fmt: skip


def put(kafka: str, *messages: dict) -> None:
    for message in messages:
        topic = WINDOWS if "windows" in message else EPISODES
        produce(kafka, [(message["service"].encode(), json.dumps(message).encode())], topic)


@pytest.fixture(scope="module")
def kafka_with_rows():
    with embedded_broker() as broker:
        for topic in (WINDOWS, EPISODES):
            create_topic(broker.bootstrap_servers, partitions=4, name=topic)
        older, newer = END - 10_000_000, END
        rows = [row(name, end, model) for end in (older, newer) for name in ("chat", "code") for model in ("all", "m")]
        put(broker.bootstrap_servers, *rows, burst("onset"))
        yield broker.bootstrap_servers


def test_once_it_prints_the_newest_row_of_every_service(kafka_with_rows):
    done = run_cli("windows", "--kafka", kafka_with_rows, "--json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [row("chat", END), row("code", END)]
    one = run_cli("windows", "--kafka", kafka_with_rows, "--json", "--service", "code", "--classes")
    assert [json.loads(line) for line in one.stdout.splitlines()] == [row("code", END), row("code", END, "m")]


def test_the_table_says_the_same_to_people(kafka_with_rows):
    done = run_cli("windows", "--kafka", kafka_with_rows)
    chat, code = (line for line in done.stdout.splitlines() if line.startswith(("chat", "code")))
    for part in ("22:13:20Z", "120", "2.00", "1.50", "25.0%", "20.0%-30.0%", "250 ms", "7.5 s", "burst"):
        assert part in chat
    assert "calm" in code


def test_followed_it_prints_every_new_message_until_interrupted(kafka_with_rows):
    command = [sys.executable, "-m", "burstwatch", "windows", "--kafka", kafka_with_rows, "--follow", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sent = [row("chat", END + 10_000_000), burst("end")]
    seen: list[dict] = []
    deadline = time.monotonic() + 30
    os.set_blocking(process.stdout.fileno(), False)
    try:
        while not all(message in seen for message in sent):
            assert time.monotonic() < deadline, (seen, process.poll())
            put(kafka_with_rows, *sent)  # again and again: when it began to listen is not known
            time.sleep(0.3)
            seen += [json.loads(line) for line in (process.stdout.read() or b"").splitlines()]
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0, process.stderr.read()
    finally:
        process.kill()


def test_followed_it_ends_quietly_when_its_reader_has_gone(kafka_with_rows):
    command = [sys.executable, "-m", "burstwatch", "windows", "--kafka", kafka_with_rows, "--follow", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    deadline = time.monotonic() + 30
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, "it goes on for nobody"
            put(kafka_with_rows, row("chat", END + 10_000_000))
            time.sleep(0.3)
        assert (process.returncode, process.stderr.read()) == (0, b"")
    finally:
        process.kill()


def test_what_cannot_be_shown_is_said_in_one_line(kafka_with_rows):
    away = run_cli("windows", "--kafka", "127.0.0.1:1")
    assert away.returncode == 2
    assert "no Kafka broker answers at 127.0.0.1:1" in away.stderr
    wrong = run_cli("windows", "--kafka", kafka_with_rows, "--window", "77")
    assert wrong.returncode == 2
    assert "--window 77: the workers publish windows of 10, 60 seconds" in wrong.stderr


def shown(newest: Newest) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(picture(newest, 60))
    return console.export_text()


def test_an_episode_ends_however_often_it_is_told():
    newest = Newest()
    newest.note(row("chat", END))
    for message in (burst("onset"), burst("onset"), burst("end"), burst("onset")):
        newest.note(message)
    assert newest.active("chat") == []
    assert len(newest.episodes) == 2
    assert "calm" in shown(newest)


def test_malformed_messages_and_rows_from_long_ago_are_left_out():
    newest = Newest()
    junk = [{}, {"windows": 1}, {"windows": {}, "service": "x", "model": "all"}, {"kind": "burst"}, {"service": 5}]
    for message in [*junk, row("old", END - 3_601_000_000), row("chat", END)]:
        newest.note(message)
    assert [r["service"] for r in newest.known()] == ["chat"]
    assert "chat" in shown(newest)
    assert "old" not in shown(newest)
    assert "no windows yet" in shown(Newest())


MALFORMED = ({"end": "soon"}, {"end": 10**30}, {"windows": [1]}, {"windows": {"60": {"arrivals": "many"}}},
             {"windows": {"60": {}}}, {"windows": {"sixty": STATS}}, {"windows": {"60": None}})  # fmt: skip


@pytest.mark.parametrize("wrong", MALFORMED)
def test_a_malformed_row_is_left_out_of_the_table_and_the_others_are_shown(wrong):
    shown = Newest()
    for message in (row("good", END), row("bad", END) | wrong, {"service": "bad", "kind": "burst", "onset": "x"}):
        shown.note(message)
    console = Console(file=io.StringIO(), width=200)
    console.print(picture(shown, 60))
    assert "good" in console.file.getvalue()
    assert all(name.isdigit() for found in shown.rows.values() for name in found["windows"])


def test_the_table_can_be_read_while_rows_come_in():
    shown, stop, wrong = Newest(), threading.Event(), []

    def feed() -> None:
        for i in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            shown.note(row(f"s{i}", END))

    feeding = threading.Thread(target=feed)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    feeding.start()
    try:
        for _ in range(15):
            picture(shown, 60)
    except RuntimeError as error:
        wrong.append(error)
    stop.set()
    feeding.join()
    sys.setswitchinterval(interval)
    assert wrong == []


def test_rows_of_long_ago_make_room_for_new_ones(monkeypatch):
    monkeypatch.setattr(table, "ROWS_MAX", 3)
    shown = Newest()
    for i in range(3):
        shown.note(row(f"old-{i}", END))
    shown.note(row("old-2", END + 2 * table.FORGET_US))
    shown.note(row("new", END + 2 * table.FORGET_US))
    assert [found["service"] for found in shown.known()] == ["new", "old-2"]


def test_when_nobody_answers_any_more_it_says_so(monkeypatch):
    monkeypatch.setattr(tail, "_SILENT_S", 1.0)
    with embedded_broker() as broker:
        create_topic(broker.bootstrap_servers, partitions=1, name=WINDOWS)
        put(broker.bootstrap_servers, *(row("chat", END + i) for i in range(3)))
        monkeypatch.setattr(tail, "_objects", lambda _consumer: iter(()))
        with pytest.raises(OperatorError, match="stopped answering"):
            list(tail.newest(broker.bootstrap_servers, [WINDOWS], 10))


def test_a_service_without_rows_is_told_which_there_are(kafka_with_rows):
    for options in ([], ["--json"]):
        done = run_cli("windows", "--kafka", kafka_with_rows, "--service", "nope", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert "no windows of service 'nope'; there are: chat, code\n" in done.stderr
    followed = Newest("nope")
    assert "no windows yet" in shown(followed)
    for i in range(30):
        followed.note(row(f"s{i:02}", END))
    assert "no windows of service 'nope'; there are: s00, s01," in followed.none_yet()
    assert followed.none_yet().endswith("s19 and 10 more")
    followed.note(row("nope", END))
    assert "no windows" not in shown(followed)


def test_a_service_whose_event_time_was_set_back_is_followed_from_its_third_row_on():
    newest = Newest(classes=True)
    ahead = END + 30 * 24 * table.FORGET_US
    for message in (row("chat", ahead), row("chat", ahead, "m"), row("code", END)):
        newest.note(message)
    newest.note(burst("onset") | {"onset": ahead, "detected": ahead})
    for i in (1, 2):
        newest.note(row("chat", END + i))
    assert [r["end"] for r in newest.known() if r["model"] == "all"] == [ahead], "two may be late ones"
    newest.note(row("chat", END + 3))
    assert [(r["service"], r["end"]) for r in newest.known()] == [("chat", END + 3), ("code", END)]
    assert newest.active("chat") == [], "a burst of a time that never was is over"
    newest.note(row("chat", END + 4))
    newest.note(burst("onset"))
    assert newest.rows[("chat", "all", "all")]["end"] == END + 4
    assert newest.active("chat") == ["burst"]


def test_rows_told_again_are_no_setting_back():
    newest = Newest()
    newest.note(row("chat", END))
    old = END - 2 * table.FORGET_US
    for end in (old, old, old, old + 2, old + 1, END - 1, old + 3, old + 4):
        newest.note(row("chat", end))
    assert newest.rows[("chat", "all", "all")]["end"] == END


def test_a_narrow_terminal_sees_the_essentials_whole():
    newest = Newest()
    newest.note(row("chat", END))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(picture(newest, 60, 80))
    text = console.export_text()
    for part in ("chat", "2.00", "1.50", "0.50", "25.0%", "7.5 s", "calm"):
        assert part in text
    assert "…" not in text
