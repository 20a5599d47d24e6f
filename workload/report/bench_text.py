"""A benchmark's result on the terminal: verdict first, then a table per rate. Values come from the result dict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from workload.report.bench_rows import (
    COLUMNS,
    EXPLAINED,
    Column,
    Run,
    by_rate,
    cv,
    described,
    rate_title,
    rate_words,
    reasons,
)
from workload.report.numbers import known, number


def bench_text(result: Mapping[str, Any]) -> RenderableType:
    """Return the result as a screen or two. ``result`` is the dict of ``burstwatch workload bench --json``.

    Absent keys are shown as ``-``; a result without runs says so.
    """
    parts: list[RenderableType] = [_verdict(result.get("verdict") or {}), Text()]
    groups = by_rate(result)
    if not groups:
        parts += [Text("no run was finished"), Text()]
    for asked, runs in groups:
        parts += [Text(rate_title(asked), style="bold"), _Runs(runs), Text()]
    if failing := reasons([run for _, runs in groups for run in runs]):
        parts += [Text("failures by reason", style="bold"), _failures(groups, failing), Text()]
    parts.append(Text(EXPLAINED, style="dim"))
    for name in ("slo", "server"):
        if told := result.get(name):
            parts.append(Text(f"{name.upper() if name == 'slo' else name}: {described(told)}", style="dim"))
    if assumptions := result.get("assumptions"):
        parts.append(Text("assumptions:", style="dim"))
        parts += [Text(f"  - {described(line)}", style="dim") for line in assumptions]
    return Group(*parts)


def _verdict(verdict: Mapping[str, Any]) -> RenderableType:
    sentences = verdict.get("sentences") or ["no verdict"]
    style = "bold red" if known(verdict.get("fails_from_cv")) else "bold green"
    return Group(*(Text(str(sentence), style=style if place == 0 else "") for place, sentence in enumerate(sentences)))


@dataclass(frozen=True, slots=True)
class _Runs:
    """The runs of a rate as one table, or as two where the terminal is too narrow for it."""

    runs: Sequence[Run]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = _table(self.runs, COLUMNS)
        if Measurement.get(console, options.update(max_width=1000), whole).maximum <= options.max_width:
            yield whole
            return
        yield _table(self.runs, COLUMNS[:_SPLIT])
        yield _table(self.runs, [COLUMNS[0], *COLUMNS[_SPLIT:]])


_SPLIT = 8  # columns up to here are of time, those after of what became of the requests


def _table(runs: Sequence[Run], columns: Sequence[Column]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for title, _ in columns:
        table.add_column(title, justify="right", header_style="dim", no_wrap=True)
    for run in runs:
        table.add_row(*(Text(cell(run)) for _, cell in columns))
    return table


def _failures(groups: Sequence[tuple[float | None, Sequence[Run]]], failing: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for title in ("rate", "CV", *failing):
        table.add_column(Text(title, style="dim"), justify="right")
    for asked, runs in groups:
        for run in runs:
            counts = [number((run.get("failures") or {}).get(reason, 0)) for reason in failing]
            table.add_row(rate_words(asked), number(cv(run)), *counts)
    return table
