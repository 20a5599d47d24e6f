"""/metrics and /healthz of a capture, from threads of their own: no scrape waits for the recording, nor it for one.

The recording thread only counts (``CaptureTally``). One thread serves; another asks Kafka every few seconds where the
topic ends, with a consumer of its own. Whatever fails here, the recording does not learn of it.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from streams.capture.segments import parse_name
from streams.capture.writer import SegmentWriter
from streams.export.capture_samples import capture_samples
from streams.export.http import MetricsServer
from streams.export.prometheus import Page
from streams.export.samples import Sample

_log = logging.getLogger(__name__)

LAG_EVERY_S = 5.0
LAG_SOON_S = 0.5  # while no partition has been found
LAG_OLD_S = 15.0  # an answer this old is no answer
STUCK_S = 120.0  # longer than any wait of the recording loop for Kafka or a full disk
_LEAVE_S = 1.0


class Ends(Protocol):
    """Where the topic ends; see ``tap.KafkaEnds``."""

    def ask(self, partitions: list[int]) -> Mapping[int, int]:
        """Return the end offset of each partition; empty if Kafka does not answer."""

    def close(self) -> None:
        """Leave Kafka."""


class Watch:
    """What is to be shown of a capture at this moment. Its methods may be called from any thread."""

    def __init__(self, writer: SegmentWriter, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._folder = folder
        self._clock = clock
        self._lag: tuple[float, Mapping[int, int]] = (clock(), {})
        self._newest: tuple[str | None, float | None] = (None, _newest_s(folder))
        self._turned: tuple[int, float] = (-1, clock())

    def samples(self) -> Iterator[Sample]:
        """Return the Capture group of the catalogue."""
        told_s, lag = self._lag
        return capture_samples(
            self._writer.tally,
            partitions=list(self._writer.next_offsets()),
            lag=lag if self._clock() - told_s < LAG_OLD_S else {},
            newest_s=self._newest_at(),
            free_bytes=_free_bytes(self._folder),
        )

    def stuck(self) -> str | None:
        """Return why /healthz is to fail: the recording loop has made no turn for ``STUCK_S``; None if it turns."""
        steps, now_s = self._writer.tally.steps, self._clock()
        if steps != self._turned[0]:
            self._turned = (steps, now_s)
        still_s = now_s - self._turned[1]
        return f"no turn of the recording loop for {still_s:.0f} s" if still_s >= STUCK_S else None

    def note_lag(self, ends: Ends) -> bool:
        """Ask how far behind the recording is, which may take seconds; False if it reads no partition yet."""
        partitions = list(self._writer.next_offsets())
        found = ends.ask(partitions) if partitions else {}
        taken = self._writer.next_offsets()
        self._lag = (self._clock(), {p: max(0, end - taken[p]) for p, end in found.items() if p in taken})
        return bool(partitions)

    def _newest_at(self) -> float | None:
        name = self._writer.tally.newest
        if name is not None and name != self._newest[0]:
            try:
                self._newest = (name, (self._folder / name).stat().st_mtime)
            except OSError:  # somebody has moved it away
                self._newest = (name, self._newest[1])
        return self._newest[1]


@contextmanager
def serving(watch: Watch, ends: Ends, host: str, port: int) -> Iterator[str]:
    """Serve while the block runs; yield the URL of /metrics. Raises ``OperatorError`` if it cannot listen there."""
    server = _Server(watch, host, port)
    server.start()
    server.decided.wait()
    if server.failed is not None:
        raise server.failed
    leaving = threading.Event()
    asking = threading.Thread(target=_keep_asking, args=(watch, ends, leaving), name="capture-lag", daemon=True)
    asking.start()
    try:
        yield f"http://{host}:{server.port}/metrics"
    finally:
        leaving.set()
        server.leave()
        asking.join(_LEAVE_S)


def _keep_asking(watch: Watch, ends: Ends, leaving: threading.Event) -> None:
    told = False
    while not leaving.is_set():
        try:
            found = watch.note_lag(ends)
        except Exception:  # noqa: BLE001 - the lag is unknown for a while; the trace is not touched
            found = True
            if not told:
                _log.exception('event=lag_unknown note="asked again and again; told this once"')
                told = True
        leaving.wait(LAG_EVERY_S if found else LAG_SOON_S)
    ends.close()


class _Server(threading.Thread):
    """Serves until told to leave; ``decided`` is set once it listens or has ``failed`` to."""

    def __init__(self, watch: Watch, host: str, port: int) -> None:
        super().__init__(name="capture-metrics", daemon=True)
        self._watch = watch
        self._host = host
        self.port = port
        self.decided = threading.Event()
        self.failed: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def run(self) -> None:
        """Serve in this thread."""
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - told by whoever started it
            self.failed = error
        finally:
            self._loop.close()
            self.decided.set()

    async def _serve(self) -> None:
        server = MetricsServer(Page(self._watch.samples), self._watch.stuck)
        self.port = await server.start(self._host, self.port)
        self.decided.set()
        await self._end.wait()
        await server.close()

    def leave(self) -> None:
        """Stop serving; return when it has, or after ``_LEAVE_S``."""
        with suppress(RuntimeError):  # its loop is gone already
            self._loop.call_soon_threadsafe(self._end.set)
        self.join(_LEAVE_S)


def _newest_s(folder: Path) -> float | None:
    """Return when the folder's newest finished segment was finished (Unix time); None without any."""
    try:
        with os.scandir(folder) as entries:
            return max((e.stat().st_mtime for e in entries if parse_name(e.name) is not None), default=None)
    except OSError:
        return None


def _free_bytes(folder: Path) -> int | None:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
