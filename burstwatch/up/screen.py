"""The terminal summary: a live table on a terminal, one line every few seconds elsewhere."""

from collections import deque
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from burstwatch.up.numbers import Numbers, ServiceNumbers
from burstwatch.wording import number, percent

EPISODES_SHOWN = 8
PLAIN_EVERY_S = 5.0


def plain_line(elapsed_s: float, numbers: Numbers) -> str:
    """Return the one-line summary used where there is no terminal."""
    parts = [f"{int(elapsed_s) // 60:02d}:{int(elapsed_s) % 60:02d}"]
    for name, service in numbers.services.items():
        parts.append(
            f"{name}: rate {number(service.rate_10s)}/s  cv {number(service.cv_1m)}  "
            f"failures {percent(service.failure_ratio_1m)}  requests {service.arrivals:,}  bursts {service.bursts}"
            + ("  BURST" if service.burst_active else "")
        )
    if not numbers.services:
        parts.append("waiting for the first events")
    if numbers.kv_cache_usage_ratio is not None:
        parts.append(f"kv {percent(numbers.kv_cache_usage_ratio)}")
        parts.append(f"running {numbers.running or 0} waiting {numbers.waiting or 0}")
    return "  ".join(parts)


def total_line(numbers: Numbers) -> str:
    """Return what the whole run saw, in one line."""
    services = [
        f"{name}: {s.arrivals:,} requests, {s.completions:,} ended, {s.failures:,} failed, {s.bursts} bursts"
        for name, s in numbers.services.items()
    ]
    lost = f"lost {numbers.missing + numbers.dropped}, late {numbers.late}, dead letters {numbers.dead_letters}"
    return "; ".join([*services, lost]) if services else f"no requests seen; {lost}"


def _service_row(name: str, s: ServiceNumbers) -> list[str | Text]:
    state = Text("BURST", style="bold white on red") if s.burst_active else Text("calm", style="green")
    return [
        name,
        number(s.rate_10s),
        number(s.cv_1m),
        number(s.gamma_shape_1m),
        percent(s.failure_ratio_1m),
        f"{s.arrivals:,}",
        f"{s.failures:,}",
        number(s.burst_z, 1),
        str(s.bursts),
        state,
    ]


def _bar(ratio: float | None, width: int = 40) -> Text:
    if ratio is None:
        return Text("no engine metrics", style="dim")
    filled = round(min(max(ratio, 0.0), 1.0) * width)
    style = "red" if ratio >= 0.9 else "yellow" if ratio >= 0.7 else "green"
    return Text("█" * filled, style=style) + Text("░" * (width - filled), style="dim") + f" {percent(ratio)}"


def picture(elapsed_s: float, numbers: Numbers, episodes: Sequence[str], facts: Sequence[str]) -> Panel:
    """Return the whole screen as one renderable."""
    table = Table(expand=True, pad_edge=False, box=None)
    for title in ("service", "req/s", "CV 1m", "α 1m", "fail 1m", "requests", "failed", "z", "bursts", ""):
        table.add_column(title, justify="left" if title in {"service", ""} else "right", no_wrap=True)
    for name, service in numbers.services.items():
        table.add_row(*_service_row(name, service))
    memory = Text("KV cache  ") + _bar(numbers.kv_cache_usage_ratio)
    queue = f"running {numbers.running or 0}   waiting {numbers.waiting or 0}   preemptions {numbers.preemptions or 0}"
    lost = f"lost {numbers.missing + numbers.dropped}   late {numbers.late}   dead letters {numbers.dead_letters}"
    happened = "\n".join(episodes) or "nothing out of the ordinary yet"
    shown = table if numbers.services else Text("waiting for the first events …")
    body = Group(
        shown, Text(), memory, Text(f"{queue}\n{lost}"), Text(), Text(happened), Text(), Text("\n".join(facts))
    )
    return Panel(body, title=f"Burstwatch  {int(elapsed_s)} s", subtitle="Ctrl-C drains and exports the trace")


class Screen:
    """Shows numbers and episodes; knows whether it is on a terminal."""

    def __init__(self, console: Console, facts: Sequence[str]) -> None:
        self._console = console
        self._facts = list(facts)
        self._episodes: deque[str] = deque(maxlen=EPISODES_SHOWN)
        self._live: Live | None = None
        self._last_plain_s = -PLAIN_EVERY_S

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            # The alternate screen: an echoed ^C or a resized window then leaves no torn picture behind.
            self._live = Live(console=self._console, refresh_per_second=4, screen=True)
            self._live.__enter__()
        else:
            for fact in self._facts:
                self._console.print(fact, highlight=False, soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
            for line in (*self._facts, *self._episodes):
                self._console.print(line, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Add a line to the list of what happened."""
        self._episodes.append(text)
        if self._live is None:
            self._console.print(text, highlight=False, soft_wrap=True)

    def show(self, elapsed_s: float, numbers: Numbers) -> None:
        """Show the numbers of this moment."""
        if self._live is not None:
            self._live.update(picture(elapsed_s, numbers, list(self._episodes), self._facts))
        elif elapsed_s - self._last_plain_s >= PLAIN_EVERY_S:
            self._last_plain_s = elapsed_s
            self._console.print(plain_line(elapsed_s, numbers), highlight=False, soft_wrap=True)
