"""What is wrong with what a board asks: metrics, labels and values nobody exports, raw counters, nameless lines."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from dashboards.boards.variables import WINDOWS
from streams.export.catalogue import CATALOGUE, CLASS, MetricType
from tests.support import promql
from tests.support.board_lint import panels

# What Prometheus itself adds to a scraped series, and series that are its own.
SCRAPED = {"job", "instance"}
PROMETHEUS = {
    "up": SCRAPED,
    "scrape_samples_post_metric_relabeling": SCRAPED,
    "ALERTS": {"alertname", "alertstate", "severity", "service", *SCRAPED},
}
# Labels whose values are a closed set somebody could misspell.
CLOSED = {
    "bound": {"lower", "estimate"},
    "state": {"used", "free", "reserved", "total"},
    "direction": {"request", "response"},
    "outcome": {"ok", "failed", "cancelled"},
    "alertstate": {"pending", "firing"},
    "quantile": {"0.5", "0.9", "0.95", "0.99"},
    "window": {*WINDOWS, "$window"},
}
_RATED = {"rate", "increase"}
_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
_RANGE = re.compile(r"(\w+)\([^()\[\]]*\[([^\]]*)\]")
_QUOTED = re.compile(r'"[^"]*"')
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_OF_RESULT = re.compile(r"\$\{__(?:field\.labels|data\.fields)\.(\w+)\}")
_NAME = re.compile(r"burstwatch_\w+")


def metric(name: str):
    """The catalogue's entry a series belongs to (a histogram's for its buckets), or None."""
    found = CATALOGUE.get(name)
    if found is None or found.type is MetricType.HISTOGRAM:
        base = CATALOGUE.get(_HISTOGRAM.sub("", name))
        return base if base and base.type is MetricType.HISTOGRAM and base.name != name else None
    return found


def labels_of(recorded: dict[str, str]):
    """The labels of a series by its name; ``recorded`` are the recording rules' expressions by name."""

    def find(name: str) -> Iterable[str]:
        if name in PROMETHEUS:
            return PROMETHEUS[name]
        if name in recorded:
            return promql.labels(recorded[name], find)
        found = metric(name)
        if found is None:
            return set()
        return {*found.labels, *SCRAPED, *({"le"} if name.endswith("_bucket") else ())}

    return find


def expressions(board) -> list[tuple[str, str]]:
    """Every PromQL of a board with where it stands: panels, annotations."""
    found = [(f"{p['title']} {t['refId']}", t["expr"]) for p in panels(board) for t in p["targets"]]
    return found + [(mark["name"], mark["expr"]) for mark in board["annotations"]["list"] if "expr" in mark]


def complaints(board, recorded: dict[str, str]) -> list[str]:
    """Everything wrong with the queries of ``board``."""
    several = {variable["name"] for variable in board["templating"]["list"] if variable["multi"]}
    found: list[str] = []
    for where, expr in expressions(board):
        try:
            promql.parse(expr)
        except ValueError as error:
            found.append(f"{where}: no PromQL: {error}")
            continue
        found += [f"{where}: {wrong}" for wrong in _wrong_with(expr, recorded, several)]
    return [
        *found,
        *_legends(board, recorded),
        *_described(board),
        *_instants(board),
        *_choices(board, recorded),
        *_links(board, recorded),
    ]


def _wrong_with(expr: str, recorded: dict[str, str], several: set[str]) -> Iterator[str]:
    find = labels_of(recorded)
    for use in promql.uses(expr):
        if not (metric(use.name) or use.name in recorded or use.name in PROMETHEUS):
            yield f"nobody exports {use.name}"
            continue
        if strange := use.labels - set(find(use.name)):
            yield f"{use.name} has no label {', '.join(sorted(strange))}"
        # a counter that was not there before: its value is its increase
        if f"{use.name} unless {use.name} offset $__range" not in expr:
            yield from _rated(use)
        for label, sign, value in use.matchers:
            yield from _matcher(use, label, sign, value, several)
    for grouping in promql.groupings(expr):
        for name in grouping.names:
            if strange := grouping.labels - set(find(name)):
                yield f"grouped by {', '.join(sorted(strange))}, which {name} has not"
    for function, span in _RANGE.findall(_QUOTED.sub('""', expr)):
        allowed = {"rate": {"$__rate_interval"}, "increase": {"$__rate_interval", "$__range"}}.get(function, set())
        if span not in allowed:
            yield f"{function} over [{span}], not over $__rate_interval"


def _rated(use) -> Iterator[str]:
    found = metric(use.name)
    if found is None:
        return
    grows = found.type in (MetricType.COUNTER, MetricType.HISTOGRAM)
    if grows and use.function not in _RATED:
        yield f"{use.name} only grows and is not rated"
    if not grows and use.function in _RATED:
        yield f"{use.name} is a gauge and is rated"


def _matcher(use, label: str, sign: str, value: str, several: set[str]) -> Iterator[str]:
    if label in CLOSED and sign == "=" and value not in CLOSED[label]:
        yield f"{label} is never {value!r}"
    found = metric(use.name)
    if found and found.type is MetricType.COUNTER and label in CLASS and value == "all":
        yield f'{use.name} knows classes only, no {label}="all"'
    if any(value == f"${name}" for name in several) and sign not in ("=~", "!~"):
        yield f"${value[1:]} can be several values, {label} must be matched with =~"


def _legends(board, recorded: dict[str, str]) -> Iterator[str]:
    find = labels_of(recorded)
    for panel in panels(board):
        names = Counter(target["legendFormat"] for target in panel["targets"])
        if panel["type"] == "table":
            continue
        yield from (f"{panel['title']}: legend {n!r} is there twice" for n, times in names.items() if times > 1)
        for target in panel["targets"]:
            try:
                there = promql.labels(target["expr"], find)
            except ValueError:
                continue  # told above
            named = set(_LABEL.findall(target["legendFormat"]))
            if named - there:
                yield f"{panel['title']}: legend names {', '.join(sorted(named - there))}, which the result has not"
            if there - named:
                yield f"{panel['title']}: lines differ by {', '.join(sorted(there - named))}, which no legend names"


def _described(board) -> Iterator[str]:
    for panel in panels(board):
        for name in {name for target in panel["targets"] for name in _NAME.findall(target["expr"])}:
            if name not in panel.get("description", ""):
                yield f"{panel['title']}: its description does not name {name}"


def _instants(board) -> Iterator[str]:
    for panel in panels(board):
        now = panel["type"] in {"stat", "bargauge", "table"}
        for target in panel["targets"]:
            if target["instant"] is not now or target["range"] is now:
                yield f"{panel['title']}: a number of now asks an instant query, a line a range"
        letters = [target["refId"] for target in panel["targets"]]
        if len(set(letters)) < len(letters) or len(letters) > 26:
            yield f"{panel['title']}: refIds are not unique"


def _choices(board, recorded: dict[str, str]) -> Iterator[str]:
    """Variables ask for metrics and labels that exist."""
    find = labels_of(recorded)
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        names = _NAME.findall(found[1]) if found else []
        if not names:
            yield f"variable {variable['name']}: no label_values of ours"
        for name in names:
            if metric(name) is None or found[2] not in set(find(name)):
                yield f"variable {variable['name']}: {name} does not exist or has no {found[2]}"


def _links(board, recorded: dict[str, str]) -> Iterator[str]:
    """A link that takes a label along needs a result that has it."""
    find = labels_of(recorded)
    for panel in panels(board):
        taken = set(_OF_RESULT.findall(json.dumps(panel["fieldConfig"]["defaults"].get("links", []))))
        for target in panel["targets"] if taken else []:
            if gone := taken - promql.labels(target["expr"], find):
                yield f"{panel['title']}: a link takes {', '.join(sorted(gone))} along, which the result has not"


def asked(boards) -> set[str]:
    """The catalogue's metrics that some panel shows."""
    names = {name for board in boards for name in _NAME.findall(json.dumps([p["targets"] for p in panels(board)]))}
    return {found.name for name in names if (found := metric(name))}
