"""What a capture shows of itself: each thing once, true over trouble and restarts, and never in the recording's way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Self

import pytest
from prometheus_client.parser import text_string_to_metric_families

from burstwatch.cli import main as burstwatch
from burstwatch.up.cli import prepare
from burstwatch.up.plan import UpOptions
from burstwatch.up.plan import capture as capture_of_up
from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS
from streams.capture import metrics
from streams.capture.files import DiskFolder
from streams.capture.metrics import LAG_OLD_S, STUCK_S, Watch, serving
from streams.capture.recorder import Recorder
from streams.capture.writer import Rotation, SegmentWriter
from streams.export.catalogue import CAPTURE, CATALOGUE
from streams.export.prometheus import Page
from tests.support.broker import create_topic, embedded_broker
from tests.support.events import completion
from tests.support.fake_log import FakeLog, FullFolder, heartbeat, message

Values = dict[str, float]


def rows(count: int) -> list[bytes]:
    """``count`` messages of two completed requests each."""
    return [message([completion(2 * i), completion(2 * i + 1)], seq=i) for i in range(count)]


class Capture:
    """A capture of a topic in memory, one step at a time, and its page."""

    def __init__(self, log: FakeLog, folder: DiskFolder, *, events: int = 4) -> None:
        self.log = log
        self.now_s = 1000.0
        self.writer = SegmentWriter(folder, REQUESTS, Rotation(events=events))
        self.recorder = Recorder(log, self.writer, lambda _: None)
        self.watch = Watch(self.writer, folder.path, lambda: self.now_s)

    def ask(self, _partitions: list[int]) -> dict[int, int]:
        return self.log.ends()

    def close(self) -> None:
        pass

    def steps(self, count: int) -> "Capture":
        for _ in range(count):
            self.recorder.step()
        return self

    def shown(self) -> Values:
        return parsed(Page(self.watch.samples).render()[0].decode())


def parsed(page: str) -> Values:
    """{"messages_total": 3, "lag_messages/0": 1}"""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = [f"/{value}" for value in sample.labels.values()]
            found["".join([sample.name.removeprefix("burstwatch_capture_"), *labels])] = sample.value
    return found


def test_everything_declared_is_served_and_everything_served_is_declared(tmp_path: Path):
    capture = Capture(FakeLog({0: rows(5)}), DiskFolder(tmp_path)).steps(2)
    capture.watch.note_lag(capture)
    assert {sample.name for sample in capture.watch.samples()} == {metric.name for metric in CAPTURE}
    assert all(len(s.labels) == len(CATALOGUE[s.name].labels) for s in capture.watch.samples())


def test_it_counts_messages_events_segments_and_what_it_cannot_read(tmp_path: Path):
    capture = Capture(FakeLog({0: [*rows(5), b"junk", heartbeat(seq=5, watermark=9)]}), DiskFolder(tmp_path)).steps(3)
    shown = capture.shown()
    assert shown["messages_total"] == 7
    assert (shown["segments_total"], shown["events_total"]) == (2, 8)  # the fifth message's segment is open
    assert shown["unreadable_messages_total"] == 1
    assert (shown["write_failures_total"], shown["lost_messages_total/0"]) == (0, 0)
    assert shown["disk_free_bytes"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


def test_before_it_has_found_a_partition_there_are_zeros_and_no_guesses(tmp_path: Path):
    shown = Capture(FakeLog({}), DiskFolder(tmp_path)).shown()
    assert shown.pop("disk_free_bytes") > 0
    totals = ("messages_total", "events_total", "segments_total", "unreadable_messages_total", "write_failures_total")
    assert shown == dict.fromkeys(totals, 0)


@pytest.mark.parametrize("refused", ["create", "sync", "rename", "sync_names"])
def test_what_the_disk_refuses_is_counted_and_no_message_twice(tmp_path: Path, refused: str):
    folder = FullFolder(tmp_path)
    capture = Capture(FakeLog({0: [*rows(5), b"junk"]}), folder)
    folder.refuses = {refused}
    shown = capture.steps(5).shown()
    assert shown["write_failures_total"] >= 5
    assert shown["events_total"] == (8 if refused == "sync_names" else 0)  # renamed: part of the trace already
    folder.refuses = set()
    before = shown["write_failures_total"]
    shown = capture.steps(5).shown()
    capture.recorder.finish()
    assert shown["write_failures_total"] == before
    assert (shown["messages_total"], shown["unreadable_messages_total"]) == (6, 1)
    assert capture.shown()["events_total"] == 10


def test_messages_kafka_no_longer_had_are_counted_by_partition(tmp_path: Path):
    log = FakeLog({0: rows(9), 1: rows(2)})
    capture = Capture(log, DiskFolder(tmp_path)).steps(1)
    log.forget_before(0, 7)
    shown = capture.steps(3).shown()
    assert (shown["lost_messages_total/0"], shown["lost_messages_total/1"]) == (4, 0)


def test_a_hole_that_grows_by_what_the_disk_refused_is_counted_whole(tmp_path: Path):
    log, folder = FakeLog({0: rows(9)}), FullFolder(tmp_path)
    capture = Capture(log, folder, events=100).steps(1)
    log.forget_before(0, 7)
    folder.refuses = {"rename"}
    assert capture.steps(1).shown()["lost_messages_total/0"] == 0  # back to where the open segment began
    folder.refuses = set()
    assert capture.steps(4).shown()["lost_messages_total/0"] == 7  # and what was read and refused is gone as well


def test_lag_is_what_the_topic_holds_beyond_what_was_taken_and_absent_without_an_answer(tmp_path: Path):
    log = FakeLog({0: rows(7), 1: rows(1)})
    capture = Capture(log, DiskFolder(tmp_path)).steps(1)
    assert "lag_messages/0" not in capture.shown()
    capture.watch.note_lag(capture)
    assert {name: value for name, value in capture.shown().items() if name.startswith("lag")} == {
        "lag_messages/0": 4,
        "lag_messages/1": 0,
    }
    capture.now_s += LAG_OLD_S
    assert "lag_messages/0" not in capture.shown()
    capture.watch.note_lag(capture)
    assert capture.shown()["lag_messages/0"] == 4
    log.partitions = {}
    capture.watch.note_lag(capture)
    assert "lag_messages/0" not in capture.shown()


def test_while_the_disk_is_full_the_lag_grows_by_all_that_waits_in_kafka_and_falls_when_there_is_room(tmp_path: Path):
    """Also what had been read already: the segment that could not be written is given back."""
    log, folder = FakeLog({0: rows(9)}), FullFolder(tmp_path)
    capture = Capture(log, folder, events=100).steps(1)
    capture.watch.note_lag(capture)
    assert capture.shown()["lag_messages/0"] == 6
    folder.refuses = {"create", "sync"}
    capture.recorder.finish()
    capture.steps(3).watch.note_lag(capture)
    shown = capture.shown()
    assert (shown["lag_messages/0"], shown["events_total"]) == (9, 0)
    assert shown["write_failures_total"] >= 4
    log.partitions[0] += [(9, message([completion(99)], seq=9))]
    capture.steps(1).watch.note_lag(capture)
    assert capture.shown()["lag_messages/0"] == 10
    folder.refuses = set()
    capture.steps(5).recorder.finish()
    capture.watch.note_lag(capture)
    shown = capture.shown()
    assert (shown["lag_messages/0"], shown["events_total"], shown["messages_total"]) == (0, 19, 10)


def test_the_newest_segments_time_is_its_files_and_survives_a_restart(tmp_path: Path):
    log = FakeLog({0: rows(2), 1: rows(4)})
    capture = Capture(log, DiskFolder(tmp_path))
    assert "last_segment_timestamp_seconds" not in capture.shown()
    capture.steps(1)
    newest = tmp_path / capture.writer.tally.newest
    os.utime(newest, (5, 5_000.25))
    for other in set(tmp_path.glob("*.seg")) - {newest}:
        os.utime(other, (5, 4_000))
    (tmp_path / "unfinished.seg.tmp").write_bytes(b"")
    assert capture.shown()["last_segment_timestamp_seconds"] == 5_000.25
    log.restart()
    again = Capture(log, DiskFolder(tmp_path))
    assert again.shown()["last_segment_timestamp_seconds"] == 5_000.25
    again.steps(1)
    assert again.shown()["last_segment_timestamp_seconds"] > 1e9  # another was finished: now
    (tmp_path / again.writer.tally.newest).unlink()
    assert again.shown()["last_segment_timestamp_seconds"] > 1e9


def test_a_recording_that_stands_still_is_stuck_and_one_that_turns_is_not(tmp_path: Path):
    capture = Capture(FakeLog({}), DiskFolder(tmp_path))
    assert capture.watch.stuck() is None
    for _ in range(5):
        capture.now_s += STUCK_S
        assert capture.steps(1).watch.stuck() is None
    capture.now_s += STUCK_S
    assert capture.watch.stuck() == "no turn of the recording loop for 120 s"
    assert capture.steps(1).watch.stuck() is None


@contextmanager
def served(capture: Capture) -> Iterator[str]:
    with serving(capture.watch, capture, "127.0.0.1", 0) as url:
        yield url.removesuffix("/metrics")


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def try_to_fetch(url: str) -> None:
    with suppress(OSError, HTTPException):
        fetch(url)


def test_it_is_served_while_the_recording_stands_still_and_healthz_says_so(tmp_path: Path):
    """The recording thread is this one: it does nothing while the pages are fetched."""
    capture = Capture(FakeLog({0: rows(3)}), DiskFolder(tmp_path)).steps(1)
    with served(capture) as url:
        assert parsed(fetch(f"{url}/metrics"))["messages_total"] == 3
        assert fetch(f"{url}/healthz") == "ok\n"
        capture.now_s += STUCK_S
        with pytest.raises(urllib.error.HTTPError) as error:
            fetch(f"{url}/healthz")
        assert error.value.code == 503
        assert "no turn" in error.value.read().decode()
    with pytest.raises(OSError, match="refused"):
        fetch(f"{url}/healthz")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("capture-")]


def test_a_scrape_that_hangs_holds_up_neither_the_recording_nor_its_end(tmp_path: Path):
    capture = Capture(FakeLog({0: rows(3)}), DiskFolder(tmp_path))
    asked, answer = threading.Event(), threading.Event()

    def never_ends() -> Iterator:
        asked.set()
        answer.wait(60)
        return iter(())

    capture.watch.samples = never_ends
    with served(capture) as url:
        scrape = threading.Thread(target=try_to_fetch, args=[f"{url}/metrics"], daemon=True)
        scrape.start()
        assert asked.wait(20)
        assert capture.steps(2).writer.tally.messages == 3
        assert capture.recorder.finish()
    answer.set()


def test_a_lag_that_cannot_be_asked_for_costs_only_the_lag_and_only_while_it_cannot(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(metrics, "LAG_EVERY_S", 0.01)
    capture = Capture(FakeLog({0: rows(3)}), DiskFolder(tmp_path)).steps(1)
    ends, asked, well, noted = capture.ask, threading.Event(), threading.Event(), threading.Event()

    def ask(partitions: list[int]) -> dict[int, int]:
        asked.set()
        if not well.is_set():
            raise ZeroDivisionError
        if "lag_messages/0" in capture.shown():
            noted.set()  # an answer before this one
        return ends(partitions)

    capture.ask = ask
    with served(capture) as url:
        assert asked.wait(20)
        shown = parsed(fetch(f"{url}/metrics"))
        assert (shown["messages_total"], "lag_messages/0" in shown) == (3, False)
        well.set()
        assert noted.wait(20)
        assert parsed(fetch(f"{url}/metrics"))["lag_messages/0"] == 0


def test_a_port_that_is_taken_is_the_operators_to_mend(tmp_path: Path):
    capture = Capture(FakeLog({}), DiskFolder(tmp_path))
    with served(capture) as url:
        taken = int(url.rpartition(":")[2])
        with pytest.raises(OperatorError, match=f"port {taken} is taken; choose another with --metrics-port"):
            serving(capture.watch, capture, "127.0.0.1", taken).__enter__()


@pytest.mark.parametrize("wrong", ["-1", "65536", "many"])
def test_a_port_that_is_none_is_refused(wrong, capsys):
    with pytest.raises(SystemExit) as error:
        burstwatch(["capture", "--kafka", "x", "--out", "y", "--metrics-port", wrong])
    assert error.value.code == 2
    assert "--metrics-port" in capsys.readouterr().err


def test_up_serves_the_metrics_of_its_capture_on_a_port_of_their_own(tmp_path: Path):
    places = prepare(UpOptions(out=tmp_path))
    args = capture_of_up(UpOptions(out=tmp_path), places).args
    assert args[args.index("--metrics-port") + 1] == str(places.capture_metrics_port)
    assert len({places.capture_metrics_port, places.metrics_port, places.broker_port, 0}) == 4


# -- the process, against a broker


class Process:
    """`burstwatch capture --metrics-port 0` on a broker."""

    def __init__(self, kafka: str, out: Path) -> None:
        command = [sys.executable, "-m", "burstwatch", "capture", "--kafka", kafka, "--out", str(out)]
        command += ["--rotate-events", "4", "--metrics-port", "0"]
        with out.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        assert ready["component"] == "capture"
        self.url = ready["metrics_url"]

    def page(self) -> str:
        return fetch(self.url)

    def until(self, wanted: dict[str, float | None], *, there: str = "messages_total") -> Values:
        """Return what is shown when it shows what is wanted (None is absence), and ``there`` with any value."""
        deadline = time.monotonic() + 40
        while True:
            shown = parsed(self.page())
            if there in shown and wanted == {name: shown.get(name) for name in wanted}:
                return shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)

    def end(self, number: int) -> int:
        self._process.send_signal(number)
        code = self._process.wait(30)
        self._process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end(signal.SIGKILL)


def produce(kafka: str, bodies: list[bytes]) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka)
    for body in bodies:
        producer.send(REQUESTS, value=body, partition=0).get(10)
    producer.close()


@pytest.mark.slow
@pytest.mark.kafka
def test_a_real_capture_shows_its_lag_loses_it_with_kafka_and_finds_it_again(tmp_path: Path):
    out = tmp_path / "captured"
    with embedded_broker(tmp_path / "broker") as broker:
        create_topic(broker.bootstrap_servers, partitions=2, name=REQUESTS)
        produce(broker.bootstrap_servers, [*rows(5), b"junk"])
        with Process(broker.bootstrap_servers, out) as capture:
            caught_up = {"lag_messages/0": 0, "lag_messages/1": 0, "lost_messages_total/0": 0}
            shown = capture.until(
                {"messages_total": 6, "unreadable_messages_total": 1, "segments_total": 2} | caught_up
            )
            assert shown["events_total"] == 8
            assert abs(time.time() - shown["last_segment_timestamp_seconds"]) < 3600
            broker.kill()
            capture.until({"lag_messages/0": None, "lag_messages/1": None, "messages_total": 6})
            again = broker.restart()
            try:
                produce(again.bootstrap_servers, rows(1))
                capture.until({"messages_total": 7} | caught_up)
                assert capture.end(signal.SIGTERM) == 0
            finally:
                again.stop()


@pytest.mark.kafka
def test_killed_while_it_is_scraped_a_capture_goes_on_exactly_and_knows_when_it_last_finished_one(tmp_path: Path):
    out = tmp_path / "captured"
    with embedded_broker() as broker:
        create_topic(broker.bootstrap_servers, partitions=1, name=REQUESTS)
        produce(broker.bootstrap_servers, rows(5))
        with Process(broker.bootstrap_servers, out) as capture:
            shown = capture.until({"messages_total": 5, "segments_total": 2}, there="lag_messages/0")
            served_names = {sample.name for f in families(capture.page()) for sample in f.samples}
            assert served_names == {metric.name for metric in CAPTURE}
            lint(capture.page())
            capture.end(signal.SIGKILL)
        with Process(broker.bootstrap_servers, out) as capture:
            first = capture.until({"messages_total": 1, "segments_total": 0, "events_total": 0})
            assert first["last_segment_timestamp_seconds"] == shown["last_segment_timestamp_seconds"]
            assert capture.end(signal.SIGTERM) == 0
    names = sorted(path.name for path in out.glob("*.seg"))
    assert [name[-45:] for name in names] == [f"{a:020d}-{b:020d}.seg" for a, b in ((0, 1), (2, 3), (4, 4))]


def families(page: str) -> list:
    return list(text_string_to_metric_families(page))


def lint(page: str) -> None:
    """Prometheus's own linter has nothing to say. (Left out where promtool is absent.)"""
    if (promtool := shutil.which("promtool")) is None:
        return
    found = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
