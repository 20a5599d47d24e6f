"""The shipper against a broker that misbehaves: it never gets stuck, and loses nothing."""

import subprocess
import sys
import threading
from dataclasses import replace
from typing import ClassVar
from unittest.mock import Mock

import pytest

from collector import outage as outage_module
from collector import shipper as module
from collector.config import parse_config
from collector.kafka_sink import KafkaSink, Unreachable, connection_settings, is_permanent
from collector.outage import AWAY_S, Outage
from collector.schema.codec import CONTENT_TYPES, Batch, Encoding, encode
from collector.schema.errors import OperatorError
from collector.schema.events import Kind
from collector.spool.acked import load_acked
from collector.spool.record import Flush, Message, State, encode_flush
from collector.spool.writer import SpoolWriter


class TooLarge(Exception):  # noqa: N818 - as the code under test names its own
    """A permanent refusal."""


class Sink:
    """A producer whose ``lives`` are scripts: what happens to each message sent in that life."""

    lives: ClassVar[list] = []
    delivered: ClassVar[list] = []

    def __init__(self, _config):
        self.connected = False
        self.life = None

    def connect(self):
        if not self.lives:
            raise Unreachable("no broker")
        self.life = self.lives.pop(0)
        if self.life == "away":
            raise Unreachable("away")
        self.connected = True

    asked = 0

    def answers(self):
        type(self).asked += 1
        return True

    def send(self, message, on_done):
        verdict = self.life(message)
        if verdict == "blocked":
            raise Unreachable("Failed to update metadata")
        if verdict != "silent":
            if verdict is None:
                self.delivered.append(message.body)
            on_done(verdict)

    def close(self):
        self.connected = False


class Parent:
    """The supervisor's end."""

    def __init__(self):
        self.reports = []

    def watch(self, *, on_drain, **_):
        on_drain()

    def report(self, _event, **facts):
        self.reports.append(facts)


def spooled(folder, n):
    writer = SpoolWriter(folder, segment_bytes=20_000, bytes_max=1_000_000)
    for number in range(1, n + 1):
        message = Message(topic="t", key="k", at_ms=0, n=1, body=b"%d" % number)
        flush = Flush(messages=[message], state=State(spooled=number))
        writer.append(encode_flush(flush), flush.state)
    writer.close()


def config_for(folder):
    return parse_config(
        {
            "agent": {"spool_dir": str(folder)},
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "sources": [{"type": "trace", "service": "s", "path": "x"}],
        },
        folder,
    )


def ship(folder, monkeypatch, *lives):
    Sink.lives, Sink.delivered = list(lives), []
    monkeypatch.setattr(module, "KafkaSink", Sink)
    monkeypatch.setattr(module, "is_permanent", lambda error: isinstance(error, TooLarge))
    for name, value in {"WATCHDOG_S": 0.1, "PROBE_S": 0.02, "RECONNECT_S": 0.02, "IDLE_S": 0.01}.items():
        monkeypatch.setattr(module, name, value)
    parent = Parent()
    shipper = module.Shipper(config_for(folder), parent)
    watch = threading.Timer(20, shipper._gone.set)
    watch.start()
    assert shipper.run() == 0
    watch.cancel()
    assert parent.reports[-1]["delivered"]
    return parent.reports[-1]


def numbers(n):
    return [b"%d" % number for number in range(1, n + 1)]


def fine(message):
    return None


def test_everything_spooled_is_sent_in_order_and_its_segments_deleted(tmp_path, monkeypatch):
    spooled(tmp_path, 3_000)
    report = ship(tmp_path, monkeypatch, "away", "away", fine)
    assert Sink.delivered == numbers(3_000)
    assert (report["sent"], report["set_aside"], report["damaged"]) == (3_000, 0, 0)
    assert load_acked(tmp_path).seq == 3_000
    assert len(list(tmp_path.glob("*.seg"))) == 1


def test_an_outage_is_two_lines_however_often_kafka_is_tried(tmp_path, monkeypatch, caplog):
    spooled(tmp_path, 10)
    ship(tmp_path, monkeypatch, *["away"] * 5, fine)
    away, back = (record for record in caplog.records if "event=kafka_" in record.getMessage())
    assert away.getMessage().startswith("event=kafka_away address=127.0.0.1:1 reason=away note=")
    assert "events wait in the spool" in away.getMessage()
    assert back.getMessage().startswith("event=kafka_back away_s=")
    assert {away.levelname, back.levelname} == {"WARNING"}


def test_kafka_that_is_there_from_the_start_is_no_news(tmp_path, monkeypatch, caplog):
    spooled(tmp_path, 10)
    ship(tmp_path, monkeypatch, fine)
    assert "event=kafka_" not in caplog.text


def test_the_shipper_tells_of_acks_that_stay_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(outage_module, "AWAY_S", 0.05)
    spooled(tmp_path, 10)
    ship(tmp_path, monkeypatch, lambda _: "silent", fine)
    told = [record.getMessage().split(" ")[0] for record in caplog.records if "=kafka_" in record.getMessage()]
    assert told == ["event=kafka_away", "event=kafka_back"]


def test_kafka_lost_while_a_producer_waits_for_it_is_told_and_its_return_too():
    """A producer goes on trying for ever and says nothing: only the acks that stay out tell."""
    outage = Outage("k1:9092")
    assert outage.waited(100.0, 7, 0.2) is None
    assert outage.waited(104.0, 7, AWAY_S - 0.1) is None
    assert outage.waited(105.0, 7, AWAY_S).startswith("event=kafka_away address=k1:9092 reason=no_ack_for_5_s ")
    assert outage.waited(160.0, 7, 60.0) is None
    assert outage.waited(161.0, 7, 0.0) is None, "a producer thrown away has nothing that waits, and is not back"
    assert outage.refused(162.0, 7, "no broker") is None
    assert outage.waited(170.0, 8, AWAY_S) is None, "acks again, but not yet of what waits longest"
    assert outage.waited(175.0, 9, 0.1) == "event=kafka_back away_s=75.0"
    assert outage.waited(176.0, 9, 0.1) is None
    assert outage.refused(200.0, 9, "no broker") is not None, "the next outage is told anew"


def test_a_producer_that_acks_nothing_while_the_broker_answers_is_replaced(tmp_path, monkeypatch):
    """kafka-python's idempotent producer stays stuck for ever after one retried batch has timed out."""
    spooled(tmp_path, 50)
    stuck = iter([None] * 10)
    Sink.asked = 0
    report = ship(tmp_path, monkeypatch, lambda _: next(stuck, "silent"), fine)
    assert report["producer_restarts"] == 1
    assert Sink.asked == 2  # one answer may come from a broker that has only just come back
    assert Sink.delivered == numbers(50)


def test_a_failed_send_is_sent_again_with_all_behind_it(tmp_path, monkeypatch):
    spooled(tmp_path, 30)
    verdicts = iter([None] * 7 + [OSError("delivery failed")] + [None] * 5)
    report = ship(tmp_path, monkeypatch, lambda _: next(verdicts, "silent"), fine)
    assert Sink.delivered[:7] == numbers(7)
    assert Sink.delivered[-23:] == numbers(30)[7:]
    assert report["sent"] == 30


def test_a_send_that_cannot_even_be_queued_is_tried_again(tmp_path, monkeypatch):
    spooled(tmp_path, 30)
    verdicts = iter([None] * 5)
    ship(tmp_path, monkeypatch, lambda _: next(verdicts, "blocked"), fine)
    assert Sink.delivered == numbers(30)


def test_a_message_the_broker_never_takes_is_kept_in_a_file_and_passed(tmp_path, monkeypatch):
    spooled(tmp_path, 10)
    report = ship(tmp_path, monkeypatch, lambda m: TooLarge() if m.body == b"4" else None)
    assert Sink.delivered == [body for body in numbers(10) if body != b"4"]
    assert (report["sent"], report["set_aside"]) == (9, 1)
    [kept] = (tmp_path / "set-aside").iterdir()
    assert kept.read_bytes() == b"4"


def test_a_damaged_record_is_passed_and_counted(tmp_path, monkeypatch):
    spooled(tmp_path, 10)
    [path] = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    report = ship(tmp_path, monkeypatch, fine)
    assert (report["sent"], report["damaged"]) == (9, 1)


def test_acked_that_cannot_be_stored_still_frees_the_disk(tmp_path, monkeypatch):
    spooled(tmp_path, 2_000)
    assert len(list(tmp_path.glob("*.seg"))) > 2

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "store_acked", full)
    ship(tmp_path, monkeypatch, fine)
    assert len(list(tmp_path.glob("*.seg"))) == 1
    monkeypatch.undo()
    Sink.delivered = []
    report = ship(tmp_path, monkeypatch, fine)
    assert report["sent"] == 2_000
    assert report["damaged"] == 0


def test_the_sidecar_cannot_even_reach_kafka():
    code = "import sys, collector.sidecar, collector.sources.proxy; print('kafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_producers_settings_avoid_the_known_traps(tmp_path, monkeypatch):
    made = {}
    monkeypatch.setattr("collector.kafka_sink.KafkaProducer", lambda **settings: made.update(settings))
    monkeypatch.setattr(KafkaSink, "ensure_topics", lambda _: None)
    KafkaSink(config_for(tmp_path).kafka).connect()
    assert made["acks"] == "all"
    assert made["enable_idempotence"]
    assert made["delivery_timeout_ms"] >= 10**9
    assert made["reconnect_backoff_max_ms"] <= 1_000
    assert made["max_request_size"] == 16 * 1024 * 1024


def test_the_content_type_header_agrees_with_the_body(tmp_path, monkeypatch):
    sent = []

    class Producer:
        def __init__(self, **_):
            pass

        def send(self, _topic, *, headers, **_):
            sent.append(dict(headers))
            return Mock()

    monkeypatch.setattr("collector.kafka_sink.KafkaProducer", Producer)
    monkeypatch.setattr(KafkaSink, "ensure_topics", lambda _: None)
    sink = KafkaSink(config_for(tmp_path).kafka)
    sink.connect()
    beat = Batch(agent="a", boot="b", key="k", seq=0, kind=Kind.ARRIVAL, n=0)
    for encoding in Encoding:
        sink.send(Message(topic="t", key="k", at_ms=0, n=0, body=encode(beat, encoding)), lambda _: None)
    assert [{"schema": b"1", "content-type": CONTENT_TYPES[encoding].encode()} for encoding in Encoding] == sent


def test_permanent_refusals_are_those_of_the_message_not_of_the_moment():
    from kafka import errors

    assert is_permanent(errors.MessageSizeTooLargeError())
    assert is_permanent(errors.InvalidTimestampError())
    assert not is_permanent(errors.KafkaTimeoutError())
    assert not is_permanent(errors.NotLeaderForPartitionError())


def test_an_absent_broker_is_unreachable_not_a_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("collector.kafka_sink._PROBE_TIMEOUT_MS", 300)
    sink = KafkaSink(config_for(tmp_path).kafka)
    with pytest.raises(Unreachable):
        sink.connect()
    assert not sink.answers()
    with pytest.raises(Unreachable):
        sink.send(Message(topic="t", key="k", at_ms=0, n=0, body=b""), lambda _: None)


def test_a_secret_that_cannot_be_read_is_the_operators_to_mend(tmp_path):
    kafka = replace(
        config_for(tmp_path).kafka, sasl_mechanism="PLAIN", sasl_password_file=tmp_path / "none", sasl_username="u"
    )
    with pytest.raises(OperatorError, match="sasl_password_file"):
        connection_settings(kafka)
