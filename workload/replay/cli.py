"""`burstwatch replay`: a trace file sent to an OpenAI-compatible server, open loop, on schedule."""

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson

from collector.schema.errors import OperatorError
from workload.arguments import above_zero, whole
from workload.lifecycle import quiet_gc, raise_open_files, stop_on_signals
from workload.replay.client import Client
from workload.replay.measure import Tally
from workload.replay.runner import Runner
from workload.replay.schedule import Pace, Skipped, shots
from workload.replay.screen import print_summary, show_progress
from workload.replay.trace_file import TraceFile

log = logging.getLogger(__name__)

DESCRIPTION = """\
Send a trace (BurstGPT CSV with 6 or 8 columns, Azure CSV; columns found by name) to an OpenAI-compatible server.
Open loop: each request leaves at its recorded time, whatever became of the earlier ones. Each is a streamed
/chat/completions with a prompt of exactly the recorded number of words, max_tokens = the recorded response tokens
and ignore_eos (vLLM, SGLang and `burstwatch engine` then answer exactly that many), x-session-id from the row.
"""

EPILOG = """\
examples:
  burstwatch replay trace.csv --url http://127.0.0.1:8000/v1
  burstwatch replay BurstGPT_3.csv --url http://gpu7:8000/v1 --model my-model --speed 10 --duration-s 600
  burstwatch replay trace.csv --url http://127.0.0.1:8000/v1 --json - --no-progress | jq .send_lag_s

A summary is printed at the end (--json FILE: as JSON instead, - for stdout): counts, failures by reason, first
token, latency and send lag (due to sent). Ctrl-C stops sending, gives running requests 3 s, and still reports.
Rows without token counts are skipped and counted. Where a row names no model (Azure), the server's first is asked.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch replay",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="the trace")
    add("--url", required=True, help="the server's OpenAI base URL, ending in /v1")
    add("--speed", type=above_zero, default=1.0, help="trace seconds per real second (default: %(default)s)")
    add("--model", help="ask for this model whatever the rows say (default: the row's)")
    add("--limit", type=whole(1), metavar="N", help="send N requests at most (default: all)")
    add("--duration-s", "--duration", type=above_zero, metavar="S", help="send for S seconds (default: to the end)")
    add("--loop", action="store_true", help="begin again at the end, until --duration-s, --limit or Ctrl-C")
    add(
        "--failed",
        choices=("skip", "send"),
        default="skip",
        help="rows recorded as failed (0 response tokens): leave out, or send asking for 1 token "
        "(default: %(default)s)",
    )
    add("--timeout-s", type=above_zero, default=300.0, help="for one whole request (default: %(default)s)")
    add(
        "--concurrency-max",
        type=whole(1, 100_000),
        default=1024,
        metavar="N",
        help="open requests at most; the next one waits and its send lag shows it (default: %(default)s)",
    )
    add("--json", metavar="OUT", help="write the summary as JSON to this file, - for stdout")
    add("--no-progress", action="store_true", help="no progress bar (it is shown on a terminal only)")
    return parser


def main(argv: list[str]) -> int:
    """Replay. Returns 0; raises ``OperatorError`` for a bad file or a server that is not there."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if not args.url.startswith(("http://", "https://")):
        raise OperatorError(f"--url must begin with http:// or https://, not {args.url!r}")
    raise_open_files()
    quiet_gc()
    summary = asyncio.run(_replay(args, TraceFile(args.file)))
    if args.json is None:
        print_summary(summary)
        return 0
    text = orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode()
    if args.json == "-":
        print(text)
        return 0
    try:
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        print(text)  # rather than lose what was measured
        raise OperatorError(f"cannot write --json {args.json}: {error.strerror or error}") from None
    return 0


async def _replay(args: argparse.Namespace, trace: TraceFile) -> dict[str, object]:
    stop = stop_on_signals()
    tally, skipped = Tally(), Skipped()
    async with Client(args.url, timeout_s=args.timeout_s) as client:
        pace = Pace(
            fallback_model=client.models[0] if client.models else "default",
            speed=args.speed,
            model=args.model,
            send_failed=args.failed == "send",
            limit=args.limit,
            duration_s=args.duration_s,
            loop=args.loop,
        )
        began_s = time.perf_counter()
        shown = None
        if sys.stderr.isatty() and not args.no_progress:
            shown = asyncio.create_task(show_progress(tally, _share_done(pace, tally, trace, began_s)))
        runner = Runner(client, tally, concurrency_max=args.concurrency_max)
        interrupted = await runner.play(shots(trace.rows, pace, skipped), stop)
        elapsed_s = time.perf_counter() - began_s
        if shown is not None:
            shown.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await shown
    if trace.first_bad is not None:
        log.warning("bad_rows=%d first=%s", trace.bad_rows, trace.first_bad)
    rows = {**asdict(skipped), "bad": trace.bad_rows}
    return tally.summary(elapsed_s=elapsed_s, skipped=rows, interrupted=interrupted)


def _share_done(pace: Pace, tally: Tally, trace: TraceFile, began_s: float) -> Callable[[], float]:
    """Return how much is sent, 0 to 1: by whichever bound (limit, duration, end of file) comes first."""

    def share() -> float:
        by_file = 0.0 if pace.loop else trace.read_bytes / max(trace.size_bytes, 1)
        by_limit = tally.sent / pace.limit if pace.limit else 0.0
        by_time = (time.perf_counter() - began_s) / pace.duration_s if pace.duration_s else 0.0
        return min(1.0, max(by_file, by_limit, by_time))

    return share
