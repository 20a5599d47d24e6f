"""The floor of the analysis: bytes -> columns -> windows, without Kafka and Faust."""

import orjson
import pytest

from collector.schema.codec import Batch, Encoding, columns_of, decode, encode, events_of
from collector.schema.events import Kind
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.bench.tables import Table, best_cpu_s
from tests.support.worker_process import service_traffic

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

EVENTS = 40_000
RATE = 2000.0  # requests a second of event time: how often windows close per event


def test_codec_and_analysis_per_event():
    table = Table(
        "codec",
        "CPU us/event, best of 5; arrivals and completions half and half; binary body; x = times orjson.loads of JSON",
    )
    for size in (10, 100, 1000):
        texts = [body for _, body in service_traffic("svc", EVENTS // size // 2, size, rate=RATE)]
        bodies = [encode(decode(body), Encoding.BINARY) for body in texts]
        batches = [decode(body) for body in bodies]
        events = [(batch, events_of(batch)) for batch in batches]
        done: dict[str, int] = {}

        def parse(texts=texts):
            for body in texts:
                orjson.loads(body)

        def read_json(texts=texts, done=done):
            done["decode JSON"] = sum(decode(body).n for body in texts)

        def read(bodies=bodies, done=done):
            done["decode"] = sum(decode(body).n for body in bodies)

        def pack(events=events, done=done):
            done["encode"] = sum(len(_packed(batch, rows)) > 0 and batch.n for batch, rows in events)

        def analyse(batches=batches, done=done):
            state = ServiceState("svc", AnalysisSettings())
            rows = sum(len(state.apply(batch, offset)) for offset, batch in enumerate(batches))
            totals = state.totals.values()
            done["apply"] = sum(t.arrivals + t.completions.total() for t in totals)
            done["rows"] = rows

        yardstick, *costs = best_cpu_s([parse, read, analyse, pack, read_json])
        assert done.pop("rows") > 0
        assert dict.fromkeys(("decode", "encode", "apply", "decode JSON"), EVENTS) == done
        table.add(f"orjson.loads, {size:,} a message", us_per_event=yardstick / EVENTS * 1e6, x=1.0)
        names = ("decode", "ServiceState.apply", "columns_of + encode", "decode JSON")
        for name, cost in zip(names, costs, strict=True):
            table.add(f"{name}, {size:,} a message", us_per_event=cost / EVENTS * 1e6, x=cost / yardstick)
        both = costs[0] + costs[1]
        table.add(
            f"decode + apply, {size:,} a message",
            us_per_event=both / EVENTS * 1e6,
            x=both / yardstick,
            events_per_cpu_s=EVENTS / both,
        )
    table.finish()


def test_snapshot_per_service():
    """What a snapshot round costs for one service with the longest window full."""
    table = Table("snapshot", "CPU ms for one service after an hour of events at 50/s, best of 5")
    state = ServiceState("svc", AnalysisSettings())
    for offset, (_, body) in enumerate(service_traffic("svc", 180, 1000, rate=50.0)):
        state.apply(decode(body), offset)
    body = state.snapshot()
    saved, restored = best_cpu_s([state.snapshot, lambda: ServiceState.restore(body, AnalysisSettings())])
    assert ServiceState.restore(body, AnalysisSettings()).totals == state.totals
    table.add("snapshot", ms=saved * 1e3, bytes=len(body))
    table.add("restore", ms=restored * 1e3, bytes=len(body))
    table.finish()


def _packed(batch: Batch, rows: list) -> bytes:
    columns = columns_of(batch.kind, rows) if rows else {}
    return encode(
        Batch(agent="a", boot="b", key="svc", seq=0, kind=Kind(batch.kind), n=len(rows), watermark=1, columns=columns),
        Encoding.BINARY,
    )
