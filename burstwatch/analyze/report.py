"""What an analysed trace looks like on a terminal: how bursty it is, its burstiest windows, what happened in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from statistics import quantiles
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from burstwatch.wording import clock, episode_line, number, percent

WINDOWS_SHOWN = 10
EPISODES_SHOWN = 20
_MEASURES = (
    ("request rate (1/s)", "rate"),
    ("CV of the gaps", "cv"),
    ("Gamma shape α", "gamma_shape"),
    ("dispersion, 1 s", "dispersion_1s"),
    ("failure ratio", "failure_ratio"),
)


@dataclass(slots=True)
class Findings:
    """What the report needs to remember of the results: messages of llm.windows and llm.episodes.

    Attributes:
        window_s: the window the report is about.
        windows: (end in us, numbers) of the service's total at every whole multiple of the window: no two overlap.
        episodes: the episodes in order; each state of one counts.
    """

    window_s: int
    windows: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    episodes: list[dict[str, Any]] = field(default_factory=list)

    def note(self, message: dict[str, Any]) -> None:
        """Take one message into account."""
        if "windows" not in message:
            self.episodes.append(message)
        elif message["model"] == message["log_type"] == "all" and message["end"] % (self.window_s * 1_000_000) == 0:
            self.windows.append((message["end"], message["windows"][str(self.window_s)]))


def report(findings: Findings, head: Sequence[str]) -> RenderableType:
    """Return the whole report."""
    parts: list[RenderableType] = [*head, Text()]
    if not findings.windows:
        parts.append(f"no complete window of {findings.window_s} s: choose a shorter one with --window")
    else:
        parts += [_spread(findings), Text(), _burstiest(findings), Text()]
    parts += _episodes(findings.episodes)
    return Group(*parts)


def _spread(findings: Findings) -> Table:
    table = Table(
        title=_count(len(findings.windows), f"window of {findings.window_s} s", f"windows of {findings.window_s} s"),
        title_justify="left",
        box=None,
    )
    for title in ("", "5 %", "median", "95 %", "greatest", "windows with enough data"):
        table.add_column(title, justify="left" if not title else "right")
    for title, name in _MEASURES:
        values = [w[name] for _, w in findings.windows if w[name] is not None]
        table.add_row(title, *_quantiles(values), f"{len(values):,}")
    return table


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _quantiles(values: list[float]) -> list[str]:
    if not values:
        return ["-"] * 4
    if len(values) == 1:
        return ["-", number(values[0]), "-", number(values[0])]
    cuts = quantiles(values, n=20, method="inclusive")
    return [number(v, 3) for v in (cuts[0], cuts[9], cuts[18], max(values))]


def _burstiest(findings: Findings) -> Table:
    table = Table(title="the burstiest windows, by CV", title_justify="left", box=None)
    for title in (
        "window until (UTC)",
        "requests",
        "req/s",
        "CV",
        "α",
        "method",
        "disp. 1 s",
        "failures",
        "95 % bounds",
    ):
        table.add_column(title, justify="left" if title.startswith("window") else "right", no_wrap=True)
    known = [(end, w) for end, w in findings.windows if w["cv"] is not None]
    for end, w in nlargest(WINDOWS_SHOWN, known, key=lambda found: found[1]["cv"]):
        part = f" (from {w['covered_s']} s)" if w["covered_s"] < findings.window_s else ""
        bounds = f"{percent(w['failure_ratio_lower'])} - {percent(w['failure_ratio_upper'])}"
        table.add_row(
            clock(end) + part,
            f"{w['arrivals']:,}",
            *(number(w[name]) for name in ("rate", "cv", "gamma_shape")),
            w["gamma_method"] or "-",
            number(w["dispersion_1s"]),
            percent(w["failure_ratio"]),
            bounds if w["failure_ratio"] is not None else "-",
        )
    return table


def _episodes(episodes: Iterable[dict[str, Any]]) -> list[RenderableType]:
    """Return a line for each episode; one that the trace ends in is told with what is known of it."""
    known = list({e["id"]: e for e in episodes}.values())
    if not known:
        return ["no episode: no burst, nothing else out of the ordinary"]
    lines: list[RenderableType] = [
        _count(len(known), "episode", "episodes") + (", the last of them" if _many(known) else "")
    ]
    lines += [f"  {_span(e)} {episode_line(e)}" for e in known[-EPISODES_SHOWN:]]
    return lines


def _span(episode: Mapping[str, Any]) -> str:
    onset, end = episode["onset"], episode["end"]
    lasted = "still on" if end is None else f"for {(end - onset) / 1e6:,.0f} s"
    return f"{clock(onset)} {lasted}:"


def _many(known: Sequence[object]) -> bool:
    return len(known) > EPISODES_SHOWN
