"""`burstwatch trace convert`: a trace from one format into another, and what that costs."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
from rich.console import Console
from rich.progress import Progress as Bar

from collector.schema.columns import TIME_US_MAX
from collector.schema.errors import OperatorError
from collector.schema.trace_profiles import PROFILES
from workload.arguments import whole
from workload.formats import servegen_clients
from workload.formats.convert import REORDER_ROWS, Wanted, converted
from workload.formats.format import Format, Zero
from workload.formats.manifest import told_manifest
from workload.formats.output import STDOUT, aside, writing
from workload.formats.reading import Reading, bounded_lines, open_lines
from workload.formats.record import Record
from workload.formats.registry import FORMATS, TARGETS, detect, open_records
from workload.formats.told import Told

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BAR_FROM_BYTES = 8 << 20
_BAR_ROWS = 8_192

_DESCRIPTION = """\
Reads a trace row by row and writes it in another format, or as a benchmark tool wants it (a profile). Says what the
new file cannot hold, which rows it leaves out and why, and where its times count from."""


def _epilog() -> str:
    formats = "\n".join(f"  {form.name:<16} {form.about}" for form in FORMATS.values())
    profiles = "\n".join(f"  {name:<16} {profile.about}" for name, profile in PROFILES.items())
    return f"""\
formats (read and written):
{formats}
  {servegen_clients.NAME:<16} ServeGen's client files, read only: requests are drawn from chunk-N-trace.csv (--seed)

profiles (written; BurstGPT's columns as one tool takes them):
{profiles}

examples:
  burstwatch trace convert BurstGPT_3.csv --to aiperf --out for-aiperf.csv
  burstwatch trace convert AzureLLMInferenceTrace_code.csv --to paper --out azure.csv
  burstwatch trace convert trace.sidecar.jsonl --to dynamo --out dynamo.jsonl --json
  burstwatch trace convert mooncake.jsonl --to vllm-timed --out - | head

Rows are put in order of time. To do so, 10,000 are held in memory (--reorder); a row that stands further from its place
ends the conversion with a message, before anything is written under --out. Rows that do not parse are counted, the
first five named, and left out; --strict stops at the first.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch trace convert",
        description=_DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("trace", type=Path, metavar="FILE", help="the trace to read; .gz is unpacked on the way")
    add("--to", required=True, choices=sorted(TARGETS), metavar="FORMAT", help="format or profile (listed below)")
    add("--out", required=True, metavar="FILE", help="file to write, - for stdout")
    add("--format", "--from", dest="source", choices=sorted([*FORMATS, servegen_clients.NAME]), metavar="FORMAT",
        help="the format read (default: told from the file)")  # fmt: skip
    add("--strict", action="store_true", help="stop at the first row that does not parse")
    add("--zero", choices=list(Zero), help="what times count from: as they are, the first row, or midnight UTC before "
        "it (default: what the target's readers expect)")  # fmt: skip
    add("--origin", type=_instant, metavar="ISO", help="the date of time 0, as 2026-11-01T00:00:00Z, where the file "
        "read or the file written has times without dates (default: what the manifest beside FILE says)")  # fmt: skip
    add("--reorder", type=_rows, default=REORDER_ROWS, metavar="ROWS", help="rows held back to put them in order of "
        "time: a number, `all` (memory grows with the file), 0 keeps file order (default: %(default)s)")  # fmt: skip
    add("--whole-seconds", action="store_true", help="cut times to whole seconds (hides bursts within a second)")
    add("--limit", type=whole(1), metavar="ROWS", help="write this many rows at most")
    add("--seed", type=whole(0), default=1, help="chance, where requests are drawn (default: %(default)s)")
    add("--json", action="store_true", help="print what happened as JSON on stdout (stderr if --out is -)")
    return parser


def main(argv: list[str]) -> int:
    """Convert once. Returns 0; raises ``OperatorError`` if no row could be written."""
    args = _parser().parse_args(argv)
    target = TARGETS[args.to]
    wanted = Wanted(
        zero=args.zero and Zero(args.zero),
        origin_us=args.origin if args.origin is not None else _told_origin(args, target),
        reorder_rows=args.reorder,
        whole_seconds=args.whole_seconds,
        limit=args.limit,
    )
    if args.out != STDOUT and Path(args.out).resolve() == args.trace.resolve():
        raise OperatorError(f"--out {args.out} would overwrite the trace: name another file")
    reading, told = Reading(strict=args.strict), Told()
    with _open(args, reading) as (source, records):
        _write(converted(records, source, target, wanted, told), target, args.out, told, reading)
    _say(args, source, reading, told)
    return 0


def _told_origin(args: argparse.Namespace, target: Format) -> int | None:
    """Return the date of time 0 that the manifest beside an export names, where the target wants dates it lacks."""
    if not target.absolute or args.source == servegen_clients.NAME or not args.trace.is_file():
        return None
    if FORMATS[args.source or detect(args.trace)].absolute:
        return None
    manifest = told_manifest(args.trace)
    try:
        return _instant(manifest.origin) if manifest and manifest.origin else None
    except argparse.ArgumentTypeError:
        return None


@contextmanager
def _open(args: argparse.Namespace, reading: Reading) -> Iterator[tuple[Format, Iterator[Record]]]:
    if args.source == servegen_clients.NAME:
        yield FORMATS["servegen"], _drawn(args.trace, np.random.default_rng(args.seed), reading)
        return
    with open_records(args.trace, args.source, reading) as (source, records, file):
        yield source, records if file is None else _with_bar(records, file, args.trace)


def _drawn(path: Path, rng: np.random.Generator, reading: Reading) -> Iterator[Record]:
    """Return requests drawn from a ServeGen client: its trace file and the dataset file beside it."""
    dataset = path.with_name(path.name.replace("-trace.csv", "-dataset.json"))
    if dataset == path or not dataset.exists():
        raise OperatorError(f"{path} needs its lengths beside it: chunk-N-trace.csv and chunk-N-dataset.json")
    with open_lines(path) as file, open_lines(dataset) as lengths:
        windows = list(servegen_clients.read_windows(bounded_lines(file), reading))
        fields = servegen_clients.parse_dataset(lengths.read().decode("utf-8", "replace"))
        yield from servegen_clients.requests(windows, fields, rng)


def _with_bar(records: Iterable[Record], file: BinaryIO, path: Path) -> Iterator[Record]:
    """Return the records, drawing on stderr how far into the file they have come: on a terminal, for large files."""
    size = path.stat().st_size
    if size < _BAR_FROM_BYTES or not sys.stderr.isatty():
        yield from records
        return
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("converting", total=size)
        for number, record in enumerate(records):
            if number % _BAR_ROWS == 0:  # of an unpacked file the place may lie beyond the packed size: then it is full
                bar.update(task, completed=min(file.tell(), size))
            yield record


def _write(records: Iterator[Record], target: Format, out: str, told: Told, reading: Reading) -> None:
    checked = _some(records, told, reading)
    if target.encode_file is not None:
        if out == STDOUT:
            raise OperatorError(f"{target.name} cannot be written to stdout; name a file")
        with aside(out) as hidden:
            target.encode_file(checked, told, hidden)
    elif target.encode is not None:
        with writing(out) as write:
            for chunk in target.encode(checked, told):
                write(chunk)


def _some(records: Iterator[Record], told: Told, reading: Reading) -> Iterator[Record]:
    """Return the records. Raises ``OperatorError`` if there is none: an empty file would only puzzle its reader."""
    yield from records
    if told.written:
        return
    why = [f"{n:,} {reason}" for reason, n in told.refused.most_common()]
    why += [f"{reading.bad_rows:,} do not parse ({reading.named[0]})"] if reading.bad_rows else []
    raise OperatorError(f"no row is left to write{': ' if why else ''}{'; '.join(why)}")


def _say(args: argparse.Namespace, source: Format, reading: Reading, told: Told) -> None:
    about = {
        "input": {
            "file": args.trace.name,
            "format": source.name,
            "bad_rows": reading.bad_rows,
            "named": reading.named,
            "not_requests": reading.not_requests,
            "ignored_columns": sorted(reading.ignored),
        },
        "output": {"file": args.out, "format": args.to, **told.as_dict()},
    }
    if args.json:
        text = orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
        (sys.stderr if args.out == STDOUT else sys.stdout).write(text)
    else:
        sys.stderr.write("\n".join(_lines(about)) + "\n")


def _lines(about: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Return what happened, a line each: the result first, then what is lost, in rows."""
    read, made = about["input"], about["output"]
    yield f"{read['file']} ({read['format']}) -> {made['file']} ({made['format']}): {made['rows_written']:,} rows"
    for title, counts in (
        ("no room for", made["dropped_columns"]),
        ("left out", made["refused_rows"]),
        ("changed", made["changed"]),
    ):
        yield from (f"  {title}: {what}, {rows:,} row{'s' * (rows != 1)}" for what, rows in sorted(counts.items()))
    if read["bad_rows"]:
        yield f"  left out: {read['bad_rows']:,} rows that do not parse; the first: {'; '.join(read['named'])}"
    if read["ignored_columns"]:
        yield f"  not read: {', '.join(read['ignored_columns'])} (unknown to {read['format']})"
    if read["not_requests"]:
        yield f"  passed over: {read['not_requests']:,} rows that tell of something else than a request"
    if made["zero"]:
        yield f"  times count from {made['zero']}"
    yield from (f"  note: {note}" for note in made["notes"])


def _instant(text: str) -> int:
    """Return an ISO 8601 instant (UTC unless it says otherwise) as microseconds since the epoch."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-01T00:00:00Z") from None
    since = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _EPOCH
    us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not 0 <= us <= TIME_US_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} lies before 1970 or after the year 10000")
    return us


def _rows(text: str) -> int | None:
    """Return a number of rows, None for ``all``."""
    return None if text == "all" else whole(0)(text)
