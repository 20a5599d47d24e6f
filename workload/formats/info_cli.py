"""`burstwatch trace info FILE`: what is in a trace, on one screen."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from collector.schema.errors import OperatorError
from collector.schema.trace_rows import format_seconds
from workload.formats.columns import records_to_trace
from workload.formats.info import facts
from workload.formats.manifest import Manifest, manifest_beside
from workload.formats.reading import Reading
from workload.formats.registry import FORMATS, detect, open_records
from workload.formats.told import iso
from workload.trace.columns import Trace, steps_back
from workload.trace.read import read_in_file_order, within_bounds

_DESCRIPTION = """\
Says what is in a trace file of any known format: how many requests over which time, how they ended, models, sessions,
lengths, and how bursty the arrivals are. Beside its manifest (of `trace export`), also what that says."""

_EPILOG = """\
examples:
  burstwatch trace info BurstGPT_3.csv
  burstwatch trace info trace.csv --json | jq .rate_per_s
  burstwatch trace info ./captured              a capture folder: its segments, gaps and losses

CV is the coefficient of variation of the gaps between requests (1: Poisson; above: bursty) and alpha the Gamma shape
(below 1: bursty). Rows that do not parse are counted, the first five named; --strict stops at the first.
`burstwatch trace analyze` is the whole analysis.
"""
_MANIFEST = ".manifest.json"
_SHOWN = ("origin", "rows", "loss", "open_requests")  # of the manifest: what a reader of the table must know


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch trace info",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("trace", type=Path, metavar="FILE", help="the trace to read")
    parser.add_argument("--format", choices=sorted(FORMATS), help="the file's format (default: told from the file)")
    parser.add_argument("--strict", action="store_true", help="stop at the first row that does not parse")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Describe one file. Returns 0; raises ``OperatorError`` if it cannot be read."""
    args = _parser().parse_args(argv)
    if args.trace.name.endswith(_MANIFEST):
        trace = args.trace.name.removesuffix(_MANIFEST) + ".csv"
        raise OperatorError(f"{args.trace} is the manifest of a trace: give the trace itself ({trace})")
    name = args.format or detect(args.trace)
    reading = Reading(strict=args.strict)
    as_it_stands = _read(args.trace, name, reading)
    back, most_us = steps_back(as_it_stands.submitted_us)
    beside = manifest_beside(args.trace)
    trace = as_it_stands.sorted_by_time()
    about = {
        "file": args.trace.name,
        "bytes": args.trace.stat().st_size,
        "format": name,
        "bad_rows": reading.bad_rows,
        "named": reading.named,
        "not_requests": reading.not_requests,
        "steps_back": back,
        "step_back_max_s": most_us / 1e6,
        **facts(trace),
        "manifest": beside.said if beside and not beside.differs else None,
        "manifest_differs": beside.differs if beside and beside.differs else None,
    }
    if args.json:
        option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        sys.stdout.write(orjson.dumps(about, option=option).decode())
    else:
        _print(about, beside)
    return 0


def _read(path: Path, name: str, reading: Reading) -> Trace:
    """Return the trace in file order: at once if every row parses, else row by row: the bad ones are then named."""
    try:
        return read_in_file_order(path, format=name)
    except OperatorError:
        with open_records(path, name, reading) as (form, records, _):
            return within_bounds(path, records_to_trace(records, absolute=form.absolute))


def _print(about: Mapping[str, Any], beside: Manifest | None) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in (*_rows(about), *(_said(beside) if beside else ())):
        table.add_row(name, escape(text))
    Console(highlight=False).print(table)


def _rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield about["file"], f"{about['format']}, {about['bytes']:,} bytes"
    yield "requests", f"{about['rows']:,}" + _also(about)
    if about["rows"]:
        yield "time", _span(about)
    if about["steps_back"]:
        yield "order", _order(about)
    outcomes = ", ".join(f"{n:,} {name}" for name, n in about["outcomes"].items() if n) or "-"
    yield "outcomes", outcomes + _untold(about)
    for name in ("reasons", "models", "log_types", "services"):
        if about[name]:
            yield name.replace("_", " "), ", ".join(f"{value} {n:,}" for value, n in about[name].items())
    if about["sessions"]:
        yield "sessions", _sessions(about["sessions"])
    for name, unit in (("request_tokens", ""), ("response_tokens", ""), ("first_token_s", " s"), ("elapsed_s", " s")):
        if about[name]:
            yield name.removesuffix("_s").replace("_", " "), _quantiles(about[name], unit)
    yield "arrivals", _arrivals(about)


def _untold(about: Mapping[str, Any]) -> str:
    """Return what the manifest says of outcomes that the file has no column for: its own count is then too high."""
    rows = (about["manifest"] or {}).get("rows")
    told = rows.get("by_outcome") if isinstance(rows, dict) else None
    if not isinstance(told, dict) or not set(told) - {name for name, n in about["outcomes"].items() if n}:
        return ""
    return f" (told by 0 response tokens; as the manifest tells: {_plain(told)})"


def _sessions(found: Mapping[str, Any]) -> str:
    return (
        f"{found['sessions']:,} with {found['requests']:,} requests, {found['turns_mean']:.2f} turns on average, "
        f"at most {found['turns_max']:,}; {found['several_turns_ratio']:.1%} have more than one"
    )


def _also(about: Mapping[str, Any]) -> str:
    bad, other = (about[name] for name in ("bad_rows", "not_requests"))
    told = f"; {_rows_that(bad, 'does not parse', 'do not parse')}: {'; '.join(about['named'])}" if bad else ""
    return told + (f"; {_rows_that(other, 'is', 'are')} of another kind" if other else "")


def _rows_that(n: int, does: str, do: str) -> str:
    return f"{n:,} row {does}" if n == 1 else f"{n:,} rows {do}"


def _order(about: Mapping[str, Any]) -> str:
    back = _rows_that(about["steps_back"], "goes", "go")
    return (
        f"{back} back in time, by {_duration(about['step_back_max_s'])} at most (several traces one after the other?); "
        "the figures are of the rows in order of time"
    )


def _span(about: Mapping[str, Any]) -> str:
    step = "whole seconds" if about["resolution_us"] >= 1_000_000 else "fractions of a second"
    if about["absolute"]:
        return f"{iso(about['first_us'])} to {iso(about['last_us'])} ({_duration(about['span_s'])}), {step}"
    first_s, last_s = format_seconds(about["first_us"]), format_seconds(about["last_us"])
    return f"{first_s} s to {last_s} s ({_duration(about['span_s'])}), {step}"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _quantiles(found: Mapping[str, Any], unit: str) -> str:
    return (
        f"mean {found['mean']:,.4g}, median {found['p50']:,.4g}, p5 {found['p5']:,.4g}, p95 {found['p95']:,.4g}, "
        f"p99 {found['p99']:,.4g}, max {found['max']:,.6g}{unit}"
    )


def _arrivals(about: Mapping[str, Any]) -> str:
    if about["rate_per_s"] is None:
        return "too few to say"
    parts = [f"{about['rate_per_s']:.4g} requests/s"]
    parts += [f"CV of gaps {about['cv']:.3g}"] if about["cv"] is not None else []
    if about["alpha"] is not None:
        counts = ": from counts, not comparable with one of gaps" if about["alpha_method"] == "dispersion" else ""
        parts.append(f"Gamma shape {about['alpha']:.3g} ({about['alpha_method']}{counts})")
    parts += [f"dispersion over 60 s {about['idc_60s']:.3g}"] if about["idc_60s"] is not None else []
    if about["resolution_us"] >= 1_000_000 and about["rate_per_s"] > 0.5:
        parts.append("limited by the whole-second clock: bursts within a second are not seen")
    return "; ".join(parts)


def _said(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Return what of the manifest a reader of the table must know, a row each, and where the rest is."""
    if manifest.differs:
        yield "manifest", manifest.warning
        return
    for name in _SHOWN:
        value = manifest.said.get(name)
        if name == "rows" and isinstance(value, dict):
            value = {part: value.get(part) for part in ("total", "in_table", "left_out", "by_outcome")}
        if text := _plain(value):
            yield f"manifest: {name.replace('_', ' ')}", text
    yield "manifest", f"details in {manifest.name}"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        inner = ((name.replace("_", " "), _plain(part)) for name, part in value.items() if not isinstance(part, list))
        return ", ".join(f"{name} {text}" for name, text in inner if text)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    return value if isinstance(value, str) else ""
