"""`burstwatch workload generate`: the built-in workload, a model or a trace as a trace file of any rate and length."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collector.schema.errors import OperatorError
from collector.schema.trace_rows import BURSTGPT_8, format_row
from workload import builtin
from workload.arguments import above_zero, require_file
from workload.formats.output import writing
from workload.generate.make import DURATION_S, Asked, from_builtin, from_models, from_trace
from workload.generate.models import built_in_models, find_model
from workload.generate.output import STDOUT, busy, files_of, report, tell, write_all, write_json
from workload.scale.methods import METHODS
from workload.scale.proof import TOLERANCE
from workload.scale.sweep import CV_MAX, CV_MIN
from workload.trace.read import read_trace

DESCRIPTION = """\
Writes a trace. Without --model and --trace it is the built-in workload, drawn from BurstGPT's published statistics
(workload/builtin.py names the source of every number), with API bursts of 5-10 times the base rate for 8-20 s
about once a minute. Sized for `burstwatch engine`'s defaults: base load is fine, bursts fill its KV cache.

--model draws from a model file (`workload fit` makes one of any trace) or from one that comes along. --trace plays a
trace at another rate. --sweep makes traces that differ in burstiness only. What comes out is measured and shown
beside what was asked for; burstiness is not changed unless you accept it.
"""

EPILOG = """\
examples:
  burstwatch workload generate --out trace.csv                       10 minutes of the built-in workload, seed 1
  burstwatch workload generate --seed 7 --duration-s 3600 --rate 8 --out hour.csv
  burstwatch workload generate --duration-s 60 --out - | head        to stdout
  burstwatch workload generate --model burstgpt-api --rate 10 --duration-s 3600 --steady --out api.csv
  burstwatch workload generate --model burstgpt-api --model burstgpt-conversation \\
      --mix burstgpt-api=0.9 --mix burstgpt-conversation=0.1 --rate 5 --out mixed.csv
  burstwatch workload generate --trace week.csv --by model --rate 20 --out fast.csv --proof fast.json
  burstwatch workload generate --sweep cv=0.5,1,2,4,8 --rate 5 --out sweep.csv    sweep-cv0.5.csv and four more

ways of scaling a trace (--by):
  compress   all times divided by one factor: burstiness stays, think times and the day's profile shrink
  superpose  copies laid over each other, shifted by chance: think times stay, burstiness falls
  thin       requests left out by chance, whole sessions: think times stay, burstiness falls
  model      alpha(t), beta(t) by windows at the new rate, the trace's own requests: think times and burstiness stay

The file has BurstGPT's 8 columns, Timestamp in seconds from 0; Elapsed time is empty (nothing was served yet).
The same seed and options give the same file (numpy's PCG64). What was made is told on stderr.
"""


_SHARE_MAX = _DURATION_MAX_S = 1e12  # seconds: microseconds are whole numbers of 64 bits
_BUILT_IN_MAX = 5_000_000  # rows, which are objects there: a model makes more


def _sweep(text: str) -> tuple[float, ...]:
    name, _, values = text.partition("=")
    if name != "cv" or not values:
        raise argparse.ArgumentTypeError(f"must look like cv=0.5,1,2,4,8, not {text!r}")
    cvs = tuple(_cv(value) for value in values.split(","))
    if len({f"{cv:g}" for cv in cvs}) < len(cvs):  # as they stand in the files' names
        raise argparse.ArgumentTypeError(f"names a CV twice: {text!r}")
    return cvs


def _cv(text: str) -> float:
    value = above_zero(text)
    if not CV_MIN <= value <= CV_MAX:
        raise argparse.ArgumentTypeError(f"a CV must be {CV_MIN:g} to {CV_MAX:g}, not {text}")
    return value


def _share(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition("=")
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not name or not 0 <= value <= _SHARE_MAX:
        raise argparse.ArgumentTypeError(f"must look like NAME=0.3, not {text!r}")
    return name, value


def _start(text: str) -> float:
    """Return seconds, given as a number or as a time of day such as 9:30."""
    hours, colon, minutes = text.partition(":")
    try:
        value = int(hours) * 3600 + float(minutes) * 60 if colon else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12 or (colon and not 0 <= float(minutes) < 60):
        raise argparse.ArgumentTypeError(f"must be seconds or H:MM, zero or more, not {text}")
    return value


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch workload generate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", required=True, metavar="FILE", help="file to write, - for stdout; a sweep adds -cvX to the name")
    add("--seed", type=int, default=1, help="0 or more (default: %(default)s)")
    add(
        "--duration-s",
        type=above_zero,
        metavar="S",
        help=f"length of the trace, seconds (default: {DURATION_S:g}; with --trace all of it)",
    )
    add(
        "--rate",
        type=above_zero,
        metavar="R",
        help=f"mean requests per second (default: the source's; built-in: {builtin.RATE_PER_S:g}, outside bursts)",
    )
    models = ", ".join(built_in_models())
    add("--model", action="append", metavar="FILE|NAME", help=f"model to draw from, repeat to mix; by name: {models}")
    add(
        "--mix",
        action="append",
        type=_share,
        metavar="NAME=SHARE",
        help="share of the requests of a model (of a class, if there is one model); those not named get none",
    )
    add("--steady", action="store_true", help="the model's mean rate all along: no hours of the day, no timeline")
    add("--trace", metavar="FILE", help="trace to play at another rate; any format of `trace convert`")
    add("--format", metavar="NAME", help="format of the trace (default: told from the file)")
    add("--by", choices=METHODS, help="how to scale the trace, see below")
    add("--start", type=_start, default=0.0, metavar="S|H:MM", help="begin so far into the model's day or the trace")
    add("--sweep", type=_sweep, metavar="cv=X,Y,...", help="a file for each CV: equal rate, the same requests")
    add("--cv", type=_cv, metavar="X", help="one trace of a sweep")
    add(
        "--tolerance",
        type=above_zero,
        default=TOLERANCE,
        metavar="RATIO",
        help="by how much CV and dispersion may change before --by is refused (default: %(default)s)",
    )
    add("--accept-burstiness-change", action="store_true", help="do it all the same, with a warning")
    add("--proof", metavar="FILE", help="write what was asked for and what came of it as JSON")
    add("--json", action="store_true", help="the same to stdout")
    return parser


def main(argv: list[str]) -> int:
    """Write what was asked for. Returns 0; raises ``OperatorError`` for what cannot be made or written."""
    args = build_parser().parse_args(argv)
    if args.seed < 0:
        raise OperatorError(f"--seed must be 0 or more, not {args.seed}")
    if args.duration_s and args.duration_s > _DURATION_MAX_S:
        raise OperatorError(f"--duration-s must be {_DURATION_MAX_S:g} at most, not {args.duration_s:g}")
    _check_together(args)
    if args.model or args.trace or args.sweep or args.cv:
        return _make(args)
    return _write_builtin(args)


def _check_together(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect together."""
    source = args.model or args.trace
    for given, wanted, said in (
        (args.model and args.trace, False, "--model and --trace: one of them"),
        (args.sweep and args.cv, False, "--sweep and --cv: one of them"),
        (args.mix, args.model, "--mix needs --model"),
        (args.by, args.trace, "--by needs --trace"),
        (args.format, args.trace, "--format needs --trace"),
        (args.by and (args.sweep or args.cv), False, "--by keeps the trace's burstiness, --sweep and --cv replace it"),
        (args.start, source, "--start needs --model or --trace"),
        (args.steady, args.model, "--steady needs --model"),
        (
            args.proof or args.json,
            source or args.sweep or args.cv,
            "--proof and --json need --model, --trace or --sweep",
        ),
        (args.trace, args.by or args.sweep or args.cv, f"--trace needs --by ({', '.join(METHODS)}), --sweep or --cv"),
        (len(args.sweep or ()) > 1, args.out != STDOUT, "--out -: a sweep is several traces; name a file"),
        (args.json, args.out != STDOUT, "--json writes to stdout; --out must be a file then"),
    ):
        if given and not wanted:
            raise OperatorError(said)


def _make(args: argparse.Namespace) -> int:
    asked = Asked(
        seed=args.seed,
        rate_per_s=args.rate,
        duration_s=args.duration_s,
        start_s=args.start,
        steady=args.steady,
        mix=_mix(args.mix) if args.mix else None,
        by=args.by,
        cvs=(args.cv,) if args.cv else args.sweep or (),
        accept_change=args.accept_burstiness_change,
        tolerance=args.tolerance,
    )
    with busy("making the trace"):
        if args.model:
            made = from_models([find_model(name) for name in args.model], asked)
        elif args.trace:
            made = from_trace(read_trace(Path(args.trace), format=args.format), asked)
        else:
            made = from_builtin(asked)
    files = files_of(args.out, made)
    _check_files(args, files)
    with busy("writing it"):
        write_all(made, files)
    tree = report(made, files, args.seed)
    if args.proof:
        write_json(args.proof, tree)
    if args.json:
        print(json.dumps(tree, indent=1))
    tell(made, files)
    return 0


def _check_files(args: argparse.Namespace, files: Sequence[Path | None]) -> None:
    """Refuse to write over what is read, or two things into one file, before anything is written."""
    read = [(f"--model {name}", Path(name)) for name in args.model or ()]
    read += [(f"--trace {args.trace}", Path(args.trace))] if args.trace else []
    outs = [file for file in files if file is not None]
    for option, file in [("--out", out) for out in outs] + ([("--proof", Path(args.proof))] if args.proof else []):
        require_file(file, option)
        for what, source in read:
            if file.exists() and source.exists() and file.samefile(source):
                raise OperatorError(f"{option} {file} would overwrite {what}: name another file")
    if args.proof:
        proof = Path(args.proof)
        if proof.resolve() in {out.resolve() for out in outs}:
            raise OperatorError(f"--proof {proof} would overwrite the trace that is made: name another file")
        if not proof.parent.is_dir():
            raise OperatorError(f"cannot write --proof {proof}: there is no folder {proof.parent}")


def _mix(pairs: list[tuple[str, float]]) -> dict[str, float]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OperatorError(f"--mix {twice[0]}: given more than once")
    return dict(pairs)


def _write_builtin(args: argparse.Namespace) -> int:
    rows = (args.duration_s or DURATION_S) * (args.rate or builtin.RATE_PER_S)
    if rows > _BUILT_IN_MAX:
        raise OperatorError(
            f"that would be {rows:.3g} requests; at most {_BUILT_IN_MAX:,} of the built-in workload are made, "
            "more of a model (--model burstgpt-api)"
        )
    workload = builtin.generate(
        np.random.default_rng(args.seed),
        duration_s=args.duration_s or DURATION_S,
        rate_per_s=args.rate or builtin.RATE_PER_S,
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(BURSTGPT_8)
    writer.writerows(format_row(row, BURSTGPT_8) for row in workload.rows)
    with writing(args.out) as write:
        write(text.getvalue().encode("ascii"))
    bursts = [
        {"start_s": round(b.start_s, 3), "duration_s": round(b.duration_s, 3), "factor": round(b.factor, 2)}
        for b in workload.bursts
    ]
    print(json.dumps({"rows": len(workload.rows), "seed": args.seed, "bursts": bursts}), file=sys.stderr)
    return 0
