"""Where boards lead to: each other, keeping the time and what was chosen, and the runbook."""

from dashboards.boards.queries import Json
from dashboards.links import LINKS, RUNBOOK_URL

TAG = "burstwatch"
OVERVIEW = "burstwatch-overview"
BURSTS = "burstwatch-bursts"
FAILURES = "burstwatch-failures"
MEMORY = "burstwatch-memory"
TRAFFIC = "burstwatch-traffic"
PIPELINE = "burstwatch-pipeline"

_OF_ITS_SERVICE = "${datasource:queryparam}&${window:queryparam}&var-service=${__field.labels.service}"
_OF_ITS_ROW = "${datasource:queryparam}&${window:queryparam}&var-service=${__data.fields.service}"
_OF_ITS_MODEL = "${datasource:queryparam}&${service:queryparam}&${window:queryparam}&var-model=${__data.fields.model}"


def board_links() -> list[Json]:
    """Return the links at a board's top: every board of ours, and the runbook."""
    boards = _link("dashboards", "Burstwatch")
    boards |= {"tags": [TAG], "includeVars": True, "keepTime": True, "asDropdown": False}
    runbook = _link("link", "Runbook")
    runbook |= {"url": RUNBOOK_URL, "icon": "doc", "targetBlank": True, "tooltip": "What each alert means, what to do"}
    return [boards, runbook]


def _link(kind: str, title: str) -> Json:
    return {
        "type": kind,
        "title": title,
        "url": "",
        "icon": "external link",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": False,
    }


def to_board(uid: str, title: str, *, of_service: bool = False) -> Json:
    """Return a link of a value to another board, with time and variables; ``of_service`` picks the value's own."""
    return _to(uid, title, _OF_ITS_SERVICE if of_service else "${__all_variables}")


def row_to_board(uid: str, title: str) -> Json:
    """Return a link of a table's cell to another board, for the service of the cell's row."""
    return _to(uid, title, _OF_ITS_ROW)


def model_to_board(uid: str, title: str) -> Json:
    """Return a link of a table's cell to another board, for the model of the cell's row."""
    return _to(uid, title, _OF_ITS_MODEL)


def _to(uid: str, title: str, chosen: str) -> Json:
    return {"title": title, "url": f"/d/{uid}?${{__url_time_range}}&{chosen}", "targetBlank": False}


def to_runbook(alert: str) -> Json:
    """Return a panel's link to the heading of ``alert``."""
    return _link("link", f"Runbook: {alert}") | {"url": LINKS.runbook(alert), "icon": "doc", "targetBlank": True}
