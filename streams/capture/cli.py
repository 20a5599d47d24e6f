"""`burstwatch capture`: completions of llm.requests into a folder of segments, exactly once."""

import argparse
import contextlib
import json
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS
from streams.capture.files import DiskFolder, lock_folder, open_folder
from streams.capture.recorder import Recorder
from streams.capture.retention import DAY_US, Limits, Retention
from streams.capture.tap import KafkaEnds, KafkaLog, connect
from streams.capture.writer import Rotation, SegmentWriter
from streams.quiet_log import Quiet

_log = logging.getLogger(__name__)

_DRAIN_S = 10.0

_DESCRIPTION = """\
Writes every completed request from Kafka into segment files, each exactly once, whatever is killed or full.
`burstwatch trace export` makes a CSV of them at any time, also while this runs."""

_EXAMPLES = """\
examples:
  burstwatch capture --kafka 127.0.0.1:9092 --out ./captured
  burstwatch capture --kafka 127.0.0.1:9092 --out ./captured --metrics-port 9465
  burstwatch capture --kafka 127.0.0.1:9092 --out ./captured --retain-days 30 --retain-gb 200
  burstwatch trace export ./captured --out trace.csv

With --metrics-port, /metrics shows what METRICS.md lists under Capture, and /healthz fails if recording is stuck.
A segment is finished (and seen by export) after 60 s of event time, 100,000 events or 64 MiB, and at SIGTERM. One that
holds no request, and no engine counter that rose, may stay open for 10,000 messages: it would change no export.
At a restart the newest finished file says where to go on. Ctrl-C or SIGTERM finishes what is open and exits 0.

A full disk pauses it: messages stay in Kafka, the lag grows (capture_lag_messages), and it goes on when there is room.

Retention removes finished segments, the oldest first, never the newest of a partition. Age is event time: how far the
services in a segment have gone on since; for a service that has fallen silent, the time since the file was finished.
What was removed is written to llm.requests.removed.json first, so that no export tells it as lost."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch capture",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kafka", required=True, metavar="HOST:PORT", help="a Kafka broker; several with commas between")
    add("--out", required=True, type=Path, metavar="DIR", help="the folder for the segments, made if absent")
    add(
        "--group",
        default="burstwatch-capture",
        metavar="NAME",
        help="where Kafka keeps this capture's offsets, for its lag; one of its own for each folder "
        "(default: %(default)s)",
    )
    add(
        "--start",
        choices=["oldest", "group"],
        default="oldest",
        help="where a folder that has nothing of a partition yet begins: at the oldest message Kafka keeps, or where "
        "the group stands (its older segments being in another folder) (default: %(default)s)",
    )
    _add_limits(add)
    add(
        "--metrics-host", default="127.0.0.1", metavar="HOST", help="address /metrics listens on (default: %(default)s)"
    )
    add(
        "--metrics-port",
        type=_port,
        metavar="PORT",
        help="serve /metrics and /healthz on this port, 0: any free one, told in the ready line (default: not at all)",
    )
    return parser


def _add_limits(add: Callable[..., object]) -> None:
    add(
        "--rotate-events",
        type=_positive,
        default=100_000,
        metavar="N",
        help="finish a segment after N events (default: %(default)s)",
    )
    add(
        "--rotate-s",
        type=_positive,
        default=60,
        metavar="S",
        help="finish a segment after S seconds of event time (default: %(default)s)",
    )
    add(
        "--rotate-mb",
        type=_positive,
        default=64,
        metavar="MIB",
        help="finish a segment after so many MiB (default: %(default)s)",
    )
    add("--retain-days", type=_amount, metavar="D", help="remove segments older than D days (default: never)")
    add(
        "--retain-gb", type=_amount, metavar="GB", help="remove the oldest segments beyond so many GB, 10**9 bytes each"
    )


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return number


def _positive(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _port(text: str) -> int:
    number = _whole(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None


def main(argv: list[str]) -> int:
    """Capture until SIGTERM or SIGINT. Returns 0, or 1 if the disk refused the last segment."""
    args = _parser().parse_args(argv)
    _log_to_stderr()
    stop = _stop_on_signals()
    folder = open_folder(args.out)
    with lock_folder(args.out):
        try:
            writer = _writer(args, folder)
        except OSError as error:
            raise OperatorError(f"cannot read the folder {args.out}: {error}; choose another --out") from None
        log = KafkaLog(connect(args.kafka, args.group), REQUESTS, from_group=args.start == "group")
        logging.getLogger("kafka").setLevel(logging.WARNING)  # Quiet keeps it short
        elsewhere = _warn_of_group(args, log.group_offsets(writer.next_offsets()))
        with _metrics(args, writer) as url:
            _say_ready(args.out, elsewhere | ({"metrics_url": url} if url else {}))
            return _record(log, writer, stop)


def _writer(args: argparse.Namespace, folder: DiskFolder) -> SegmentWriter:
    rotation = Rotation(events=args.rotate_events, span_us=args.rotate_s * 1_000_000, bytes=args.rotate_mb * 1024**2)
    limits = Limits(
        age_us=None if args.retain_days is None else int(args.retain_days * DAY_US),
        bytes=None if args.retain_gb is None else int(args.retain_gb * 1e9),
    )
    retention = Retention(folder, REQUESTS, limits, lambda: time.time_ns() // 1000) if limits else None
    return SegmentWriter(folder, REQUESTS, rotation, retention)


def _warn_of_group(args: argparse.Namespace, offsets: dict[int, int]) -> dict[str, Any]:
    """Tell if this folder is empty where the group is not; return what the ready line says of it."""
    if not offsets:
        return {}
    if args.start == "group":
        note = f"what lies before is not in {args.out}: it was captured elsewhere"
    else:
        note = (
            f"another folder was captured under this group, {args.out} begins at the oldest messages Kafka keeps; "
            "give each folder a --group of its own, or --start group to go on where the other stopped"
        )
    _log.warning('event=group_in_use group=%s stands_at=%s start=%s note="%s"', args.group, offsets, args.start, note)
    return {"start": args.start, "group_offsets": {str(partition): offset for partition, offset in offsets.items()}}


@contextlib.contextmanager
def _metrics(args: argparse.Namespace, writer: SegmentWriter) -> Iterator[str | None]:
    """Serve the metrics while the block runs, if they are wanted; yield their URL."""
    if args.metrics_port is None:
        yield None
        return
    from streams.capture.metrics import Watch, serving  # noqa: PLC0415 - numpy and aiohttp only where they are needed

    watch = Watch(writer, args.out)
    with serving(watch, KafkaEnds(args.kafka, REQUESTS), args.metrics_host, args.metrics_port) as url:
        yield url


def _record(log: KafkaLog, writer: SegmentWriter, stop: threading.Event) -> int:

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            time.sleep(0.5)  # draining with a full disk: try on, but do not spin

    recorder = Recorder(log, writer, wait)
    try:
        _follow(recorder, log, stop)
    finally:
        # Also when giving up: a topic that was made anew has what is in the open segments no more.
        finished = recorder.finish()
        log.close()
    _log.info("event=stopped next_offsets=%s", dict(sorted(writer.next_offsets().items())))
    return 0 if finished else 1


def _follow(recorder: Recorder, log: KafkaLog, stop: threading.Event) -> None:
    """Record until told to stop, and then what was in the topic at that moment."""
    recorder.step()  # also when already told to stop: only then are the partitions known to drain
    while not stop.is_set():
        recorder.step()
    deadline = time.monotonic() + _DRAIN_S
    ends = log.ends()
    recorder.drain(ends, lambda: time.monotonic() > deadline)
    if log.behind(ends):
        _log.warning('event=drain_cut after_s=%g note="the rest stays in Kafka for the next start"', _DRAIN_S)


def _say_ready(out: Path, also: dict[str, Any]) -> None:
    print(json.dumps({"event": "ready", "component": "capture", "dir": str(out)} | also), flush=True)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    # Of ours the tap, too: it tries twice a second for as long as Kafka is away.
    handler.addFilter(Quiet(("kafka", "streams.capture.tap"), time.monotonic))
    form = "%(asctime)s %(levelname)s capture %(message)s"
    logging.basicConfig(handlers=[handler], level=logging.INFO, format=form)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # until connected: our one line says it better than fifty


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(1)  # asked twice: the files are safe at any instant
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
