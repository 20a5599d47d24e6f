"""PromQL the boards ask, and the targets Grafana reads it from. Pure; which metrics exist is the catalogue's business.

Every query aggregates by the labels its legend names: a service that moves to another worker is then still one line,
and a second scrape of the same worker is not a second service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

SERVICE = 'service=~"$service"'
NODE = 'node=~"$node"'
# Counters know classes only; gauges of windows have the total beside them, under the name "all".
CLASS = f'{SERVICE}, model=~"$model"'
TOTAL = f'{SERVICE}, model="all", log_type="all"'
WINDOW = f'{TOTAL}, window="$window"'
# Classes have gauges of 1m and 20m only, and "all" is no class.
OF_CLASSES = f'{CLASS}, model!="all"'
ON_NODES = f"{SERVICE}, {NODE}"
OURS = 'alertname=~"(LLM|Burstwatch).+"'
BY_SERVICE = ("service",)
BY_PROCESS = ("instance",)
BY_PARTITION = ("topic", "partition")
BY_ENGINE = ("node", "engine")
BY_CLASS = ("service", "model", "log_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression and how its result is drawn.

    Attributes:
        expr: PromQL. ``legend`` is the name of a line, with ``{{label}}`` for what tells lines apart.
        column: heading in a table; tables have this instead of a legend.
        unit: Grafana unit of this result where it is not the panel's.
        role: "line"; "bound" is thin and dashed, for intervals; "limit" is dashed and red, for thresholds that are
            series; "bars" for counts per step.
        right: draw on an axis of its own at the right.
        steps: thresholds (from this value on, colour) of a table's column; the first one from None.
        words: (value, text, colour) of a table's column.
    """

    expr: str
    legend: str = ""
    column: str = ""
    unit: str = ""
    role: str = "line"
    right: bool = False
    steps: Sequence[tuple[float | None, str]] = ()
    words: Sequence[tuple[int, str, str]] = ()


def selector(metric: str, where: str = "") -> str:
    """Return the selector of a Burstwatch metric.

    >>> selector("burst_z", 'service="chat"')
    'burstwatch_burst_z{service="chat"}'
    """
    return f"burstwatch_{metric}{{{where}}}" if where else f"burstwatch_{metric}"


def _by(operator: str, by: Sequence[str]) -> str:
    return f"{operator} by ({', '.join(by)}) " if by else operator


def newest(metric: str, by: Sequence[str] = BY_SERVICE, where: str = SERVICE) -> str:
    """Return the gauge as it is, one value for each combination of ``by``.

    >>> newest("burst_z", where="")
    'max by (service) (burstwatch_burst_z)'
    """
    return f"{_by('max', by)}({selector(metric, where)})"


def windowed(metric: str, by: Sequence[str] = BY_SERVICE) -> str:
    """Return a gauge of the service's total in the window chosen on the board."""
    return newest(metric, by, WINDOW)


def rated(metric: str, by: Sequence[str] = BY_SERVICE, where: str = SERVICE) -> str:
    """Return the counter per second.

    >>> rated("arrivals_total", where="")
    'sum by (service) (rate(burstwatch_arrivals_total[$__rate_interval]))'
    """
    return f"{_by('sum', by)}(rate({selector(metric, where)}[$__rate_interval]))"


def grown(metric: str, legend: str, by: Sequence[str] = BY_PROCESS) -> Query:
    """Return the line of a process' counter per second."""
    return Query(expr=rated(metric, by, ""), legend=legend)


def counted(metric: str, by: Sequence[str] = BY_SERVICE, where: str = SERVICE) -> str:
    """Return by how much the counter grew in the time the board shows."""
    return f"{_by('sum', by)}(increase({selector(metric, where)}[$__range]))"


def risen(metric: str, by: Sequence[str] = BY_SERVICE, where: str = "") -> str:
    """Return the same for a counter that appears with the first thing it counts, which ``increase`` does not see."""
    here = selector(metric, where)
    grown = f"increase({here}[$__range])"
    return f"{_by('sum', by)}({grown} > 0 or ({here} unless {here} offset $__range) or {grown})"


def stepped(metric: str, by: Sequence[str] = BY_SERVICE, where: str = SERVICE) -> str:
    """Return by how much the counter grew from step to step of the picture, for what happens seldom."""
    return f"{_by('sum', by)}(increase({selector(metric, where)}[$__rate_interval]))"


def buckets(metric: str) -> str:
    """Return a histogram's buckets for a heatmap: observations per step of the picture."""
    return stepped(f"{metric}_bucket", ("le",))


def mean(metric: str) -> str:
    """Return a histogram's mean: the sum over the count, absent where nothing was observed."""
    return f"{rated(metric + '_sum')} / ({rated(metric + '_count')} > 0)"


def ref(index: int) -> str:
    """Return Grafana's letter for the query at ``index``, up to 26."""
    return chr(ord("A") + index)


def target(query: Query, index: int, *, shape: str, instant: bool) -> Json:
    """Return what Grafana sends. ``shape`` is time_series, table or heatmap; an instant query asks for now only."""
    return {
        "refId": ref(index),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": shape,
        "instant": instant,
        "range": not instant,
    }
