"""Alert rules for Grafana's HTTP API, from the same groups as the provisioning file. Pure.

The API has other keys than the file: ``keep_firing_for``, ``orgID``, ``folderUID``, ``ruleGroup``, intervals as numbers
of seconds; and nothing goes through the environment, so a dollar is written once.
"""

from collections.abc import Mapping
from typing import Any

from dashboards.grafana.objects import Json, Wanted, seconds
from dashboards.links import Links
from dashboards.rules import grafana_groups

_EXPRESSION = "__expr__"  # Grafana's name for what it computes itself


def rule_groups(links: Links, *, folder_uid: str, data_source_uid: str, receiver: str | None = None) -> list[Wanted]:
    """Return the groups of rules in their folder, asking one data source.

    ``receiver``: the contact point that is told, past the notification policies; without it those decide.
    """
    return [
        Wanted(
            kind="rule group",
            uid=group["name"],
            title=f"{len(group['rules'])} rules",
            body={
                "title": group["name"],
                "folderUid": folder_uid,
                "interval": int(seconds(group["interval"])),
                "rules": [_rule(rule, group["name"], folder_uid, data_source_uid, receiver) for rule in group["rules"]],
            },
        )
        for group in grafana_groups(links)
    ]


def _rule(rule: Mapping[str, Any], group: str, folder_uid: str, data_source_uid: str, receiver: str | None) -> Json:
    kept = {key: value for key, value in rule.items() if key not in {"keepFiringFor", "title", "labels", "data"}}
    return kept | {
        "orgID": 1,  # Grafana puts the organisation of the credentials here
        "folderUID": folder_uid,
        "ruleGroup": group,
        "title": _unescaped(rule["title"]),
        "labels": {name: _unescaped(value) for name, value in rule["labels"].items()},
        "keep_firing_for": rule["keepFiringFor"],
        "notification_settings": None if receiver is None else {"receiver": receiver},
        "data": [query | {"datasourceUid": _source(query["datasourceUid"], data_source_uid)} for query in rule["data"]],
    }


def _source(named: str, data_source_uid: str) -> str:
    return named if named == _EXPRESSION else data_source_uid


def _unescaped(text: str) -> str:
    return text.replace("$$", "$")
