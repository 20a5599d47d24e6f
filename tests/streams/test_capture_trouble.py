"""Capture in trouble it cannot mend: what it has is kept, and one line says what to do."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS
from streams.capture import cli
from streams.capture.files import DiskFolder, lock_folder
from streams.capture.recorder import Lost
from streams.capture.retention import Limits
from streams.capture.segments import parse_name
from streams.capture.tap import KafkaLog
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.events import completion
from tests.support.fake_log import FakeLog, message

PARTITION = TopicPartition(REQUESTS, 0)


class OutOfRange:
    """A consumer whose position the log does not hold."""

    def __init__(self, wanted: int, first: Any, end: int = 0) -> None:
        self.wanted, self.first, self.end = wanted, first, end

    def poll(self, **_):
        raise OffsetOutOfRangeError({PARTITION: self.wanted})

    def beginning_offsets(self, *_, **__):
        if isinstance(self.first, Exception):
            raise self.first
        return {PARTITION: self.first}

    def end_offsets(self, *_, **__):
        return {PARTITION: self.end}


def test_offsets_that_retention_took_are_told_as_lost():
    with pytest.raises(Lost) as lost:
        KafkaLog(OutOfRange(5, 9), REQUESTS).poll()
    assert (lost.value.partition, lost.value.wanted, lost.value.earliest) == (0, 5, 9)


def test_a_topic_made_anew_while_it_is_read_is_told():
    with pytest.raises(OperatorError, match="ends at offset 3, but the captured files go on at 5"):
        KafkaLog(OutOfRange(5, 0, 3), REQUESTS).poll()


def test_kafka_going_away_while_the_hole_is_looked_at_is_waited_out(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert KafkaLog(OutOfRange(5, KafkaTimeoutError("away")), REQUESTS).poll() == {}


def test_when_it_must_give_up_what_it_has_read_becomes_a_segment_first(tmp_path: Path):
    class MadeAnew(FakeLog):
        polls = 0

        def poll(self):
            self.polls += 1
            if self.polls > 1:
                raise OperatorError("the topic was made anew")
            return super().poll()

        def close(self) -> None:
            self.closed = True

    log = MadeAnew({0: [message([completion(i)], seq=i) for i in range(5)]})
    writer = SegmentWriter(DiskFolder(tmp_path), REQUESTS, Rotation())
    with pytest.raises(OperatorError, match="made anew"):
        cli._record(log, writer, threading.Event())
    assert log.closed
    (name,) = [n for file in tmp_path.iterdir() if (n := parse_name(file.name))]
    assert (name.first, name.last) == (0, 2)


def test_a_lock_that_may_not_be_opened_is_the_operators_fault(tmp_path: Path):
    (tmp_path / ".capture.lock").mkdir()
    with pytest.raises(OperatorError, match=r"cannot lock .*choose another --out"):
        lock_folder(tmp_path)


def test_kafka_being_away_is_heard_once_in_a_while_and_what_happens_each_time():
    code = """if True:
        import logging
        from streams.capture import cli
        cli._log_to_stderr()
        logging.getLogger("kafka").setLevel(logging.WARNING)
        for i in range(50):
            logging.getLogger("kafka.conn").error("no node %s", i)
            logging.getLogger("streams.capture.tap").warning("event=kafka_trouble n=%d", i)
            logging.getLogger("streams.capture.tap").info("event=reading n=%d", i)
            logging.getLogger("streams.capture.recorder").error("event=disk_trouble n=%d", i)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    counts = {what: done.stderr.count(what) for what in ("no node", "kafka_trouble", "reading", "disk_trouble")}
    assert counts == {"no node": 1, "kafka_trouble": 1, "reading": 50, "disk_trouble": 50}


def test_rotation_and_retention_are_what_the_options_say(tmp_path: Path):
    words = ["--kafka", "h:1", "--out", "o", "--rotate-mb", "3", "--rotate-s", "5", "--rotate-events", "7"]
    words += ["--retain-days", "1.5", "--retain-gb", "0.5"]
    writer = cli._writer(cli._parser().parse_args(words), DiskFolder(tmp_path))
    assert writer._rotation == Rotation(events=7, span_us=5_000_000, bytes=3 * 1024 * 1024)
    assert writer._retention.limits == Limits(age_us=129_600_000_000, bytes=500_000_000)
    assert cli._writer(cli._parser().parse_args(words[:4]), DiskFolder(tmp_path))._retention is None


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "nan", "inf"])
@pytest.mark.parametrize("option", ["--retain-days", "--retain-gb"])
def test_a_limit_that_is_none_is_refused(option, wrong, capsys):
    with pytest.raises(SystemExit):
        cli.main(["--kafka", "h:1", "--out", "o", f"{option}={wrong}"])
    assert "must be a number above 0" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--metrics-port", "--rotate-s"])
def test_an_option_that_is_no_number_is_told_in_words(option, capsys):
    with pytest.raises(SystemExit):
        cli.main(["--kafka", "h:1", "--out", "o", option, "x"])
    assert f"argument {option}: must be a whole number, not 'x'" in capsys.readouterr().err
