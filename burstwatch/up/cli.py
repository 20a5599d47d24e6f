"""`burstwatch up`: the command line of the one-machine mode."""

import argparse
import os
import re
import signal
import sys
import time
from contextlib import redirect_stderr, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import FrameType

from rich.console import Console

from burstwatch.tail import require_broker
from burstwatch.up import plan
from burstwatch.up.plan import Places, UpOptions
from burstwatch.up.processes import free_port, hold, require_free
from burstwatch.up.run import Run, facts
from burstwatch.up.screen import Screen, total_line
from collector.schema.columns import is_token
from collector.schema.errors import BadTrace, OperatorError
from collector.schema.trace_rows import read_rows

DESCRIPTION = """Run all of Burstwatch on one machine: broker, simulated engine, agent with proxy, stream worker,
capture, the live page, and a built-in workload with real bursts in it. Shows rate, CV, failure ratio, KV usage and
bursts as they happen. Ctrl-C drains everything and leaves OUT/trace.csv (BurstGPT schema) and its manifest behind."""

EXAMPLES = """examples:
  burstwatch up                                  the built-in workload, until Ctrl-C
  burstwatch up --duration 120 --out /tmp/bw     two minutes, then export and exit 0
  burstwatch up --trace BurstGPT_1.csv --speed 60    a trace as load, through the engine
  burstwatch up --events BurstGPT_1.csv --speed max  recorded events, as fast as possible
  burstwatch up --upstream http://127.0.0.1:8000     watch a real engine; send load to the proxy
  burstwatch up --kafka broker:9092              an existing Kafka in place of the embedded broker
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of `burstwatch up`."""
    p = argparse.ArgumentParser(
        prog="burstwatch up",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    load = p.add_mutually_exclusive_group()
    load.add_argument("--trace", type=Path, metavar="FILE", help="replay this trace as load through the engine")
    load.add_argument(
        "--events", type=Path, metavar="FILE", help="play these recorded events straight through the agent"
    )
    p.add_argument(
        "--speed",
        default="1",
        metavar="N",
        help="times real time; 'max' with --events (default: %(default)s)",
    )
    p.add_argument("--upstream", metavar="URL", help="a real OpenAI-compatible server in place of the engine")
    p.add_argument("--kafka", metavar="HOST:PORT", help="an existing Kafka in place of the embedded broker")
    p.add_argument("--duration", type=float, metavar="S", help="end after S seconds (default: when the work ends)")
    p.add_argument("--out", type=Path, default=Path("burstwatch-data"), metavar="DIR", help="default: ./%(default)s")
    p.add_argument("--service", default="demo", help="the service's name in metrics and events (default: %(default)s)")
    p.add_argument("--origin", metavar="TIME", help="--events: what the recording's second 0 becomes, ISO or 'now'")
    p.add_argument(
        "--seed", type=int, default=plan.BUILTIN_SEED, help="of the built-in workload (default: %(default)s)"
    )
    p.add_argument("--proxy-port", type=int, default=0, metavar="N", help="default: a free port")
    p.add_argument("--metrics-port", type=int, default=0, metavar="N", help="default: a free port")
    p.add_argument("--page-port", type=int, default=0, metavar="N", help="the live page; default: a free port")
    p.add_argument(
        "--burst-warmup-s",
        type=int,
        metavar="S",
        help="no burst alerts before the baseline is this old (default: 30 live, 300 with --events)",
    )
    return p


def options_of(args: argparse.Namespace) -> UpOptions:
    """Return checked options. Raises ``OperatorError`` for anything the operator must mend."""
    if args.speed == "max" and args.events is None:
        raise OperatorError("--speed max needs --events: load through an engine takes real time")
    try:
        speed = 0.0 if args.speed == "max" else float(args.speed)
    except ValueError:
        speed = -1.0
    if speed < 0 or (speed == 0 and args.speed != "max") or speed == float("inf"):
        raise OperatorError(f"--speed must be a number above 0, or 'max' with --events; not {args.speed!r}")
    if args.duration is not None and not args.duration > 0:
        raise OperatorError(f"--duration must be more than 0 seconds, not {args.duration:g}")
    if args.upstream and not args.upstream.startswith(("http://", "https://")):
        raise OperatorError(f"--upstream must be an http:// or https:// URL, not {args.upstream!r}")
    if args.upstream and args.events:
        raise OperatorError("--upstream has no use with --events: recorded events need no server")
    _require_sane(args)
    for path in filter(None, (args.trace, args.events)):
        _require_trace(path)
    warmup = args.burst_warmup_s if args.burst_warmup_s is not None else (300 if args.events else 30)
    return UpOptions(
        out=args.out.resolve(),
        trace=args.trace,
        events=args.events,
        speed=speed,
        upstream=args.upstream,
        kafka=args.kafka,
        duration_s=args.duration,
        service=args.service,
        origin=args.origin,
        proxy_port=args.proxy_port,
        metrics_port=args.metrics_port,
        page_port=args.page_port,
        seed=args.seed,
        burst_warmup_s=warmup,
    )


def _require_sane(args: argparse.Namespace) -> None:
    if not is_token(args.service):
        raise OperatorError(f"--service must be 1-128 printable ASCII characters without spaces, not {args.service!a}")
    if args.seed < 0:
        raise OperatorError(f"--seed must be 0 or more, not {args.seed}")
    if args.burst_warmup_s is not None and args.burst_warmup_s < 0:
        raise OperatorError(f"--burst-warmup-s must be 0 or more, not {args.burst_warmup_s}")
    if args.kafka and not re.fullmatch(r".+:[0-9]{1,5}", args.kafka):
        raise OperatorError(f"--kafka must be HOST:PORT, not {args.kafka!r}")
    if args.origin and args.origin != "now":
        try:
            datetime.fromisoformat(args.origin)
        except ValueError:
            raise OperatorError(
                f"--origin must be 'now' or a time such as 2023-11-01T00:00:00Z, not {args.origin!r}"
            ) from None


def _require_trace(path: Path) -> None:
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            if next(read_rows(lines)[1], None) is None:
                raise OperatorError(f"{path} has a header but no rows: there is nothing to play")
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}") from None
    except (BadTrace, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is not a trace: {error}") from None


def prepare(options: UpOptions) -> Places:
    """Create the output directory and choose ports; an earlier run's files move to OUT/previous/.

    Raises ``OperatorError`` if a port is taken, the directory cannot be used, or the given Kafka does not answer.
    """
    proxy_port = require_free(options.proxy_port, "--proxy-port")
    metrics_port = require_free(options.metrics_port, "--metrics-port")
    page_port = require_free(options.page_port, "--page-port")
    if options.kafka:
        require_broker(options.kafka)
    run_id = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        hold(options.out)
        _move_aside(options.out, run_id)
        state = options.out / "state"
        state.mkdir()
    except OSError as error:
        raise OperatorError(f"cannot use --out {options.out}: {error.strerror}") from None
    return Places(
        state=state,
        run_id=run_id,
        broker_port=free_port(),
        engine_port=free_port(),
        proxy_port=proxy_port,
        metrics_port=metrics_port,
        page_port=page_port,
        capture_metrics_port=free_port(),
    )


def _move_aside(out: Path, run_id: str) -> None:
    old = plan.moved_aside([entry.name for entry in out.iterdir()])
    if not old:
        return
    aside = out / "previous" / run_id
    aside.mkdir(parents=True)
    for name in old:
        (out / name).rename(aside / name)
    print(f"an earlier run's files are now in {aside}")
    if "trace.manifest.json" not in old:
        segments = aside / "state" / "segments"
        print(f"it did not end by itself; what was captured: burstwatch trace export {segments} --out trace.csv")


def main(argv: list[str]) -> int:
    """Run everything until the work ends or Ctrl-C; export; return 0."""
    options = options_of(parser().parse_args(argv))
    places = prepare(options)
    console = Console()
    run = Run(options, places, console)
    _on_signals(run, places)
    console.print(f"starting Burstwatch in {options.out} …", highlight=False, soft_wrap=True)
    try:
        if options.sends_load and options.trace is None:
            _write_workload(options, places)
        run.start_parts()
        _show(run, options, places, console)
        run.drain(lambda text: console.print(text, highlight=False))
    finally:
        run.stop_all()
    console.print(total_line(run.numbers), highlight=False, soft_wrap=True)
    _call("burstwatch.verbs:trace_main", plan.export_args(options, places))
    if run.failure:
        raise OperatorError(run.failure)
    return 0


def _show(run: Run, options: UpOptions, places: Places, console: Console) -> None:
    with Screen(console, facts(options, places)) as screen:
        tail = run.episodes(screen)
        run.start_load()
        with suppress(KeyboardInterrupt):
            run.watch(screen, time.monotonic())
        tail.stop()


def _write_workload(options: UpOptions, places: Places) -> None:
    with (places.state / "workload.json").open("w") as facts_file, redirect_stderr(facts_file):
        _call("burstwatch.verbs:workload_main", plan.generate_args(options, places))


def _call(target: str, args: list[str]) -> None:
    module, _, function = target.partition(":")
    code = getattr(import_module(module), function)(args)
    if code:
        raise OperatorError(f"{module} {args[0]} ended with code {code}")


def _on_signals(run: Run, places: Places) -> None:
    hint = f"\nstopped at once; what was captured: burstwatch trace export {places.segments} --out trace.csv\n"

    def handle(_number: int, _frame: FrameType | None) -> None:
        if run.stop_asked.is_set():  # the second time: at once
            run.kill_all()
            os.write(2, hint.encode())
            sys.exit(130)
        run.stop_asked.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
