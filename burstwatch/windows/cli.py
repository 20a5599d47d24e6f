"""`burstwatch windows`: the newest windows of every service, once or for as long as it runs."""

import argparse
from typing import Any

from rich.console import Console
from rich.live import Live

from burstwatch.lines import print_lines
from burstwatch.stopping import until_told
from burstwatch.tail import TopicTail, newest, require_broker
from burstwatch.windows.table import Newest, picture
from collector.schema.errors import OperatorError
from collector.schema.topics import EPISODES, WINDOWS
from streams.help_format import DefaultsAndExamples

DESCRIPTION = """\
Show what the workers publish: the newest windows of every service (topic llm.windows) and the last bursts, failures
and memory pressure (llm.episodes). Once, or live with --follow; as a table, or as JSON lines just as they are in Kafka.
"""
EPILOG = """\
examples:
  burstwatch windows --kafka 127.0.0.1:9092                     # the newest row of every service
  burstwatch windows --kafka 127.0.0.1:9092 --follow            # a live table
  burstwatch windows --kafka k1:9092 --follow --json            # every row and episode from now on, one a line
  burstwatch windows --kafka k1:9092 --service chat --classes   # per model and log type, too
"""
RECENT = 2000  # messages per partition looked at for the newest rows
REFRESH_S = 0.5
PLAIN_EVERY_S = 10.0  # a file gets a table as often as there are new rows
WIDE = 160


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch windows", description=DESCRIPTION, epilog=EPILOG, formatter_class=DefaultsAndExamples
    )
    add = parser.add_argument
    add("--kafka", required=True, metavar="HOST:PORT", help="Kafka bootstrap servers, separated by commas")
    add("--follow", action="store_true", help="go on until Ctrl-C")
    add("--json", action="store_true", help="JSON lines instead of a table")
    add("--window", type=int, default=60, metavar="S", help="window the table shows, in seconds")
    add("--service", metavar="NAME", help="only this service (default: all)")
    add("--classes", action="store_true", help="rows per model and log type, too")
    return parser


def main(argv: list[str]) -> int:
    """Show windows. Returns 0; raises ``OperatorError`` if no broker answers."""
    args = _parser().parse_args(argv)
    require_broker(args.kafka)
    shown = Newest(args.service, args.classes)
    if args.json:
        return _json_lines(args, shown)
    for message in newest(args.kafka, [EPISODES, WINDOWS], RECENT):
        shown.note(message)
    _require_window(shown, args.window)
    if not args.follow:
        _require_service(shown)
    console = Console()
    wide = console if console.is_terminal else Console(width=WIDE)
    if not args.follow:
        wide.print(picture(shown, args.window, wide.width))
        return 0
    stopped = until_told()
    tail = TopicTail(args.kafka, [EPISODES, WINDOWS], shown.note)
    tail.start()
    if console.is_terminal:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while not stopped.wait(REFRESH_S):
                live.update(picture(shown, args.window, console.width), refresh=True)
    else:
        while not stopped.wait(PLAIN_EVERY_S):
            wide.print(picture(shown, args.window, wide.width))
    tail.stop()
    return 0


def _require_window(shown: Newest, window_s: int) -> None:
    known = {w for row in shown.rows.values() for w in row["windows"]}
    if known and str(window_s) not in known:
        choices = ", ".join(sorted(known, key=int))
        raise OperatorError(f"--window {window_s}: the workers publish windows of {choices} seconds")


def _require_service(shown: Newest) -> None:
    """Raise ``OperatorError`` if the service asked for has no rows where others have; followed, it may yet come."""
    if not shown.rows and shown.others:
        raise OperatorError(shown.none_yet())


def _json_lines(args: argparse.Namespace, shown: Newest) -> int:
    if not args.follow:
        for message in newest(args.kafka, [WINDOWS], RECENT):
            shown.note(message)
        _require_service(shown)
        print_lines(shown.known())
        return 0
    stopped = until_told()

    def put(message: dict[str, Any]) -> None:
        if shown.wants(message) and not print_lines([message]):
            stopped.set()  # the reader of our lines has gone: so may we

    tail = TopicTail(args.kafka, [WINDOWS, EPISODES], put)
    tail.start()
    stopped.wait()
    tail.stop()
    return 0
