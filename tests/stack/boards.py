"""What the committed boards ask Prometheus for, with their variables set as one that just opened them has. Pure."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.stack.topology import ROOT

FOLDER = ROOT / "dashboards/generated/boards"
DATASOURCE = ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml"


@dataclass(frozen=True)
class Query:
    """One query of a panel, or of an annotation. ``name`` is board/panel/refId."""

    name: str
    expr: str
    instant: bool


@dataclass(frozen=True)
class Variable:
    """One query that fills a drop-down."""

    name: str
    query: str


def boards() -> dict[str, dict[str, Any]]:
    """Return the committed boards by file name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def queries() -> list[Query]:
    """Return every query of every panel of every board."""
    found = []
    for name, board in boards().items():
        values = defaults(board)
        for panel in panels(board):
            for target in panel.get("targets", []):
                if target.get("expr"):
                    label = f"{name}/{panel['title']}/{target['refId']}"
                    found.append(Query(label, filled(target["expr"], values), bool(target.get("instant"))))
        for annotation in board["annotations"]["list"]:
            expr = annotation.get("expr") or annotation.get("target", {}).get("expr")
            if expr:
                found.append(Query(f"{name}/annotation {annotation['name']}/A", filled(expr, values), instant=False))
    return found


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a board's panels, those in folded rows too."""
    return [one for panel in board["panels"] for one in (panel, *panel.get("panels", []))]


def variables() -> list[Variable]:
    """Return every variable that asks Prometheus."""
    found = []
    for name, board in boards().items():
        values = defaults(board)
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                query = variable["query"]
                text = query if isinstance(query, str) else query["query"]
                found.append(Variable(f"{name}/${variable['name']}", filled(text, values)))
    return found


def defaults(board: dict[str, Any]) -> dict[str, str]:
    """Return what a board's variables are before anybody touches them, with Grafana's own intervals."""
    settings = yaml.safe_load(DATASOURCE.read_text())["datasources"][0]["jsonData"]
    step = settings["timeInterval"]
    seconds = int(step.removesuffix("s"))
    values = {"__interval": step, "__rate_interval": f"{4 * seconds}s", "__range": "5m", "__range_s": "300"}
    for variable in board["templating"]["list"]:
        current = variable.get("current", {}).get("value", "")
        chosen = "|".join(current) if isinstance(current, list) else current
        if variable["type"] == "query" and chosen in {"$__all", ""}:
            chosen = variable.get("allValue") or ".+"
        values[variable["name"]] = chosen
    return values


def filled(text: str, values: dict[str, str]) -> str:
    """Return a query with its variables put in. Raises ``KeyError`` for one that the board does not have."""
    return re.sub(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)", lambda found: values[found[1] or found[2]], text)


def selector(variable: Variable) -> tuple[str, str]:
    """Return (series selector, label) of a ``label_values`` query; the selector is empty if it names none."""
    whole = re.fullmatch(r"label_values\((?:(.+),\s*)?(\w+)\)", variable.query)
    assert whole, f"{variable.name}: {variable.query}"
    return whole[1] or "", whole[2]


def rules(folder: Path = ROOT / "dashboards/generated/rules") -> list[dict[str, Any]]:
    """Return every rule of the committed rules files."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]
