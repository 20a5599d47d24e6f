"""`burstwatch analyze FILE`: the live analysis of a recorded trace, offline."""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from burstwatch.analyze.offline import OfflineAnalysis
from burstwatch.analyze.report import Findings, report
from burstwatch.lines import print_lines
from burstwatch.wording import clock
from collector.config import TraceConfig
from collector.schema.columns import is_token
from collector.schema.errors import OperatorError
from collector.sources.recording import Recording, load_recording
from streams.analysis_options import add_analysis_options, analysis_settings
from streams.help_format import DefaultsAndExamples
from streams.processors.episodes import AnyEpisode, episode_message
from streams.processors.outputs import WindowRow, window_message
from streams.processors.settings import AnalysisSettings
from workload.formats.manifest import told_manifest

DESCRIPTION = """\
Run the live analysis over a trace file: the same events, windows, detectors and numbers as agent and worker give,
without Kafka. Reads BurstGPT (6 and 8 columns) and Azure's 2023 LLM inference CSV; columns are found by name.
"""
EPILOG = """\
examples:
  burstwatch analyze BurstGPT_1.csv                    # a report: how bursty, when, what happened
  burstwatch analyze trace.csv --window 300            # in windows of 5 minutes
  burstwatch analyze trace.csv --json > results.jsonl  # every row of llm.windows and episode of llm.episodes
  burstwatch analyze trace.csv --json | jq -c 'select(.kind == "burst" and .state == "end")'
"""
REPORT_WINDOW_S = 1200  # the paper's
_BAR_FROM_REQUESTS = 50_000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch analyze", description=DESCRIPTION, epilog=EPILOG, formatter_class=DefaultsAndExamples
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the trace")
    add("--service", default="trace", metavar="NAME", help="name of the service in the results")
    add(
        "--origin",
        metavar="TIME",
        help="what the file's second 0 becomes, ISO 8601 (default: what the manifest "
        "beside FILE says, else 2023-11-01T00:00:00Z)",
    )
    add("--window", type=int, metavar="S", help="window the report is about (default: 1200, or the longest below)")
    add("--json", action="store_true", help="print every result as a JSON line instead of the report")
    add_analysis_options(parser)
    return parser


def main(argv: list[str]) -> int:
    """Analyse once. Returns 0; raises ``OperatorError`` for what the operator must mend."""
    args = _parser().parse_args(argv)
    settings = analysis_settings(args)
    window_s = _window(args.window, settings)
    if not is_token(args.service):
        raise OperatorError(f"--service must be 1-128 printable ASCII characters without spaces, not {args.service!a}")
    _require_origin(args.origin)
    recording = load_recording(args.file)
    origin = args.origin or (None if recording.absolute else _told_origin(args.file))
    config = TraceConfig(name="trace", service=args.service, path=args.file, speed=0.0, origin=origin)
    if not args.json:  # the report needs no other rows, and they are most of the work
        settings = replace(settings, rows_every_s=window_s)
    analysis = OfflineAnalysis(recording, config, settings, now_us=time.time_ns() // 1000)
    if args.json:
        print_lines(map(_message, _with_bar(analysis, recording)))
        return 0
    findings = Findings(window_s)
    for result in _with_bar(analysis, recording):
        if not isinstance(result, WindowRow) or result.model == "all":
            findings.note(_message(result))
    console = Console(highlight=False)
    wide = console if console.is_terminal else Console(width=160, highlight=False)
    wide.print(report(findings, _head(args.file, recording, analysis)), soft_wrap=console.is_terminal)
    return 0


def _told_origin(trace: Path) -> str | None:
    """Return the origin that the manifest beside an exported trace names; None without one, or for another file."""
    manifest = told_manifest(trace)
    told = manifest.origin if manifest else None
    try:
        _require_origin(told)
    except OperatorError:
        return None  # a file of that name that is no manifest of ours: the default is as good as before
    return told


def _require_origin(text: str | None) -> None:
    if text in {None, "now"}:
        return
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 - refused below for its missing offset
    if moment.tzinfo is None:
        raise OperatorError(f"--origin {text!r} is not a time such as 2026-11-01T00:00:00Z, nor 'now'")


def _message(result: WindowRow | AnyEpisode) -> dict[str, Any]:
    return window_message(result) if isinstance(result, WindowRow) else episode_message(result)


def _window(asked: int | None, settings: AnalysisSettings) -> int:
    windows = settings.windows_s
    if asked is None:
        return max((w for w in windows if w <= REPORT_WINDOW_S), default=windows[0])
    if asked not in windows:
        raise OperatorError(f"--window must be one of {', '.join(map(str, windows))} (seconds), not {asked}")
    return asked


def _with_bar(analysis: OfflineAnalysis, recording: Recording) -> Iterator[Any]:
    quiet = len(recording) < _BAR_FROM_REQUESTS or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("analysing", total=2 * len(recording))
        yield from analysis.results(lambda events: bar.advance(task, events))


def _head(path: Path, recording: Recording, analysis: OfflineAnalysis) -> list[str]:
    warmup_s = analysis.state.settings.burst_warmup_s
    totals = analysis.state.totals
    if not len(recording):
        return [f"{path}: no requests"]
    failures = sum(sum(t.failures.values()) for t in totals.values())
    ended = sum(sum(t.completions.values()) for t in totals.values())
    base = analysis.base_us
    first, last = base + recording.submitted[0], base + recording.submitted[-1]
    span_s = (last - first) / 1e6
    rate = f"{len(recording) / span_s:.3g}/s" if span_s else "all at once"
    classes = ", ".join(f"{model} ({log_type}) {t.arrivals:,}" for (model, log_type), t in sorted(totals.items()))
    return [
        f"{path}: {len(recording):,} requests, {failures:,} of {ended:,} failed ({failures / max(ended, 1):.2%})",
        f"from {clock(first)} to {clock(last)} UTC: {span_s:,.0f} s, {rate}",
        f"models: {classes}",
        f"bursts are looked for from {clock(first + warmup_s * 1_000_000)} on (--burst-warmup-s {warmup_s})",
    ]
