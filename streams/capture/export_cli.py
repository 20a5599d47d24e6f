"""`burstwatch trace export`: captured segments into the paper's table, a lossless sidecar and a manifest."""

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar

from collector.schema.errors import OperatorError
from collector.schema.trace_profiles import PROFILES
from collector.schema.trace_rows import BURSTGPT_6, BURSTGPT_8
from streams.capture.export import Wanted, export, path_of_service
from streams.capture.export_summary import summary
from streams.capture.info import folder_info
from streams.capture.instants import parse_instant
from streams.capture.key_file import publication_key
from streams.capture.listing import Vanished, list_segments, open_segments, services_of
from streams.capture.parquet import load_polars
from streams.capture.publication import KEY_BYTES, Publication
from streams.capture.rows import Only

_COLUMNS = {"8": BURSTGPT_8, "6": BURSTGPT_6}
_BAR_FROM_ROWS = 50_000
_TRIES = 3

_DESCRIPTION = """\
Merges all finished segments of a capture folder, sorted by submission time, into three files:
  OUT               the trace in the BurstGPT schema (CSV, header names as published; or Parquet, with all columns)
  *.sidecar.jsonl   every field of every request, same order, nothing lost
  *.manifest.json   origin, counts by outcome, known losses, completeness, who could be identified, hashes
Safe to run while a capture is writing to the folder. `burstwatch trace verify OUT` proves the three later."""

_EXAMPLES = """\
examples:
  burstwatch trace export ./captured --out trace.csv
  burstwatch trace export ./captured --out v1.csv --columns 6 --whole-seconds
  burstwatch trace export ./captured --out chat.csv --service chat --origin 2026-11-01T00:00:00Z
  burstwatch trace export ./captured --out day.parquet --format parquet --from 2026-11-01 --to 2026-11-02
  burstwatch trace export ./captured --out bench.csv --profile vllm
  burstwatch trace export ./captured --out trace.csv --split service        # trace.chat.csv, trace.code.csv, ...
  burstwatch trace export ./captured --out public.csv --rekey random --whole-seconds

A failed request has Response tokens 0, as in the published files; an unknown value is an empty cell.
Requests that were still open come with a later export, at their place in time; the manifest counts them."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch trace export",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="the --out folder of `burstwatch capture`")
    add("--out", type=Path, required=True, metavar="FILE", help="the table to write; replaced if it exists")
    _add_table(parser)
    _add_choice(parser.add_argument_group("which requests").add_argument)
    _add_privacy(parser.add_argument_group("for publication").add_argument)
    add("--json", action="store_true", help="print the manifest instead of a summary")
    return parser


def _add_table(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--format", choices=["csv", "parquet"], help="default: what the name of --out ends in, else csv")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--columns",
        choices=sorted(_COLUMNS),
        default="8",
        help="8 with Session ID and Elapsed time (BurstGPT_3), 6 without (default: %(default)s)",
    )
    shape.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        metavar="NAME",
        help="a CSV that a benchmark tool can read, its rules kept: " + ", ".join(sorted(PROFILES)),
    )
    add("--whole-seconds", action="store_true", help="cut Timestamp and Elapsed time to whole seconds")
    add(
        "--origin",
        default="auto",
        metavar="ISO",
        help="the instant Timestamp counts from, as 2026-11-01T00:00:00Z; UTC unless it says otherwise; "
        "auto is 0:00:00 UTC of the first day (default: %(default)s)",
    )
    add("--split", choices=["service"], help="one trace for each service instead of one for all")


def _add_choice(add: Callable[..., object]) -> None:
    add("--service", metavar="NAME", help="only this service's requests (default: all)")
    add("--agent", metavar="ID", help="only what this agent saw (default: all)")
    add("--from", dest="begin", metavar="ISO", help="only requests submitted at this instant or later")
    add("--to", dest="end", metavar="ISO", help="only requests submitted before this instant")


def _add_privacy(add: Callable[..., object]) -> None:
    add(
        "--rekey",
        metavar="FILE|random",
        help="hash session tags and request ids again, with the key in FILE (made if absent) or one that nobody "
        "keeps: the trace can then be joined neither with the live system nor with another publication",
    )
    add("--no-sessions", action="store_true", help="leave session tags out")


def main(argv: list[str]) -> int:
    """Export once. Returns 0."""
    args = _parser().parse_args(argv)
    if args.out.suffix in {"", ".json", ".jsonl"}:
        raise OperatorError(f"--out {args.out} must name the table to write, such as trace.csv or trace.parquet")
    wanted = _wanted(args)
    if wanted.parquet:
        load_polars()  # said before the work, not after
    if args.service is not None and args.service not in (known := services_of(list_segments(args.folder))):
        seen = ", ".join(known) or "none"
        raise OperatorError(f"the capture has seen no service {args.service!r}; it knows: {seen}")
    about = _with_bar(args.folder, args.out, wanted)
    if args.json:
        text = json.dumps(about, indent=2)
    elif wanted.split:
        parts = about["traces"].items()
        text = "\n".join(summary(path_of_service(args.out, service), part) for service, part in parts) or "no requests"
    else:
        text = summary(args.out, about)
    sys.stdout.write(text + "\n")
    if (args.begin or args.end) and not _rows(about):
        sys.stderr.write(f"note: no request lies within {_range(args)}; {_held(args.folder)}\n")
    if still_open := len(open_segments(args.folder)):
        sys.stderr.write(
            f"note: {still_open} segment(s) are still open and not in this export: a running capture finishes them "
            f"as event time goes on, at the latest when it is stopped; a killed one reads them again when started\n"
        )
    return 0


def _rows(about: dict[str, Any]) -> int:
    parts = about["traces"].values() if "traces" in about else [about]
    return sum(part["rows"]["total"] for part in parts)


def _range(args: argparse.Namespace) -> str:
    ends = (("--from", args.begin), ("--to", args.end))
    return " ".join(f"{option} {instant}" for option, instant in ends if instant is not None)


def _held(folder: Path) -> str:
    when = folder_info(folder)["time_range"]
    return f"the capture holds {when['first']} to {when['last']}" if when["first"] else "the capture holds none"


def _wanted(args: argparse.Namespace) -> Wanted:
    profile = None if args.profile is None else PROFILES[args.profile]
    parquet = args.format == "parquet" or (args.format is None and args.out.suffix == ".parquet")
    begin, end = parse_instant("--from", args.begin), parse_instant("--to", args.end)
    if begin is not None and end is not None and begin >= end:
        raise OperatorError(f"--from {args.begin} is not before --to {args.end}")
    if profile is not None and profile.from_first_row and args.origin != "auto":
        raise OperatorError(f"Timestamp of profile {profile.name} counts from its first row; leave --origin out")
    return Wanted(
        columns=_COLUMNS[args.columns] if profile is None else profile.columns,
        whole_seconds=args.whole_seconds,
        origin_us=None if args.origin == "auto" else parse_instant("--origin", args.origin, "`auto`"),
        only=Only(service=args.service, agent=args.agent, from_us=begin, to_us=end),
        profile=profile,
        parquet=parquet,
        split=args.split is not None,
        publication=_publication(args),
    )


def _publication(args: argparse.Namespace) -> Publication:
    if args.rekey is None:
        return Publication(without_sessions=args.no_sessions)
    if args.rekey == "random":
        key, key_from = secrets.token_bytes(KEY_BYTES), "chance; nobody has it"
    else:
        key, key_from = publication_key(Path(args.rekey)), "a file of the publisher"
    return Publication(without_sessions=args.no_sessions, key=key, key_from=key_from)


def _with_bar(folder: Path, out: Path, wanted: Wanted) -> dict[str, Any]:
    """Export; anew if retention removes a segment meanwhile."""
    for left in range(_TRIES - 1, -1, -1):
        listed = list_segments(folder)
        rows = sum(item.footer.rows for item in listed)
        with Bar(
            console=Console(stderr=True), transient=True, disable=rows < _BAR_FROM_ROWS or not sys.stderr.isatty()
        ) as bar:
            task = bar.add_task("exporting", total=rows)

            def tell(done: int, bar: Bar = bar, task: Any = task) -> None:  # noqa: ANN401 - rich's own id
                bar.update(task, completed=done)

            try:
                return export(listed, folder, out, wanted, progress=tell)
            except Vanished:
                if not left:
                    raise
    raise AssertionError
