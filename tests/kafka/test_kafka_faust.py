"""Conformance: a Faust app starts, and its table is whole again after kill -9 with its folder gone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaProducer

from tests.support.broker import create_topic, unique
from tests.support.kafka_clients import wait_for

pytestmark = pytest.mark.kafka

APP = Path(__file__).parent.parent / "support" / "faust_table_app.py"


class App:
    """The Faust app in a process of its own; it prints its table whenever that changed."""

    def __init__(self, kafka: str, name: str, topic: str, folder: Path) -> None:
        self.log = folder.with_suffix(".log")
        command = [sys.executable, str(APP), kafka, name, topic, str(folder)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def table(self) -> dict[str, int]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("TABLE ")]
        return json.loads(lines[-1][6:]) if lines else {}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def test_a_faust_table_recovers_from_its_changelog(kafka: str, tmp_path: Path):
    topic, name = create_topic(kafka, partitions=4), unique("app")
    sender = KafkaProducer(bootstrap_servers=kafka, compression_type="lz4")

    def write(count: int) -> None:
        for i in range(count):
            sender.send(topic, b"%d" % i, key=b"key-%d" % (i % 10))
        sender.flush(10)

    write(500)
    app = App(kafka, name, topic, tmp_path / "one")
    try:
        wait_for(lambda: sum(app.table().values()) == 500, "500 records counted", within_s=40)
    finally:
        app.kill()
    app = App(kafka, name, topic, tmp_path / "two")
    try:
        wait_for(lambda: sum(app.table().values()) >= 500, "the table recovered", within_s=40)
        assert {f"key-{i}" for i in range(10)} == set(app.table())
        before = sum(app.table().values())
        write(100)
        wait_for(lambda: sum(app.table().values()) >= before + 100, "the app working on", within_s=20)
    finally:
        app.kill()
        sender.close()
