"""`burstwatch workload generate`: writes the built-in workload as a trace file."""

import argparse
import csv
import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

import numpy as np

from collector.schema.errors import OperatorError
from collector.schema.trace_rows import BURSTGPT_8, format_row
from workload import builtin
from workload.arguments import above_zero

DESCRIPTION = """\
Writes the built-in workload: a trace drawn from BurstGPT's published statistics
(workload/builtin.py names the source of every number), with API bursts of 5-10 times the base rate for 8-20 s
about once a minute. Sized for `burstwatch engine`'s defaults: base load is fine, bursts fill its KV cache.
"""

EPILOG = """\
examples:
  burstwatch workload generate --out trace.csv                       10 minutes, seed 1
  burstwatch workload generate --seed 7 --duration-s 3600 --rate 8 --out hour.csv
  burstwatch workload generate --duration-s 60 --out - | head        to stdout

The file has BurstGPT's 8 columns, Timestamp in seconds from 0; Elapsed time is empty (nothing was served yet).
The same seed, duration and rate give the same file. One JSON line with counts goes to stderr.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch workload generate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write, - for stdout")
    parser.add_argument("--seed", type=int, default=1, help="0 or more (default: %(default)s)")
    parser.add_argument(
        "--duration-s", type=above_zero, default=600.0, help="length of the trace, seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=above_zero,
        default=builtin.RATE_PER_S,
        help="requests per second outside bursts (default: %(default)s)",
    )
    return parser


def main(argv: list[str]) -> int:
    """Write the trace. Returns 0; raises ``OperatorError`` if the file cannot be written."""
    args = build_parser().parse_args(argv)
    if args.seed < 0:
        raise OperatorError(f"--seed must be 0 or more, not {args.seed}")
    workload = builtin.generate(np.random.default_rng(args.seed), duration_s=args.duration_s, rate_per_s=args.rate)
    try:
        with _open(args.out) as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(BURSTGPT_8)
            writer.writerows(format_row(row, BURSTGPT_8) for row in workload.rows)
    except OSError as error:
        raise OperatorError(f"cannot write --out {args.out}: {error.strerror or error}") from None
    bursts = [
        {"start_s": round(b.start_s, 3), "duration_s": round(b.duration_s, 3), "factor": round(b.factor, 2)}
        for b in workload.bursts
    ]
    print(json.dumps({"rows": len(workload.rows), "seed": args.seed, "bursts": bursts}), file=sys.stderr)
    return 0


def _open(path: str) -> AbstractContextManager[IO[str]]:
    return nullcontext(sys.stdout) if path == "-" else Path(path).open("w", encoding="ascii", newline="")
