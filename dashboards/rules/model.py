"""What a rule is: a series that is recorded, or something a human should hear of. Values only."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]
Board = Literal["overview", "bursts", "failures", "memory", "traffic", "pipeline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series computed once and used by boards and alerts: ``level:metric:operation``."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a human should hear of. Each has a heading of its name in ``dashboards/runbook.md``.

    Attributes:
        expr: PromQL with a result per thing that is wrong, and none when all is well or too little is known.
        labels: those its results have, for routing, silences and links.
        severity: critical wakes somebody, warning is for working hours, info is for whoever looks.
        summary: one line with the value and its unit; ``description`` says what it means. Both may use
            ``{{ $labels.x }}`` and the pieces in ``figures``, which Prometheus and Grafana both understand.
        board: the board that shows it, by the end of its uid.
        wait: how long ``expr`` must hold (``for``); ``keep``: how long it is told after it no longer does.
    """

    alert: str
    expr: str
    labels: tuple[str, ...]
    severity: Severity
    summary: str
    description: str
    board: Board
    wait: str
    keep: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated together, one after the other, every ``interval_s`` seconds."""

    name: str
    interval_s: int
    recordings: tuple[Recording, ...] = ()
    alerts: tuple[Alert, ...] = ()
