"""A worker on a real broker: what goes in comes out as counters, windows and dead letters."""

import hashlib
import urllib.request
from pathlib import Path

import pytest

from collector.schema.codec import Batch, columns_of, decode, encode
from collector.schema.events import Kind, Resource
from collector.schema.topics import DEAD_LETTER, EPISODES, REQUESTS, RESOURCES, WINDOWS
from streams.processors.outputs import WindowRow, window_message
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.broker import embedded_broker
from tests.support.worker_process import WorkerProcess, ends, interleaved, produce, read_json, service_traffic

pytestmark = pytest.mark.kafka


def offline(messages: list[tuple[bytes, bytes]]) -> dict[str, dict]:
    """The window messages of one service without Kafka, by id."""
    state = ServiceState(messages[0][0].decode(), AnalysisSettings())
    rows = {}
    for offset, (_, body) in enumerate(messages):
        for result in state.apply(decode(body), offset):
            if isinstance(result, WindowRow):
                message = window_message(result)
                rows[message["id"]] = message
    return rows


def test_a_worker_shows_what_it_read_and_stops_in_order(tmp_path: Path):
    log = tmp_path / "log"
    services = [service_traffic(name, 12, 50) for name in ("chat", "code", "batch")]
    node = Resource(at=1, node="n1", source="s", engine="e", kv_cache_usage_ratio=0.25, running=2)
    resource = Batch(
        agent="a", boot="b", key="n1", seq=0, kind=Kind.RESOURCE, n=1, columns=columns_of(Kind.RESOURCE, [node])
    )
    junk = b"\x00 not json"
    with embedded_broker() as broker:
        kafka = broker.bootstrap_servers
        worker = WorkerProcess.start(kafka, "w", log)
        try:
            produce(kafka, [*interleaved(services), (b"x", junk), (b"chat", None)])
            produce(kafka, [(b"n1", encode(resource)), (b"n2", junk)], RESOURCES)
            worker.wait_for(ends(kafka))
            assert worker.total("burstwatch_arrivals_total") == 3 * 12 * 50
            assert worker.total("burstwatch_completions_total", service="code") == 12 * 50
            assert worker.total("burstwatch_kv_cache_usage_ratio", node="n1") == 0.25
            assert worker.total("burstwatch_dead_letters_total", reason="not_json") == 2
            assert worker.total("burstwatch_dead_letters_total", reason="empty") == 1
            assert worker.total("burstwatch_offset_gaps_total") == 0
            assert worker.total("burstwatch_partitions_owned") == 4
            health = urllib.request.urlopen(worker.url.replace("/metrics", "/healthz"), timeout=5)
            assert health.status == 200
        finally:
            assert worker.stop() == 0, log.read_text()
        found = {row["id"]: row for row in read_json(kafka, WINDOWS)}
        letters = read_json(kafka, DEAD_LETTER)
        assert {episode["kind"] for episode in read_json(kafka, EPISODES)} == {"failure"}
    expected = {id_: row for messages in services for id_, row in offline(messages).items()}
    assert len(expected) >= 18
    assert found == expected
    assert {letter["sha256"] for letter in letters} == {
        hashlib.sha256(junk).hexdigest(),
        hashlib.sha256(b"").hexdigest(),
    }
    assert "not json" not in str(letters)
    assert "Traceback" not in log.read_text()


def test_a_batch_of_six_megabytes_passes(tmp_path: Path):
    """A batch far above Kafka's default of 1 MB."""
    messages = service_traffic("big", 1, 80_000)
    assert max(len(body) for _, body in messages) > 4 << 20
    with embedded_broker() as broker:
        worker = WorkerProcess.start(broker.bootstrap_servers, "w", tmp_path / "log")
        try:
            produce(broker.bootstrap_servers, messages)
            worker.wait_for(ends(broker.bootstrap_servers))
            assert worker.total("burstwatch_arrivals_total") == 80_000
        finally:
            worker.stop()


def test_a_state_of_other_partitions_is_refused_with_what_to_do(tmp_path: Path):
    from tests.support.broker import create_topic

    with embedded_broker() as broker:
        create_topic(broker.bootstrap_servers, partitions=2, name="w-state-changelog")
        with pytest.raises(RuntimeError, match=f"{REQUESTS} has 4 partitions.*--app-id"):
            WorkerProcess.start(broker.bootstrap_servers, "w", tmp_path / "log")
