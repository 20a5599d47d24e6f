"""What is marked on every time axis of a board: episodes, from Prometheus or from Grafana's own annotations."""

from collections.abc import Collection

from dashboards.boards.navigation import TAG
from dashboards.boards.queries import DATASOURCE, Json, newest

_GRAFANA: Json = {"type": "grafana", "uid": "-- Grafana --"}

# name of the episode: the gauge that is above 0 while it lasts, and its colour on every board
EPISODES = {
    "burst": ("burst_active", "orange"),
    "failure": ("failure_active", "red"),
    "pressure": ("pressure_active", "purple"),
}


def marks(shown: Collection[str]) -> Json:
    """Return a board's annotations; ``shown`` names the episodes that are drawn without being asked for.

    Grafana joins neighbouring points of an expression that has values only while an episode lasts to one region. The
    annotations `burstwatch dashboards annotate` writes have exact times from llm.episodes and outlive Prometheus; they
    start switched off, because both at once mark everything twice.
    """
    return {"list": [_builtin(), *(_episodes(kind, enable=kind in shown) for kind in EPISODES), _annotated()]}


def _builtin() -> Json:
    return {
        "name": "Annotations & Alerts",
        "builtIn": 1,
        "datasource": _GRAFANA,
        "type": "dashboard",
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
    }


def _episodes(kind: str, *, enable: bool) -> Json:
    metric, colour = EPISODES[kind]
    return {
        "name": f"{kind.capitalize()} episodes",
        "datasource": DATASOURCE,
        "enable": enable,
        "hide": False,
        "iconColor": colour,
        "expr": f"{newest(metric)} > 0",
        "step": "15s",
        "titleFormat": f"{kind} of {{{{service}}}}",
        "textFormat": "",
        "tagKeys": "service",
    }


def _annotated() -> Json:
    return {
        "name": "Episodes told by annotate",
        "datasource": _GRAFANA,
        "enable": False,
        "hide": False,
        "iconColor": "yellow",
        "target": {"type": "tags", "tags": [TAG], "matchAny": False, "limit": 200},
    }
