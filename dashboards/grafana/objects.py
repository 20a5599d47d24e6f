"""What a push wants Grafana to have, each object with a fixed uid; and how it compares with what is there. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.differences import Difference, differences

Json = dict[str, Any]

FOLDER_UID = "burstwatch"
FOLDER_TITLE = "Burstwatch"
DATA_SOURCE_UID = "prometheus"  # what the provisioning files call it, too
CONTACT_POINT_UID = "burstwatch-webhook"
CONTACT_POINT_NAME = "Burstwatch webhook"
BOARD_TAG = "burstwatch"
BOARD_PREFIX = "burstwatch-"
_REDACTED = "[REDACTED]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object as it shall be: ``kind`` is a key of ``kinds.KINDS``, ``uid`` its name for ever."""

    kind: str
    uid: str
    title: str
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The same object as Grafana has it; ``owner`` is the file (or kind of file) it is provisioned from, if any."""

    body: Json
    owner: str | None = None


def folder(uid: str = FOLDER_UID, title: str = FOLDER_TITLE) -> Wanted:
    """Return the folder everything of ours is in."""
    return Wanted(kind="folder", uid=uid, title=title, body={"uid": uid, "title": title})


def data_source(url: str, uid: str = DATA_SOURCE_UID) -> Wanted:
    """Return a Prometheus data source that Grafana's server (not the browser) reads from ``url``."""
    body = {
        "uid": uid,
        "name": "Prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": url,
        "jsonData": {"httpMethod": "POST", "timeInterval": "5s"},
    }
    return Wanted(kind="data source", uid=uid, title="Prometheus", body=body)


def board(board: Mapping[str, Any], folder_uid: str) -> Wanted:
    """Return a board in its folder. What Grafana numbers itself (``id``, ``version``) is not part of it."""
    return Wanted(
        kind="board",
        uid=str(board["uid"]),
        title=str(board["title"]),
        body={"folderUid": folder_uid, "dashboard": _unnumbered(board)},
    )


def found_board(answer: Mapping[str, Any]) -> Found:
    """Return a board from Grafana's answer to a question for its uid."""
    meta = answer.get("meta") or {}
    body = {"folderUid": meta.get("folderUid") or "", "dashboard": _unnumbered(answer["dashboard"])}
    owner = (meta.get("provisionedExternalId") or "a file") if meta.get("provisioned") else None
    return Found(body=body, owner=owner)


def contact_point(webhook_url: str) -> Wanted:
    """Return a contact point that posts alerts to ``webhook_url``."""
    body = {
        "uid": CONTACT_POINT_UID,
        "name": CONTACT_POINT_NAME,
        "type": "webhook",
        "settings": {"url": webhook_url, "httpMethod": "POST"},
        "disableResolveMessage": False,
    }
    return Wanted(kind="contact point", uid=CONTACT_POINT_UID, title=CONTACT_POINT_NAME, body=body)


def changed(found: Found, wanted: Wanted) -> list[Difference]:
    """Return where the object Grafana has is not as wanted, in what this kind of object is compared by."""
    return list(_COMPARED[wanted.kind](found.body, wanted.body))


def fingerprint(body: Mapping[str, Any]) -> str:
    """Return 12 hex digits that stand for ``body``; they go into a board's version message."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]


def version_message(wanted: Wanted) -> str:
    """Return the message a board's version is saved under; it says whether the newest version is this very board."""
    return f"burstwatch dashboards push {fingerprint(wanted.body)}"


def _unnumbered(board: Mapping[str, Any]) -> Json:
    return {key: value for key, value in board.items() if key not in {"id", "version"}}


def _whole(found: Json, wanted: Json) -> Iterator[Difference]:
    return differences(found, wanted)


def _ours(found: Json, wanted: Json) -> Iterator[Difference]:
    """Compare what we set; Grafana adds keys of its own and keeps what people set beside ours."""
    return differences(found, wanted, extras=True)


def _contact_point(found: Json, wanted: Json) -> Iterator[Difference]:
    settings = found.get("settings") or {}
    shown = wanted | {"settings": {k: v for k, v in wanted["settings"].items() if settings.get(k) != _REDACTED}}
    for difference in _ours(found, shown):
        # A webhook's address is often its password, and what a push says ends up in logs.
        secret = difference.path.startswith("settings")
        yield Difference(difference.path, "(not shown)", "(not shown)") if secret else difference


def _rule_group(found: Json, wanted: Json) -> Iterator[Difference]:
    here = {rule["uid"]: rule for rule in found.get("rules", ())}
    rules = []
    for rule in wanted["rules"]:
        # Grafana before 12 drops what it does not know: a rule is then as equal as it can be there. The organisation
        # is that of the credentials, whatever was sent.
        unasked = {"orgID"} | ({"keep_firing_for"} - here.get(rule["uid"], rule).keys())
        rules.append({key: _plain(key, value) for key, value in rule.items() if key not in unasked})
    theirs = [
        {"notification_settings": None} | {key: _plain(key, value) for key, value in rule.items()}
        for rule in here.values()
    ]
    return _ours(found | {"rules": theirs}, wanted | {"rules": rules})


def _plain(key: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return durations in seconds: "60s" comes back as "1m"."""
    return f"{seconds(value):g}s" if key in {"for", "keep_firing_for"} and isinstance(value, str) else value


def seconds(duration: str) -> float:
    """Return a Prometheus duration in seconds. Raises ``ValueError`` for anything else.

    >>> seconds("1m30s"), seconds("0s"), seconds("500ms")
    (90.0, 0.0, 0.5)
    """
    left, total = duration, 0.0
    if not duration:
        raise ValueError("no duration: ''")
    while left:
        digits = len(left) - len(left.lstrip("0123456789"))
        unit = next((unit for unit in _UNITS if left[digits:].startswith(unit)), None)
        if not digits or unit is None:
            raise ValueError(f"no duration: {duration!r}")
        total += int(left[:digits]) * _UNITS[unit]
        left = left[digits + len(unit) :]
    return total


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_COMPARED: dict[str, Callable[[Json, Json], Iterator[Difference]]] = {
    "folder": _ours,
    "data source": _ours,
    "board": _whole,
    "contact point": _contact_point,
    "rule group": _rule_group,
}
