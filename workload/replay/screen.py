"""What a replay shows people: progress while it runs, a table when it is done."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from collector.schema.events import Outcome
from workload.replay.tally import Tally

REFRESH_S = 0.25
PLAIN_EVERY_S = 10.0  # between two lines where there is no terminal
DURATIONS = (
    ("ttft_s", "first token"),
    ("itl_s", "between chunks"),
    ("tpot_s", "per further token"),
    ("latency_s", "latency"),
    ("send_lag_s", "send lag"),
    ("slot_wait_s", "of it, waiting for a slot"),
    ("session_lag_s", "sessions moved later by"),
)
SHOWN_IF_ANY = {"slot_wait_s", "session_lag_s"}


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


async def tell_progress(tally: Tally, share_done: Callable[[], float], what: str) -> None:
    """Write a line to stderr when requests begin to leave, and every 10 s one with the counts, until cancelled.

    For logs and pipes. ``what``: the trace and where it goes.
    """
    while not tally.sent + tally.warm_up:  # noqa: ASYNC110 - the counts are nobody's event; four looks a second are few
        await asyncio.sleep(REFRESH_S)
    sys.stderr.write(
        f"replaying {what}; counts every {PLAIN_EVERY_S:g} s, Ctrl-C reports what was measured until then\n"
    )
    while True:
        await asyncio.sleep(PLAIN_EVERY_S)
        sys.stderr.write(f"replay {share_done():.0%}  {format_counts(tally)}\n")


def format_counts(tally: Tally) -> str:
    """Return the live counts as one short line."""
    lag_s = tally.send_lag.quantile(0.99)
    lag = "" if lag_s is None else f"  lag p99 {lag_s * 1e3:.1f} ms"
    ok, failed = tally.outcomes[Outcome.OK], tally.outcomes[Outcome.FAILED]
    return f"sent {tally.sent}  ok {ok}  failed {failed}  open {tally.in_flight}{lag}"


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the final figures as a table on stdout; what did not occur or was not asked has no line."""
    table = Table(title="replay", show_header=False, title_justify="left")
    for label, value in (*_counts(summary), *_figures(summary), *_endings(summary)):
        table.add_row(label, value)
    Console().print(table)


def _counts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("sent", "ok", "failed", "cancelled"):
        yield name, str(summary[name])
    for reason, count in summary["failures"].items():
        yield f"  {reason}", str(count)
    for name in ("retries", "warm_up"):
        if summary[name]:
            yield f"{name.replace('_', '-')} (not in these)", str(summary[name])
    for why, count in summary["skipped"].items():
        if count:
            yield f"rows {why}", str(count)


def _figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "elapsed", f"{summary['elapsed_s']:.1f} s"
    yield "rate", _rate(summary["rate_per_s"])
    yield "tokens", f"{summary['request_tokens']} request, {summary['response_tokens']} response"
    if summary["prompt_tokens"] is not None:
        yield "prompt tokens off by", _off(summary["prompt_tokens"])
    for name, label in DURATIONS:
        figures = summary[name]
        if figures is not None and (figures["max"] >= 1e-3 or name not in SHOWN_IF_ANY):
            yield label, _quantiles(figures)


def _endings(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    good = summary["goodput"]
    if good is not None:
        yield "served well", f"{good['good']} of {summary['sent']}, {_rate(good['per_s'])}"
    if len(summary["endpoints"]) > 1:
        for url, counts in summary["endpoints"].items():
            yield url, "  ".join(f"{name} {count}" for name, count in counts.items())


def _rate(per_s: float | None) -> str:
    return "-" if per_s is None else f"{per_s:.2f} requests/s"


def hint(summary: Mapping[str, Any], urls: tuple[str, ...]) -> str | None:
    """Return what to do where nothing at all succeeded, None if something did (or nothing was sent)."""
    if not summary["sent"] or summary["ok"] or summary["cancelled"]:
        return None
    statuses = summary["http_statuses"]
    said = f' (the server said: "{summary["first_failure"]}")' if summary["first_failure"] else ""
    ends = [url for url in urls if not url.rstrip("/").endswith("/v1")]
    if set(statuses) == {"404"} and ends:
        return f"every request got a 404: {ends[0]} does not end in /v1, and the server's API usually does{said}"
    if set(statuses) == {"404"}:
        return f"every request got a 404: the model is not there, or --url is not the server's base URL{said}"
    if set(statuses) <= {"401", "403"} and statuses:
        return f"every request was refused for want of a key: name its variable with --api-key-env{said}"
    if set(statuses) == {"400"}:
        return f"every request got a 400: a server that does not know ignore_eos wants --no-ignore-eos{said}"
    return f"no request succeeded{said}"


def _off(figures: Mapping[str, float]) -> str:
    total, p50, p99 = (figures[name] for name in ("error_ratio", "error_ratio_p50", "error_ratio_p99"))
    return f"{total:+.2%} in all; of one prompt p50 {p50:.2%}, p99 {p99:.2%}"


def _quantiles(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {seconds * 1e3:,.1f}" for name, seconds in figures.items()) + " ms"
