"""What is wrong with how a board is built: ids, places, units, words, variables, links. See also board_queries.py.

Every check returns complaints, so that tests can break a board and see the complaint come.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

# Grafana's own unit ids (getValueFormats() of @grafana/data) that our boards may use; add one when a board needs it.
UNITS = {"none", "short", "percentunit", "reqps", "mps", "eps", "ops", "s", "bytes"}
# What Grafana itself defines, and where each may stand.
MACROS = {"__rate_interval", "__range", "__url_time_range", "__all_variables", "__field", "__data", "__all"}
KINDS = {"stat", "timeseries", "state-timeline", "heatmap", "bargauge", "table", "row"}

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)[^}]*\})")
_BOARD_LINK = re.compile(r"^/d/([\w-]+)\?(.*)$")


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def complaints(board, boards, headings):
    """Everything wrong with ``board``; ``boards`` are all there are, ``headings`` those of the runbook."""
    uids = {other["uid"]: {v["name"] for v in other["templating"]["list"]} for other in boards}
    return [
        *_numbers(board),
        *_places(board),
        *_words(board),
        *_units(board),
        *_thresholds(board),
        *_sources(board),
        *_ranges(board),
        *_variables(board),
        *_links(board, uids, {heading.lower() for heading in headings}),
    ]


def _numbers(board) -> Iterator[str]:
    for key in ("id", "title"):
        counts = Counter(panel[key] for panel in board["panels"])
        yield from (f"{key} {value!r} is there {n} times" for value, n in counts.items() if n > 1)
    for panel in board["panels"]:
        if panel["id"] < 1:
            yield f"{panel['title']}: panel id {panel['id']} is not above 0"
        if panel["type"] not in KINDS:
            yield f"{panel['title']}: kind {panel['type']} is not one of ours"


def _places(board) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > 24:
            yield f"{panel['title']}: is not within the 24 columns"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    yield f"{panel['title']}: overlaps {other}"
                    return


def _words(board) -> Iterator[str]:
    if not board.get("description"):
        yield "the board has no description"
    for panel in panels(board):
        text = panel.get("description", "")
        for part in ("**Normal:**", "**If not:**", "From `"):
            if part not in text:
                yield f"{panel['title']}: its description lacks {part}"
        if not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f"{panel['title']}: does not say what absence means (noValue)"


def _units(board) -> Iterator[str]:
    for panel in panels(board):
        config = panel["fieldConfig"]
        found = [config["defaults"].get("unit")]
        for override in config["overrides"]:
            found += [p["value"] for p in override["properties"] if p["id"] == "unit"]
        if panel["type"] == "heatmap":
            found.append(panel["options"]["yAxis"].get("unit"))
        for unit in found:
            if unit not in UNITS:
                yield f"{panel['title']}: unit {unit!r} is not set or not known"


def _thresholds(board) -> Iterator[str]:
    for panel in panels(board):
        config = panel["fieldConfig"]
        found = [config["defaults"]["thresholds"]]
        for override in config["overrides"]:
            found += [p["value"] for p in override["properties"] if p["id"] == "thresholds"]
        for threshold in found:
            values = [step["value"] for step in threshold["steps"]]
            if values[0] is not None or None in values[1:] or any(a >= b for a, b in pairwise(values[1:])):
                yield f"{panel['title']}: thresholds do not rise from null"


def _sources(board) -> Iterator[str]:
    ours = {"type": "prometheus", "uid": "${datasource}"}
    grafanas = {"type": "grafana", "uid": "-- Grafana --"}
    for panel in panels(board):
        if any(thing.get("datasource") != ours for thing in (panel, *panel["targets"])):
            yield f"{panel['title']}: its datasource is not ${{datasource}}"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query" and variable.get("datasource") != ours:
            yield f"variable {variable['name']}: its datasource is not ${{datasource}}"
    for mark in board["annotations"]["list"]:
        if mark.get("datasource") != (ours if "expr" in mark else grafanas):
            yield f"annotation {mark['name']}: its datasource is neither ${{datasource}} nor Grafana's own"


def _ranges(board) -> Iterator[str]:
    """On a time axis each point of such a query is a sum over a time that is mostly not shown at that point."""
    for panel in panels(board):
        if any("$__range" in target["expr"] and not target["instant"] for target in panel["targets"]):
            yield f"{panel['title']}: $__range on a time axis"


def _variables(board) -> Iterator[str]:
    defined = {variable["name"] for variable in board["templating"]["list"]}
    body = [board["panels"], board["annotations"], board["templating"]["list"]]
    yield from (f"variable {name} is not defined" for name in sorted(_named(body) - defined - MACROS))
    # a link only hands on what was chosen: a variable that nothing else asks for changes nothing
    yield from (f"variable {name} is not used" for name in sorted(defined - _named(_without_links(body))))
    text = json.dumps(body)
    if text.count("$") != len(_VARIABLE.findall(text)) or re.search(r"\[\[[A-Za-z_]", text):
        yield "a $ or [[ that begins no variable"
    for panel in board["panels"]:
        if "$" in panel["title"] + panel.get("description", ""):
            yield f"{panel['title']}: a $ in a title or description"


def _named(thing) -> set[str]:
    return {plain or braced for plain, braced in _VARIABLE.findall(json.dumps(thing))}


def _without_links(thing):
    if isinstance(thing, dict):
        return {key: _without_links(value) for key, value in thing.items() if key != "links"}
    return [_without_links(one) for one in thing] if isinstance(thing, list) else thing


def _links(board, uids, headings) -> Iterator[str]:
    if not any(link["type"] == "dashboards" and link["includeVars"] and link["keepTime"] for link in board["links"]):
        yield "no links to the other boards that keep time and variables"
    if not any("/runbook" in link["url"] for link in board["links"]):
        yield "no link to the runbook"
    for panel in panels(board):
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            yield from (f"{panel['title']}: {wrong}" for wrong in _wrong_with(link["url"], uids, board["uid"]))
        for link in panel.get("links", []):
            anchor = link["url"].rpartition("#")[2]
            if "/runbook#" not in link["url"] or anchor not in headings:
                yield f"{panel['title']}: the runbook has no heading {anchor}"


def _wrong_with(url, uids, here) -> Iterator[str]:
    found = _BOARD_LINK.match(url)
    if not found:
        yield f"link {url} leads to no board"
        return
    uid, rest = found.groups()
    if uid not in uids:
        yield f"link to {uid}, which is no board"
        return
    if "${__url_time_range}" not in rest:
        yield f"link to {uid} loses the time"
    if "${__all_variables}" not in rest:
        for name in sorted(uids[uid] & uids[here]):
            if f"var-{name}=" not in rest and f"${{{name}:queryparam}}" not in rest:
                yield f"link to {uid} loses {name}"
    for name in re.findall(r"var-(\w+)=", rest):
        if name not in uids[uid]:
            yield f"link to {uid} sets {name}, which that board has not"
