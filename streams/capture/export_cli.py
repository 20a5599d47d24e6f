"""`burstwatch trace export`: captured segments into the paper's CSV, a lossless sidecar and a manifest."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar

from collector.schema.columns import TIME_US_MAX
from collector.schema.errors import OperatorError
from collector.schema.trace_rows import BURSTGPT_6, BURSTGPT_8
from streams.capture.export import Wanted, export, list_segments
from streams.capture.output import side_path
from streams.capture.rows import Listed, Only

_COLUMNS = {"8": BURSTGPT_8, "6": BURSTGPT_6}
_BAR_FROM_ROWS = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DESCRIPTION = """\
Merges all finished segments of a capture folder, sorted by submission time, into three files:
  OUT            the trace in the BurstGPT schema (CSV, header names as published)
  *.sidecar.jsonl   every field of every request, same order, nothing lost
  *.manifest.json   origin, counts by outcome, known losses, hashes
Safe to run while a capture is writing to the folder."""

_EXAMPLES = """\
examples:
  burstwatch trace export ./captured --out trace.csv
  burstwatch trace export ./captured --out v1.csv --columns 6 --whole-seconds
  burstwatch trace export ./captured --out chat.csv --service chat --origin 2026-11-01T00:00:00Z

A failed request has Response tokens 0, as in the published files; an unknown value is an empty cell."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch trace export",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="the --out folder of `burstwatch capture`")
    add("--out", type=Path, required=True, metavar="FILE.csv", help="the CSV to write; replaced if it exists")
    add(
        "--columns",
        choices=sorted(_COLUMNS),
        default="8",
        help="8 with Session ID and Elapsed time (BurstGPT_3), 6 without (default: %(default)s)",
    )
    add("--whole-seconds", action="store_true", help="cut Timestamp and Elapsed time to whole seconds")
    add(
        "--origin",
        default="auto",
        metavar="ISO",
        help="the instant Timestamp counts from, as 2026-11-01T00:00:00Z; UTC unless it says otherwise; "
        "auto is 0:00:00 UTC of the first day (default: %(default)s)",
    )
    add("--service", metavar="NAME", help="only this service's requests (default: all)")
    add("--agent", metavar="ID", help="only what this agent saw (default: all)")
    add("--json", action="store_true", help="print the manifest instead of a summary")
    return parser


def main(argv: list[str]) -> int:
    """Export once. Returns 0."""
    args = _parser().parse_args(argv)
    if args.out.suffix in {"", ".json", ".jsonl"}:
        raise OperatorError(f"--out {args.out} must name the CSV file to write, such as trace.csv")
    wanted = Wanted(
        columns=_COLUMNS[args.columns],
        whole_seconds=args.whole_seconds,
        origin_us=parse_origin(args.origin),
        only=Only(service=args.service, agent=args.agent),
    )
    listed = list_segments(args.folder)
    about = _with_bar(listed, args.folder, args.out, wanted)
    sys.stdout.write((json.dumps(about, indent=2) if args.json else _summary(args.out, about)) + "\n")
    if still_open := sum(entry.name.endswith(".seg.tmp") for entry in args.folder.iterdir()):
        sys.stderr.write(
            f"note: {still_open} segment(s) are still open and not in this export: a running capture finishes them "
            f"as event time goes on, at the latest when it is stopped; a killed one reads them again when started\n"
        )
    return 0


def parse_origin(text: str) -> int | None:
    """Return an ISO 8601 instant as microseconds since the epoch, None for ``auto``.

    Raises ``OperatorError`` for anything else, also for times before 1970.
    """
    if text == "auto":
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = datetime.min  # noqa: DTZ901 - only fails the range check below
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    since = instant - _EPOCH
    origin = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not 0 <= origin <= TIME_US_MAX:
        raise OperatorError(f"--origin {text!r} is not a time such as 2026-11-01T00:00:00Z, nor `auto`")
    return origin


def _with_bar(listed: list[Listed], folder: Path, out: Path, wanted: Wanted) -> dict[str, Any]:
    rows = sum(item.footer.rows for item in listed)
    with Bar(
        console=Console(stderr=True), transient=True, disable=rows < _BAR_FROM_ROWS or not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("exporting", total=rows)
        return export(listed, folder, out, wanted, progress=lambda done: bar.update(task, completed=done))


def _summary(out: Path, about: dict[str, Any]) -> str:
    rows, loss, messages = about["rows"], about["loss"], about["messages"]
    outcomes = ", ".join(f"{n:,} {name}" for name, n in sorted(rows["by_outcome"].items())) or "no requests"
    when = about["time_range"]
    span = f"{when['first']} to {when['last']}" if when["first"] else "no time range"
    return (
        f"{out}: {rows['total']:,} rows ({outcomes}), {span}\n"
        f"Timestamp counts from {about['origin']}; {messages['duplicates_dropped']:,} repeated messages dropped; "
        f"known loss: {loss['missing_messages']:,} messages missing, {loss['dropped_events']:,} events dropped "
        f"by agents\n"
        f"also: {side_path(out, '.sidecar.jsonl').name}, {side_path(out, '.manifest.json').name}"
    )
