"""The same alerts for Grafana to evaluate, as a file its provisioning reads. Pure. Never run against a real Grafana.

Prometheus' rules are the source of truth: here each expression is asked as it is, and a series it returns is an alert.
They need the recordings of the rules file, which Prometheus must load.

What Grafana wants otherwise than Prometheus: intervals in tens of seconds; ``$value`` is a text about everything, the
number is ``$values.A.Value``; ``$`` is doubled in labels and titles, which go through the environment, and not in
annotations and queries, which do not. No data means that all is well, of ``absent()`` too: that turns missing series
into a value.
"""

from collections.abc import Iterable
from typing import Any

from dashboards.links import LINKS, Links
from dashboards.rules.groups import GROUPS
from dashboards.rules.model import Alert, Group
from dashboards.rules.prometheus import GENERATED, annotations
from dashboards.rules.yaml_text import yaml_text

FOLDER = "Burstwatch"
DATASOURCE_UID = "prometheus"
UID_MAX = 40
_STEP_S = 10  # Grafana's scheduler ticks so often; other intervals are refused
_LOOK_BACK_S = 600
_OWNER = """\
# An alternative to dashboards/generated/rules + Alertmanager, never both: alerts have one owner, or are told twice.
# To let Grafana evaluate them, mount this file into its provisioning/alerting folder, let Prometheus load the rules
# file for its recordings, and take the alerting section out of Prometheus' configuration.
# Rules from files cannot be edited in Grafana; one that goes away needs a deleteRules entry with its uid.
"""


def grafana_alerting_yaml(links: Links = LINKS, groups: Iterable[Group] = GROUPS) -> str:
    """Return the file for Grafana's ``provisioning/alerting``."""
    return GENERATED + _OWNER + yaml_text({"apiVersion": 1, "groups": grafana_groups(links, groups)})


def grafana_groups(links: Links = LINKS, groups: Iterable[Group] = GROUPS) -> list[dict[str, Any]]:
    """Return the groups that have alerts, with the keys of a provisioning file (the HTTP API has others)."""
    return [
        {
            "orgId": 1,
            "name": group.name,
            "folder": FOLDER,
            "interval": f"{-(-group.interval_s // _STEP_S) * _STEP_S}s",
            "rules": [_rule(alert, links) for alert in group.alerts],
        }
        for group in groups
        if group.alerts
    ]


def rule_uid(alert: Alert) -> str:
    """Return the rule's uid, the same for ever."""
    return f"burstwatch-{alert.alert.lower().removeprefix('burstwatch')}"[:UID_MAX]


def _rule(alert: Alert, links: Links) -> dict[str, Any]:
    told = {name: text.replace("$value ", "$values.A.Value ") for name, text in annotations(alert, links).items()}
    return {
        "uid": rule_uid(alert),
        "title": _escaped(alert.alert),
        "condition": "C",
        "data": _queries(alert.expr),
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.wait,
        "keepFiringFor": alert.keep,
        "annotations": told,
        "labels": {"severity": _escaped(alert.severity)},
        "isPaused": False,
    }


def _queries(expr: str) -> list[dict[str, Any]]:
    """Return the expression, 1 for every series of its result, and the threshold that a rule must end with."""
    query = {"refId": "A", "expr": expr, "instant": True, "range": False, "intervalMs": 1000, "maxDataPoints": 43200}
    there = {"refId": "B", "type": "math", "expression": "is_number($A)"}
    above = {"refId": "C", "type": "threshold", "expression": "B"}
    above_zero = {**above, "conditions": [{"evaluator": {"type": "gt", "params": [0]}}]}
    return [
        {
            "refId": "A",
            "datasourceUid": DATASOURCE_UID,
            "relativeTimeRange": {"from": _LOOK_BACK_S, "to": 0},
            "model": query,
        },
        *(
            {
                "refId": model["refId"],
                "datasourceUid": "__expr__",
                "relativeTimeRange": {"from": 0, "to": 0},
                "model": model,
            }
            for model in (there, above_zero)
        ),
    ]


def _escaped(text: str) -> str:
    return text.replace("$", "$$")
