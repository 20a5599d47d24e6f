"""The sidecar process: runs the sources and puts what they see into the spool. Never talks to Kafka.

Two threads do the work: the event loop runs live sources (and is on the path of proxied requests), the pump
batches and writes. They meet in the intake, which neither of them waits for.
"""

import asyncio
import logging
import resource
import secrets
import sys
import threading
import time

from collector.batcher import Batcher
from collector.child import Supervisor
from collector.clock import Clock
from collector.config import Config, TraceConfig
from collector.intake import Intake
from collector.outbox import RING_BYTES, Outbox
from collector.pump import Pump
from collector.schema.errors import OperatorError
from collector.sources.base import LiveSource
from collector.sources.live import build_live
from collector.sources.recording import load_recording
from collector.sources.trace import TraceSource
from collector.spool.writer import SpoolWriter

log = logging.getLogger(__name__)

STATUS_S = 1.0
_RESTART_S_MAX = 30.0
_FILES_MAX = 65_536  # a stream takes two descriptors; the usual soft limit of 1,024 would be 500 streams


def new_boot_id() -> str:
    """Return an id no other start ever had; ids sort by start time."""
    return f"{time.time_ns() // 1000:014x}-{secrets.token_hex(4)}"


class Sidecar:
    """One run of the sidecar."""

    def __init__(self, config: Config, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._agent = config.agent
        self._clock = Clock()
        agent = config.agent
        self._spool = SpoolWriter(
            agent.spool_dir, segment_bytes=agent.spool_segment_bytes, bytes_max=agent.spool_max_bytes
        )
        # What waits in memory while the disk refuses stays small beside what may wait on disk.
        outbox = Outbox(self._spool, ring_bytes=min(RING_BYTES, agent.spool_max_bytes // 4))
        boot = new_boot_id()
        self._live = build_live(config, self._clock, boot=boot, listeners=supervisor.setup["listeners"])
        recorded = [
            TraceSource(
                source,
                load_recording(source.path),
                node=agent.node,
                now_us=self._clock.now_us(),
                checkpoint=outbox.checkpoint(source.name),
            )
            for source in config.sources
            if isinstance(source, TraceConfig)
        ]
        for source in recorded:
            log.info("event=trace source=%s resumed=%s", source.name, str(source.resumed).lower())
        self._intake = Intake()
        self._batcher = Batcher(agent=agent.id, boot=boot, batch_max=agent.batch_max, encoding=agent.encoding)
        self._pump = Pump(
            batcher=self._batcher,
            outbox=outbox,
            intake=self._intake,
            live=self._live,
            recorded=recorded,
            linger_s=agent.linger_ms / 1000,
        )
        self._outbox = outbox
        self._stop = threading.Event()
        self._hurry = False
        self._failed = False
        self._source_errors = 0
        log.info("event=sidecar_start boot=%s sources=%d", boot, len(config.sources))

    def run(self) -> int:
        """Run until drained or finished. Returns the exit code."""
        self._supervisor.watch(on_drain=self._stop.set, on_gone=self._orphaned)
        asyncio.run(self._main())
        self._spool.close()
        if self._failed:
            return 1
        self._report(final=True)
        return 0

    def _orphaned(self) -> None:
        self._hurry = True
        self._stop.set()

    async def _main(self) -> None:
        ready = [asyncio.Event() for _ in self._live]
        tasks = [
            asyncio.create_task(self._keep_running(source, event))
            for source, event in zip(self._live, ready, strict=True)
        ]
        await asyncio.gather(*(event.wait() for event in ready))
        self._supervisor.report("ready")
        drain = threading.Event()
        pump = threading.Thread(target=self._pump_forever, args=(drain,), name="pump")
        pump.start()
        while not self._stop.is_set():
            self._intake.mark(self._clock.now_us())
            await asyncio.sleep(min(self._agent.linger_ms / 1000, 0.2))
        grace_s = 0.0 if self._hurry or self._failed else self._agent.drain_s
        await asyncio.gather(*(source.drain(grace_s) for source in self._live))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._intake.mark(self._clock.now_us())
        drain.set()
        await asyncio.to_thread(pump.join)

    def _pump_forever(self, drain: threading.Event) -> None:
        reported = 0.0
        try:
            while not drain.is_set():
                now_s = time.monotonic()
                wait_s = self._pump.step(now_s)
                if self._pump.done:
                    self._stop.set()
                if now_s - reported >= STATUS_S:
                    reported = now_s
                    self._report(final=False)
                drain.wait(wait_s)
            self._pump.drain(time.monotonic())
        except Exception:  # a broken pump must end the process, which is then started afresh
            log.exception("event=pump_failed")
            self._failed = True
            self._stop.set()

    async def _keep_running(self, source: LiveSource, ready: asyncio.Event) -> None:
        delay_s = 1.0
        while True:
            try:
                await source.run(self._intake.emitter(source.lane), ready.set)
            except Exception as error:  # noqa: BLE001 - one failing source never harms another
                self._source_errors += 1
                # The type only: an exception's text could quote what passed through.
                log.warning("event=source_failed source=%s error=%s", source.name, type(error).__name__)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _RESTART_S_MAX)

    def _report(self, *, final: bool) -> None:
        counts = self._pump.counts()
        self._supervisor.report(
            "status",
            accepted=counts.accepted,
            spooled_total=counts.spooled,
            queued=counts.queued,
            dropped=counts.dropped,
            rejected=self._batcher.rejected,
            refusal=self._outbox.refusal,
            source_errors=self._source_errors,
            sources={source.name: dict(source.counters()) for source in self._live},
            finished=final and self._pump.done,
        )


def main() -> int:
    """Run the sidecar as a child of the agent."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s sidecar %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _FILES_MAX), most))
    supervisor = Supervisor()
    try:
        return Sidecar(supervisor.config(), supervisor).run()
    except OperatorError as error:
        print(f"burstwatch agent: {error}", file=sys.stderr)  # noqa: T201 - the operator's line, as the front door prints
        return 2


if __name__ == "__main__":
    sys.exit(main())
