"""The agent: its hot path alone (trace -> batches -> spool), then all of it, to a broker."""

import csv
import resource
import subprocess
import sys
import time

import pytest

from collector.batcher import Batcher
from collector.config import TraceConfig
from collector.intake import Intake
from collector.outbox import RING_BYTES, Outbox
from collector.pump import Pump
from collector.sources.recording import load_recording
from collector.sources.trace import TraceSource
from collector.spool.writer import SpoolWriter
from tests.bench.tables import Table, best_cpu_s
from tests.bench.traces import write_trace
from tests.support.broker import embedded_broker
from tests.support.pipeline import read_batches

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROWS = 50_000
EVENTS = 2 * ROWS


def test_agent_events_per_second(tmp_path):
    table = Table(
        "agent",
        f"{ROWS:,} requests as {EVENTS:,} events; best of 3 in this process, the whole agent once, start-up and "
        "reading the file included; x = times csv.reader over the file",
    )
    trace = write_trace(tmp_path / "trace.csv", ROWS, rate=100.0)
    recordings, spooled = [], []

    def skim():
        with trace.open(newline="") as lines:
            assert sum(1 for _ in csv.reader(lines)) == ROWS + 1

    def load():
        recordings.append(load_recording(trace))

    def play():
        spooled.append(_play(recordings[-1], tmp_path / f"spool-{len(spooled)}"))

    yardstick, loading, playing = best_cpu_s([skim, load, play], rounds=3)
    assert set(spooled) == {EVENTS}
    for what, cost in (
        ("csv.reader alone", yardstick),
        ("reading the trace file", loading),
        ("hot path: source, batch, encode, spool", playing),
    ):
        table.add(what, cpu_us_per_event=cost / EVENTS * 1e6, events_per_cpu_s=EVENTS / cost, x=cost / yardstick)
    wall_s, cpu = _whole_agent(trace, tmp_path)
    table.add(
        "whole agent to the broker (three processes)",
        cpu_us_per_event=cpu / EVENTS * 1e6,
        events_per_cpu_s=EVENTS / cpu,
        x=cpu / yardstick,
        events_per_s=EVENTS / wall_s,
    )
    table.finish()


def _play(recording, folder) -> int:
    """Play the recording into a spool as the sidecar does; return the events spooled."""
    folder.mkdir()
    config = TraceConfig(name="trace", service="svc", path=folder, speed=0.0, origin=None)
    source = TraceSource(config, recording, node="n", now_us=0, checkpoint=None)
    spool = SpoolWriter(folder, segment_bytes=16 << 20, bytes_max=1 << 30)
    pump = Pump(
        batcher=Batcher(agent="a", boot="b", batch_max=1000),
        outbox=Outbox(spool, ring_bytes=RING_BYTES),
        intake=Intake(),
        live=[],
        recorded=[source],
        linger_s=0.2,
    )
    while not pump.done:
        pump.step(time.monotonic())
    spool.close()
    return pump.counts().spooled


def _whole_agent(trace, folder) -> tuple[float, float]:
    """Wall and CPU seconds of `burstwatch agent` from start to end, all its processes."""
    with embedded_broker() as broker:
        config = folder / "agent.toml"
        config.write_text(
            f'[agent]\nid = "bench"\nspool_dir = "{folder / "spool"}"\n'
            f'[kafka]\nbootstrap_servers = "{broker.bootstrap_servers}"\n'
            f'[[sources]]\ntype = "trace"\nservice = "svc"\npath = "{trace}"\nspeed = 0\n'
        )
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "burstwatch", "agent", "-c", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr[-2000:]
        assert EVENTS == sum(batch.n for batch in read_batches(broker.bootstrap_servers, "svc"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu
