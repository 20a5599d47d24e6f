"""`burstwatch replay`: a trace file sent to an OpenAI-compatible server, open loop, on schedule."""

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from collector.schema.errors import OperatorError
from workload.lifecycle import quiet_gc, raise_open_files, raise_priority, stop_on_signals
from workload.replay.options import ReplayOptions
from workload.replay.output import PaperSheet, RequestsCsv, RequestsJsonl, SheetFile
from workload.replay.parser import build_parser, options_of, require_files_apart
from workload.replay.play import Player
from workload.replay.screen import hint, print_summary, show_progress, tell_progress
from workload.replay.trace_file import Source, open_trace

if TYPE_CHECKING:
    from workload.replay.kafka_events import KafkaEvents

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Replay. Returns 0, or 1 if nothing succeeded; raises ``OperatorError`` for a bad file or a server not there."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = options_of(args)
    require_files_apart(args)
    source = open_trace(args.file, args.format)
    raise_open_files()
    priority = "normal" if args.no_priority else raise_priority()
    sheets = _sheets(args)
    try:
        kafka = _kafka(args)
        player = Player(options, loop=args.loop, observers=[*sheets, *([kafka.stream] if kafka else [])])
        quiet_gc()
        summary = asyncio.run(_replay(args, player, source, kafka, sheets))
    except BaseException:
        _discard(sheets)
        raise
    summary = {**summary, "priority": priority}
    try:
        _tell(args, summary)
    finally:
        _close(sheets)
    return _verdict(summary, options)


async def _replay(
    args: argparse.Namespace, player: Player, source: Source, kafka: "KafkaEvents | None", sheets: list[SheetFile]
) -> dict[str, Any]:
    stop = stop_on_signals(partial(_discard, sheets))
    began_s = time.perf_counter()
    share = _share_done(player, source, began_s, loop=args.loop)
    async with contextlib.nullcontext() if args.no_progress else _progress(args, player, share):
        if kafka is None:
            summary = await player.play(source.rows, stop)
        else:
            async with kafka.flowing():
                summary = await player.play(source.rows, stop)
    if kafka is not None:
        summary["kafka"] = kafka.close()
    if source.first_bad is not None:
        log.warning("bad_rows=%d first=%s", source.bad_rows, source.first_bad)
    summary["skipped"]["bad"] = source.bad_rows
    return summary


def _sheets(args: argparse.Namespace) -> list[SheetFile]:
    """Return the result files that were asked for, begun. Raises ``OperatorError`` if one cannot be written."""
    sheets: list[SheetFile] = []
    json_lines = str(args.requests).endswith((".jsonl", ".ndjson"))
    wanted = ((args.out, PaperSheet()), (args.requests, RequestsJsonl() if json_lines else RequestsCsv()))
    try:
        for path, sheet in wanted:
            if path is not None:
                sheets.append(SheetFile(path, sheet))
    except OperatorError:
        for begun in sheets:
            begun.discard()
        raise
    return sheets


def _discard(sheets: list[SheetFile]) -> None:
    for sheet in sheets:
        sheet.discard()


def _kafka(args: argparse.Namespace) -> "KafkaEvents | None":
    if args.events_kafka is None:
        return None
    from workload.replay.kafka_events import KafkaEvents  # noqa: PLC0415 - kafka costs a start nobody else pays

    return KafkaEvents(args.events_kafka, args.service)


def _tell(args: argparse.Namespace, summary: dict[str, Any]) -> None:
    if args.json is None:
        print_summary(summary)
        return
    text = orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode()
    if args.json == "-":
        print(text)
        return
    try:
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        print(text)  # rather than lose what was measured
        raise OperatorError(f"cannot write --json {args.json}: {error.strerror or error}") from None
    counts = ", ".join(f"{summary[name]:,} {name}" for name in ("sent", "ok", "failed", "cancelled"))
    print(f"wrote {args.json}: {counts}", file=sys.stderr)


def _close(sheets: list[SheetFile]) -> None:
    """Put every file in its place; one that fails does not keep the others from it."""
    errors = []
    for sheet in sheets:
        try:
            sheet.close()
        except OperatorError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _verdict(summary: dict[str, Any], options: ReplayOptions) -> int:
    said = hint(summary, options.urls)
    if said is None:
        return 0
    print(f"burstwatch replay: {said}", file=sys.stderr)
    return 1


@asynccontextmanager
async def _progress(args: argparse.Namespace, player: Player, share: Callable[[], float]) -> AsyncIterator[None]:
    what = f"{args.file} to {', '.join(player.options.urls)}"
    drawn = sys.stderr.isatty()
    shown = asyncio.create_task(
        show_progress(player.tally, share) if drawn else tell_progress(player.tally, share, what)
    )
    try:
        yield
    finally:
        shown.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await shown


def _share_done(player: Player, source: Source, began_s: float, *, loop: bool) -> Callable[[], float]:
    """Return how much is sent, 0 to 1: by whichever bound (limit, duration, end of file) comes first."""
    options, tally = player.options, player.tally

    def share() -> float:
        by_file = 0.0 if loop else source.read_bytes / max(source.size_bytes, 1) * player.share_sent
        by_limit = (tally.sent + tally.warm_up) / options.limit if options.limit else 0.0
        by_time = (time.perf_counter() - began_s) / options.duration_s if options.duration_s else 0.0
        return min(1.0, max(by_file, by_limit, by_time))

    return share
