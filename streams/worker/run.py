"""One worker process from start to stop: topics, metrics server, Faust, snapshots, the final snapshot."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from collector.schema.errors import OperatorError
from streams.config import SERIES_MAX, WorkerSettings
from streams.export.engine_samples import device_samples, engine_gauges
from streams.export.http import MetricsServer
from streams.export.prometheus import Page
from streams.export.samples import (
    Sample,
    agent_samples,
    clock_samples,
    lag_samples,
    partition_samples,
    resource_samples,
    series_of,
    service_gauges,
    without_histograms,
    worker_samples,
)
from streams.export.window_samples import window_samples
from streams.worker.app import TABLE, Guards, StreamWorker
from streams.worker.flow import Flow
from streams.worker.topics import changelog_topic, prepare_topics

log = logging.getLogger(__name__)

FINAL_SNAPSHOT_S = 1.0
FAUST_STOP_S = 2.0


def read_samples(flow: Flow, now_s: float, release: str, series_max: int = SERIES_MAX) -> Iterator[Sample]:
    """Return everything the worker shows at this moment.

    Window gauges make up what is left of ``series_max``; the rest is shown in any case, histograms while they take
    no more than half of it.
    """
    shown = list(without_histograms(_all_but_windows(flow, now_s, release), series_max // 2))
    yield from shown
    states = [s for p in flow.partitions.values() for name, s in p.services.items() if flow.hears(name)]
    yield from window_samples(states, series_max - sum(map(series_of, shown)) - 1)


def _all_but_windows(flow: Flow, now_s: float, release: str) -> Iterator[Sample]:
    for partition in list(flow.partitions.values()):
        for counters in list(partition.durable.values()):
            yield from counters
        for name, state in list(partition.services.items()):
            if flow.hears(name):
                yield from service_gauges(state)
                yield from engine_gauges(state)
    yield from resource_samples(flow.board.readings(now_s))
    yield from device_samples(flow.board.device_exhaustions(now_s))
    yield from clock_samples(flow.clocks.heard())
    yield from agent_samples(flow.heard.newest())
    yield from lag_samples(flow.lags())
    for number, owned in sorted(flow.partitions.items()):
        kept, unsaved = len(owned.services), owned.waiting
        yield from partition_samples(number, offset=owned.durable_offset, kept=kept, unsaved=unsaved)
    yield from worker_samples(flow.tally, len(flow.partitions), release)


async def serve(settings: WorkerSettings, guards: Guards | None = None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0 drained, 1 if Faust gave up.

    Raises ``OperatorError`` if there is no broker, the topics do not fit, or the metrics port is taken.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stopping)
    topic = changelog_topic(settings.app_id, TABLE)
    partitions = await prepare_topics(settings.servers, topic, settings.partitions)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    with _scratch(settings.data_dir) as folder:
        worker = StreamWorker(replace(settings, data_dir=folder), partitions, guards)
        release = version("burstwatch")
        server = MetricsServer(Page(lambda: read_samples(worker.flow, loop.time(), release, settings.series_max)))
        port = await server.start(settings.metrics_host, settings.metrics_port)
        try:
            return await _run(worker, stopping, f"http://{settings.metrics_host}:{port}/metrics")
        finally:
            await server.close()


def _on_signal(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(130)  # the second signal means now
    stopping.set()


@contextlib.contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="burstwatch-worker-", ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot use --data-dir {folder}: {error.strerror}") from error
    yield folder


async def _run(worker: StreamWorker, stopping: asyncio.Event, url: str) -> int:
    app = worker.app
    app.finalize()
    tasks = {
        "stop": asyncio.create_task(stopping.wait()),
        "ready": asyncio.create_task(_get_ready(worker, url)),
        "snapshots": asyncio.create_task(worker.keep_snapshotting()),
        "crash": asyncio.create_task(app._crashed.wait()),  # noqa: SLF001 - mode offers no other wait
    }
    ends = [task for name, task in tasks.items() if name != "ready"]
    while not any(task.done() for task in ends):
        await asyncio.wait([task for task in tasks.values() if not task.done()], return_when="FIRST_COMPLETED")
        if tasks["ready"].done() and tasks["ready"].exception():
            break
    clean = stopping.is_set()
    if not clean:
        failed = next((t for t in tasks.values() if t.done() and t.exception()), None)
        log.error("worker=failed", exc_info=(failed.exception() if failed else app.crash_reason))
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    await _stop(worker, clean=clean)
    return 0 if clean else 1


async def _get_ready(worker: StreamWorker, url: str) -> None:
    await worker.app.start()
    await worker.app.tables.recovery.completed.wait()
    facts = {"event": "ready", "component": "worker", "metrics_url": url}
    print(json.dumps(facts), flush=True)  # noqa: T201 - the readiness line
    log.info("worker=ready partitions=%d metrics=%s", len(worker.flow.partitions), url)


async def _stop(worker: StreamWorker, *, clean: bool) -> None:
    """Take the last snapshot and stop Faust; with Kafka away neither may hold up the exit (nothing is lost)."""
    if clean:
        last = asyncio.create_task(worker.flow.save_all())
        await asyncio.wait([last], timeout=FINAL_SNAPSHOT_S)
        if not last.done():
            log.warning("final_snapshot=timeout; the next start goes on from the one before")
    stopping = asyncio.create_task(worker.app.stop())
    await asyncio.wait([stopping], timeout=FAUST_STOP_S)  # wait_for would wait for a cancel Faust may not take
    if not stopping.done():
        log.warning("faust=slow_to_stop action=leave")
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0 if clean else 1)
    log.info("worker=stopped clean=%s", clean)
