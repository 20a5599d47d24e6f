"""`burstwatch trace analyze FILE`: the paper's analysis of any trace, as text, JSON and a page."""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress

from collector.schema.errors import OperatorError
from streams.help_format import DefaultsAndExamples
from workload.analyse.analysis import Options, analyse
from workload.analyse.compare import compare
from workload.arguments import require_file, whole
from workload.formats.manifest import manifest_beside
from workload.formats.registry import FORMATS, detect
from workload.report.beside import beside
from workload.report.dating import dated, moment_of, told_origin
from workload.report.findings import back_in_time
from workload.report.whole_files import write_whole
from workload.trace.columns import Trace, steps_back
from workload.trace.read import read_in_file_order

DESCRIPTION = """\
What is in a trace of LLM requests, as the BurstGPT paper looks at it: rate and its rhythm, burstiness (CV, Gamma α and
β per window, and how well that fits), dispersion by scale, bursts, request and response lengths, sessions, failures.
Reads every format that `burstwatch trace convert` knows; columns are found by name. Published figures of BurstGPT stand
beside the trace's own where there are some.
"""
EPILOG = """\
examples:
  burstwatch trace analyze trace.csv                           a screen or two of text
  burstwatch trace analyze trace.csv --html report.html        and a page with plots, one file, nothing fetched
  burstwatch trace analyze trace.csv --json | jq .burstiness.quantiles.cv
  burstwatch trace analyze trace.csv --json facts.json         JSON into a file, text on the terminal
  burstwatch trace analyze ours.csv --compare BurstGPT_1.csv --html both.html
  burstwatch trace analyze BurstGPT_1.csv --window-s 300       5-minute windows, as others measured BurstGPT in
  burstwatch trace analyze BurstGPT_1.csv --origin 2023-11-01 --by-class --html BurstGPT_1.html

how to read it:
  CV   of the gaps between requests: 1 is Poisson, above 1 requests come in clumps.
  α, β Gamma shape and rate of the gaps in a window (mean gap α/β): α 1 is Poisson, smaller is burstier.
  IDC  variance over mean of the counts per second, minute, ...: 1 is Poisson; what rises with the scale does not
       average out.
  -    not known: the file does not tell it, or there are too few requests for an honest number.

--html draws with matplotlib and large CSV files are read fast by polars: pip install 'burstwatch[workload]'
"""
_BAR_FROM_BYTES = 4_000_000  # smaller files take less than a second


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch trace analyze", description=DESCRIPTION, epilog=EPILOG, formatter_class=DefaultsAndExamples
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the trace")
    add("--compare", type=Path, metavar="OTHER", help="a second trace: how the two differ, feature by feature")
    add("--format", metavar="NAME", help="format of the trace (default: told from the file)")
    add("--window-s", type=whole(10, 604_800), default=1200, metavar="S", help="window of the burstiness, seconds")
    add("--burst-warmup-s", type=whole(0, 604_800), default=Options().burst_warmup_s, metavar="S",
        help="how long the burst detector learns: no burst is told in that time")  # fmt: skip
    add(
        "--by-class",
        action="store_true",
        help="log types, and models within them, for themselves, too; and the windows of each in the JSON",
    )
    add("--origin", type=_moment, metavar="DATE",
        help="what the trace's second 0 was, ISO 8601, UTC: gives days and dates to traces that have none (default: as "
        "the manifest beside FILE says, if there is one)")  # fmt: skip
    add("--zone-h", type=float, default=0.0, metavar="H", help="hours to add to dated times before hours of the day")
    add("--json", nargs="?", const="-", metavar="OUT", help="everything as JSON; to stdout without a file name")
    add("--html", type=Path, metavar="OUT", help="everything as one page with plots")
    return parser


@dataclass(frozen=True, slots=True)
class _Found:
    """What was analysed: the facts, and the comparison if there is one."""

    facts: dict[str, Any]
    comparison: dict[str, Any] | None


def main(argv: list[str]) -> int:
    """Analyse once. Returns 0; raises ``OperatorError`` for what the operator must mend."""
    args = build_parser().parse_args(argv)
    _require_possible(args)
    with _stages(args.file) as stage, beside(args.file) as aside:
        found = _found(args, stage, aside)
    if args.json is not None:
        told = found.facts if args.by_class else _short(found.facts)
        told = told if found.comparison is None else {**told, "comparison": found.comparison}
        words = orjson.dumps(told).decode() + "\n"
        if args.json == "-":
            sys.stdout.write(words)
        else:
            write_whole(Path(args.json), words)
    if args.html is not None:
        write_whole(args.html, _page(args, found))
    if args.json != "-":
        _print(args, found)
    return 0


def _short(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts without the windows of each class: of a year's trace they are nine tenths of it all."""
    classes = [
        {**of, "burstiness": {name: part for name, part in of["burstiness"].items() if name != "windows"}}
        for of in facts["classes"]
    ]
    return {**facts, "classes": classes}


class _Stage:
    """What the work is at, shown on a terminal; says nothing for small files and where nobody looks."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("reading", total=None)

    def done(self, done: int, whole_work: int) -> None:
        """Show how much of it is done."""
        self._bar.update(self._task, completed=done, total=whole_work)

    def now(self, what: str) -> None:
        """Show what is done now."""
        self._bar.update(self._task, description=what, completed=0, total=None)


@contextmanager
def _stages(path: Path) -> Iterator[_Stage]:
    small = not path.is_file() or path.stat().st_size < _BAR_FROM_BYTES
    quiet = small or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        yield _Stage(bar)


def _found(args: argparse.Namespace, stage: _Stage, aside: Executor | None) -> _Found:
    trace = _trace(args, args.file, stage)
    # BurstGPT's clock is thought to begin on a Wednesday; of any other file without dates nothing is known.
    weekday = 2 if (args.format or detect(args.file)).startswith("burstgpt") else None
    options = Options(window_s=args.window_s, zone_s=round(args.zone_h * 3600), day_zero_weekday=weekday,
                      burst_warmup_s=args.burst_warmup_s)  # fmt: skip
    if args.json is None and args.html is None and not args.by_class:
        options = replace(options, classes_max=0)  # nobody would see them
    stage.now("analysing")
    facts = analyse(trace, options, stage.done, aside).as_dict()
    facts["file"]["outcomes_told"] = _outcomes_told(args.file, facts["file"]["outcomes"])
    if args.compare is None:
        return _Found(facts, None)
    other = _trace(args, args.compare, stage)
    stage.now("comparing")
    compared = compare(trace, other, options).as_dict()
    back, most_us = steps_back(other.submitted_us)
    of_other = back_in_time({"steps_back": back, "step_back_max_s": most_us / 1e6})
    compared["notes"] += [f"B: {sentence}" for sentence in of_other]
    return _Found(facts, compared)


def _outcomes_told(path: Path, found: dict[str, int]) -> dict[str, int] | None:
    """Return how requests ended as the manifest beside FILE counts them, if that knows what FILE has no column for."""
    beside = manifest_beside(path)
    rows = beside.said.get("rows") if beside and not beside.differs else None
    told = rows.get("by_outcome") if isinstance(rows, dict) else None
    return told if isinstance(told, dict) and set(told) - {name for name, n in found.items() if n} else None


def _trace(args: argparse.Namespace, path: Path, stage: _Stage) -> Trace:
    """Read a trace; ``--format`` is of the first alone, ``--origin`` of both."""
    stage.now(f"reading {path.name}")
    trace = read_in_file_order(path, format=args.format if path == args.file else None, progress=stage.done)
    return dated(trace, args.origin or told_origin(path))


def _page(args: argparse.Namespace, found: _Found) -> str:
    from workload.report.analysis_html import analysis_page  # noqa: PLC0415 - draws with matplotlib, an extra

    name, other = _names(args)
    return analysis_page(found.facts, name=name, comparison=found.comparison, other=other, by_class=args.by_class)


def _names(args: argparse.Namespace) -> tuple[str, str]:
    """Return what the two traces are called: their files' names, their paths where those are the same."""
    if args.compare is None or args.compare.name != args.file.name:
        return args.file.name, args.compare.name if args.compare else ""
    return str(args.file), str(args.compare)


def _print(args: argparse.Namespace, found: _Found) -> None:
    from workload.report.analysis_text import analysis_text, comparison_text  # noqa: PLC0415 - not needed for --json

    console = Console(highlight=False)
    wide = console if console.is_terminal else Console(width=140, highlight=False)
    name, other = _names(args)
    wide.print(analysis_text(found.facts, name=name, by_class=args.by_class))
    if found.comparison is not None:
        wide.print(comparison_text(found.comparison, name, other))


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2023-11-01 or 2026-11-01T08:00Z") from None


def _require_possible(args: argparse.Namespace) -> None:
    """Find out before the work, not after it, what cannot be done."""
    if args.format is not None and args.format not in FORMATS:
        raise OperatorError(f"no format {args.format!r}: --format takes {', '.join(FORMATS)}")
    taken = {path.resolve(): "the trace" for path in (args.file, args.compare) if path is not None}
    for option, out in (("--json", args.json), ("--html", args.html)):
        if out is None or str(out) == "-":
            continue
        if what := taken.get(Path(out).resolve()):
            raise OperatorError(f"{option} {out} would overwrite {what}: name another file")
        taken[Path(out).resolve()] = f"the file of {option}"
        require_file(Path(out), option)
        if not Path(out).absolute().parent.is_dir():
            raise OperatorError(f"{option} {out}: there is no folder {Path(out).parent}")
    if args.html is not None:
        _require_plots()


def _require_plots() -> None:
    try:
        import workload.report.plots  # noqa: F401, PLC0415 - matplotlib is an extra
    except ImportError as error:
        raise OperatorError(f"--html needs {error.name}: pip install 'burstwatch[workload]'") from None
