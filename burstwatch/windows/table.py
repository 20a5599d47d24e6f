"""The newest window rows as a table. Pure: the present is an argument."""

import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from burstwatch.wording import MALFORMED, clock, episode_line, number, percent, seconds, time_of_day

ROWS_MAX = 10_000
EPISODES_SHOWN = 8
OTHERS_MAX = 1_000
NAMED_MAX = 20
FORGET_US = 3600 * 1_000_000
SET_BACK_ROWS = 3  # as the live page has it: so many rows of a class in a row, each later, all from long ago
_TITLES = ("service", "model", "log type", "until", "requests", "req/s", "CV", "α", "disp. 1 s", "failures",
           "95 % bounds", "TTFT p95", "took p95", "in flight", "state")  # fmt: skip

_SPARE = frozenset({"model", "log type", "until", "disp. 1 s", "95 % bounds", "TTFT p95", "in flight"})

Key = tuple[str, str, str]


@dataclass(slots=True)
class Newest:
    """What the table shows: fed with messages of llm.windows and llm.episodes, in any order, any number of times.

    One thread may feed it while another reads: whoever reads several things that belong together holds ``lock``.

    Attributes:
        service: only this one; None for all.
        classes: rows per model and log type too, not only a service's total.
        rows: the newest row of each class.
        episodes: what was told last, as lines.
        others: services that have rows and are not asked for.
    """

    service: str | None = None
    classes: bool = False
    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    episodes: deque[str] = field(default_factory=lambda: deque(maxlen=EPISODES_SHOWN))
    _active: dict[tuple[str, str], int] = field(default_factory=dict)  # (service, kind) -> onset of the newest
    _ended: dict[tuple[str, str], int] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    _behind: dict[Key, list[int]] = field(default_factory=dict)  # ends of the newest rows in a row from long ago
    lock: threading.RLock = field(default_factory=threading.RLock)

    def wants(self, message: Mapping[str, Any]) -> bool:
        """Return whether ``message`` is among those asked for."""
        if self.service is not None and message.get("service") != self.service:
            return False
        return self.classes or "windows" not in message or message.get("model") == "all"

    def note(self, message: dict[str, Any]) -> None:
        """Take a message into account; one that is malformed is left out."""
        if not self.wants(message):
            name = message.get("service")
            if isinstance(name, str) and self.service not in {None, name} and "windows" in message:
                with self.lock:
                    self.others |= {name} if len(self.others) < OTHERS_MAX else set()
            return
        with self.lock, suppress(*MALFORMED):
            self._row(message) if "windows" in message else self._episode(message)

    def _row(self, row: dict[str, Any]) -> None:
        key = _key(row)
        clock(row["end"]), *map(int, row["windows"].keys())  # raises for what could not be shown
        if self._is_set_back(key, row["end"]):
            self._forget_after(key[0], row["end"])
        known = self.rows.get(key)
        if known is None and len(self.rows) >= ROWS_MAX:
            self.rows = {_key(row): row for row in self.known()}
            if len(self.rows) >= ROWS_MAX:
                return
        if known is None or row["end"] >= known["end"]:
            self.rows[key] = row

    def _is_set_back(self, key: Key, end: int) -> bool:
        """Return whether event time was set back, which workers do after a clock that was far ahead."""
        known = self.rows.get(key)
        if known is None or end > known["end"] - FORGET_US:
            self._behind.pop(key, None)
            return False
        behind = self._behind.setdefault(key, [])
        if behind and end <= behind[-1]:
            behind.clear()
        behind.append(end)
        return len(behind) >= SET_BACK_ROWS

    def _forget_after(self, service: str, end: int) -> None:
        """Forget what was known of a service's times after ``end``."""
        self.rows = {key: row for key, row in self.rows.items() if key[0] != service or row["end"] <= end}
        self._behind = {key: ends for key, ends in self._behind.items() if key[0] != service}
        for onsets in (self._active, self._ended):
            for place in [place for place, onset in onsets.items() if place[0] == service and onset > end]:
                del onsets[place]

    def _episode(self, episode: dict[str, Any]) -> None:
        place, onset = (str(episode["service"]), str(episode["kind"])), int(episode["onset"])
        line = episode_line(episode)
        known = self._active if episode["state"] == "onset" else self._ended
        if onset <= known.get(place, -1):
            return  # told again after a restart
        known[place] = onset
        self.episodes.append(line)

    def active(self, service: str) -> list[str]:
        """Return the kinds of episode that ``service`` is in."""
        return [k for (s, k), onset in self._active.items() if s == service and onset > self._ended.get((s, k), -1)]

    def known(self) -> list[dict[str, Any]]:
        """Return the newest row of every class, by name; classes an hour behind the newest are left out."""
        if not self.rows:
            return []
        newest = max(row["end"] for row in self.rows.values())
        return [row for _, row in sorted(self.rows.items()) if row["end"] > newest - FORGET_US]

    def none_yet(self) -> str:
        """Return, in words, why there are no rows to show."""
        if self.service is None or not self.others:
            return "no windows yet: a row comes every 10 s of event time once requests are seen"
        names = sorted(self.others)
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        return f"no windows of service {self.service!r}; there are: {', '.join(names[:NAMED_MAX])}{more}"


def _key(row: Mapping[str, Any]) -> Key:
    return str(row["service"]), str(row["model"]), str(row["log_type"])


def picture(newest: Newest, window_s: int, width: int = 160) -> Group:
    """Return the table of one window, and what happened last; in less than 130 columns the table says less."""
    with newest.lock:
        return _picture(newest, window_s, width)


def _picture(newest: Newest, window_s: int, width: int) -> Group:
    left_out = _SPARE if width < 130 else frozenset()
    if newest.classes:
        left_out -= {"model", "log type"}
    kept = [i for i, title in enumerate(_TITLES) if title not in left_out]
    table = Table(box=None, pad_edge=False)
    for i in kept:
        table.add_column(_TITLES[i], justify="left" if i < 3 else "right", no_wrap=True)
    rows = newest.known()
    for row in rows:
        with suppress(*MALFORMED):
            if (stats := row["windows"].get(str(window_s))) is not None:
                cells = _cells(newest, row, stats)
                table.add_row(*(cells[i] for i in kept))
    what = table if rows else Text(newest.none_yet())
    return Group(what, Text(), Text("\n".join(newest.episodes) or "no episode yet"))


def _cells(newest: Newest, row: dict[str, Any], stats: dict[str, Any]) -> list[str | Text]:
    low, high = stats.get("failure_ratio_lower"), stats.get("failure_ratio_upper")
    state: str | Text = ""
    if row["model"] == "all":
        kinds = newest.active(row["service"])
        state = Text(" ".join(kinds), style="bold white on red") if kinds else Text("calm", style="green")
    return [
        row["service"],
        row["model"],
        row["log_type"],
        time_of_day(row["end"]),
        f"{stats['arrivals']:,}",
        *(number(stats.get(name)) for name in ("rate", "cv", "gamma_shape", "dispersion_1s")),
        percent(stats.get("failure_ratio")),
        "-" if low is None else f"{percent(low)}-{percent(high)}",
        *(seconds(_percentile(stats, name)) for name in ("time_to_first_token_s", "request_duration_s")),
        number(stats.get("concurrency"), 1),
        state,
    ]


def _percentile(stats: Mapping[str, Any], name: str) -> float | None:
    found = (stats.get("percentiles") or {}).get(name) or {}
    value: float | None = found.get("p95")
    return value
