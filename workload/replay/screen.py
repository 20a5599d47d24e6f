"""What a replay shows people: a progress line while it runs, a table when it is done."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from collector.schema.events import Outcome
from workload.replay.measure import Tally

REFRESH_S = 0.25


async def show_progress(tally: Tally, share_done: Callable[[], float]) -> None:
    """Draw live counts on stderr until cancelled. ``share_done`` says how much of the trace is sent, 0 to 1."""
    columns = (
        TextColumn("replay"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    # auto_refresh off: a thread that draws would disturb the send times; four times a second is ours to choose.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task("replay", total=1.0, counts="")
        try:
            while True:
                progress.update(task, completed=share_done(), counts=format_counts(tally))
                progress.refresh()
                await asyncio.sleep(REFRESH_S)
        finally:
            progress.update(task, completed=share_done(), counts=format_counts(tally))
            progress.refresh()


def format_counts(tally: Tally) -> str:
    """Return the live counts as one short line."""
    lag_s = tally.send_lag.quantile(0.99)
    lag = "" if lag_s is None else f"  lag p99 {lag_s * 1e3:.1f} ms"
    ok, failed = tally.outcomes[Outcome.OK], tally.outcomes[Outcome.FAILED]
    return f"sent {tally.sent}  ok {ok}  failed {failed}  open {tally.in_flight}{lag}"


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the final figures as a table on stdout."""
    table = Table(title="replay", show_header=False, title_justify="left")
    for name in ("sent", "ok", "failed", "cancelled"):
        table.add_row(name, str(summary[name]))
    for reason, count in summary["failures"].items():
        table.add_row(f"  {reason}", str(count))
    for why, count in summary["skipped"].items():
        if count:
            table.add_row(f"rows {why}", str(count))
    table.add_row("elapsed", f"{summary['elapsed_s']:.1f} s")
    table.add_row("rate", "-" if summary["rate_per_s"] is None else f"{summary['rate_per_s']:.2f} requests/s")
    table.add_row("tokens", f"{summary['request_tokens']} request, {summary['response_tokens']} response")
    for name, label in (("ttft_s", "first token"), ("latency_s", "latency"), ("send_lag_s", "send lag")):
        table.add_row(label, _quantiles(summary[name]))
    Console().print(table)


def _quantiles(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return "-"
    return "  ".join(f"{name} {seconds * 1e3:,.1f} ms" for name, seconds in figures.items())
