"""`burstwatch trace verify`: is a capture folder whole, is an exported trace what its manifest says?"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar

from collector.schema.errors import OperatorError
from streams.capture.findings import Findings
from streams.capture.key_file import publication_key
from streams.capture.verify_folder import verify_folder
from streams.capture.verify_source import verify_source
from streams.capture.verify_trace import open_trace, verify_trace

_DESCRIPTION = """\
Proves a capture folder or an exported trace.
  a folder   every segment's sha256 and contents; offsets without a hole or an overlap; agents' message numbers without
             a hole; what retention removed is known and no problem
  a trace    sha256 of table and sidecar; each row of the table against the sidecar; order; all counts of the manifest;
             with --segments also that the trace is exactly what those segments give
Exit code 0: proven. 1: not, with one line for each finding. 2: there is nothing to verify."""

_EXAMPLES = """\
examples:
  burstwatch trace verify ./captured
  burstwatch trace verify trace.csv
  burstwatch trace verify trace.csv --segments ./captured
  burstwatch trace verify public.csv --segments ./captured --rekey publication.key"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch trace verify",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("path", type=Path, metavar="PATH", help="a capture folder, or the table that `trace export` wrote")
    add("--segments", type=Path, metavar="DIR", help="the capture folder that the trace was exported from")
    add("--rekey", type=Path, metavar="FILE", help="the key the trace was published with (with --segments)")
    add("--json", action="store_true", help="print findings as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Verify once. Returns 0 if proven, 1 if not."""
    args = _parser().parse_args(argv)
    if args.path.is_dir():
        if args.segments is not None:
            raise OperatorError("--segments is for an exported trace; a folder is verified by itself")
        with _bar("segments") as progress:
            found = verify_folder(args.path, progress)
    else:
        found = _trace(args)
    sys.stdout.write(json.dumps({"path": str(args.path), **found.facts()}, indent=2) + "\n" if args.json else "")
    if not args.json:
        sys.stdout.write(_text(args.path, found))
    return 0 if found.proven else 1


def _trace(args: argparse.Namespace) -> Findings:
    trace = open_trace(args.path)
    key = None if args.rekey is None else publication_key(args.rekey, make=False)
    with _bar("rows") as progress:
        found = verify_trace(trace, progress)
    if args.segments is not None:
        with _bar("rows from segments") as progress:
            verify_source(trace, args.segments, key, found, progress)
    return found


def _text(path: Path, found: Findings) -> str:
    lines = [f"problem: {text}" for text in found.problems]
    lines += [f"problem: and {found.more:,} more"] if found.more else []
    lines += [f"note: {text}" for text in found.notes]
    looked = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in found.checked.items()) or "files"
    count = len(found.problems) + found.more
    verdict = "proven" if found.proven else f"NOT proven, {count:,} problem{'s' if count > 1 else ''}"
    return "\n".join([*lines, f"{path}: {verdict} ({looked} checked)"]) + "\n"


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    with Bar(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"checking {what}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
