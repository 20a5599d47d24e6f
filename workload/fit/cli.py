"""`burstwatch workload fit TRACE --out model.toml`: from a trace to a model of it."""

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from collector.schema.errors import OperatorError
from streams.help_format import DefaultsAndExamples
from workload.arguments import require_file, whole
from workload.fit.arrivals import AUTO, TIMELINES
from workload.fit.facts import facts_of
from workload.fit.fit import BY, Fit, FitOptions, fit
from workload.fit.text import fit_text
from workload.model.file import dump_model
from workload.model.model import Source
from workload.report.whole_files import write_whole
from workload.trace.read import read_trace

DESCRIPTION = """\
Makes a model of a trace: a readable file (TOML) from which `burstwatch workload generate --model` draws traces that
are like it. For each class of requests (service, model, log type): rate and burstiness alpha(t), beta(t) per window as
in the BurstGPT paper, time of day, burst episodes, request and response lengths together, sessions, failures. Families
that were tried are stated with their likelihoods; what cannot be known from the trace is said.
"""
EPILOG = """\
examples:
  burstwatch workload fit trace.csv --out model.toml               a model, and in words what was found
  burstwatch workload fit trace.csv --out model.toml --json | jq '.classes[].arrivals.alpha'
  burstwatch workload fit azure.csv --out model.toml --by service  one class for all models and log types
  burstwatch workload fit BurstGPT_1.csv --out model.toml --timeline full   every window of the two months
  burstwatch workload generate --model model.toml --duration-s 3600 --out again.csv

how to read it:
  alpha     1/CV^2 of the gaps between requests: 1 is Poisson, below 1 bursty. Where bursts are told apart, of what is
            left between and within them.
  AIC       the least is the family that describes the data best; "+12" is 12 worse than that.
  KS        greatest distance between the data's distribution function and the family's, 0 to 1.

A trace of up to two weeks keeps its windows as they were; a longer one is told as its typical week.
"""
_BAR_FROM_BYTES = 4_000_000  # smaller files take less than a second


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch workload fit", description=DESCRIPTION, epilog=EPILOG, formatter_class=DefaultsAndExamples
    )
    add = parser.add_argument
    add("file", type=Path, metavar="TRACE", help="the trace, in any format that `burstwatch trace convert` knows")
    add("--out", type=Path, required=True, metavar="FILE", help="the model file to write (TOML)")
    add("--name", help="the model's name (default: the trace's file name without its ending)")
    add("--format", metavar="NAME", help="format of the trace (default: told from the file)")
    add("--window-s", type=whole(60, 86_400), default=1200, metavar="S", help="window of alpha(t), beta(t), seconds")
    add("--by", type=_columns, default=",".join(BY), metavar="COLUMNS", help="what makes a class, of " + ",".join(BY))
    add("--timeline", choices=TIMELINES, default=AUTO,
        help="windows as they were (full), a typical week (week), only the mean (none), or what suits")  # fmt: skip
    add("--json", action="store_true", help="what was found as one JSON object on stdout, instead of text")
    return parser


def _columns(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in BY]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(BY)}")
    return names


def main(argv: list[str]) -> int:
    """Fit once. Returns 0; raises ``OperatorError`` for what the operator must mend."""
    args = build_parser().parse_args(argv)
    if args.window_s % 10:
        raise OperatorError(f"--window-s must be a multiple of 10, not {args.window_s}")
    if args.out.resolve() == args.file.resolve():
        raise OperatorError(f"--out {args.out} would overwrite the trace: name another file")
    require_file(args.out, "--out")
    found = _fit(args)
    write_whole(args.out, dump_model(found.model))
    facts = facts_of(found)
    if args.json:
        print(json.dumps(facts, ensure_ascii=False, allow_nan=False))
        return 0
    sys.stdout.write(fit_text(facts))
    print(f"\nwritten to {args.out}; draw from it: burstwatch workload generate --model {args.out} --out made.csv")
    return 0


def _fit(args: argparse.Namespace) -> Fit:
    small = not args.file.is_file() or args.file.stat().st_size < _BAR_FROM_BYTES
    with Progress(console=Console(stderr=True), transient=True, disable=small or not sys.stderr.isatty()) as bar:
        task = bar.add_task("reading", total=None)
        trace = read_trace(
            args.file, format=args.format, progress=lambda done, of: bar.update(task, completed=done, total=of)
        )
        bar.update(task, description="fitting", total=None)
        options = FitOptions(
            window_s=float(args.window_s),
            by=args.by if isinstance(args.by, tuple) else BY,
            timeline=args.timeline,
            name=args.name or args.file.stem,
        )
        source = Source(file=args.file.name, rows=len(trace), span_s=round(trace.span_s, 6))
        found = fit(trace, options, source)
        bar.update(task, description="fingerprint of the trace")
        source = replace(source, sha256=_sha256(args.file))
    return replace(found, model=replace(found.model, source=source))


def _sha256(path: Path) -> str:
    """Return the file's fingerprint; "" for what is no single file (a folder of client files)."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
