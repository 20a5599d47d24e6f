"""The rules as Prometheus reads them: a rules file, and the PrometheusRule of the Prometheus operator. Pure."""

from collections.abc import Iterable
from typing import Any

from dashboards.links import LINKS, Links
from dashboards.rules.groups import GROUPS
from dashboards.rules.model import Alert, Group
from dashboards.rules.yaml_text import yaml_text

GENERATED = "# Generated from dashboards/rules/ by `burstwatch dashboards generate`; do not edit.\n"
_OWNER = """\
# Alerts have one owner: Prometheus, with these rules and an Alertmanager. Whoever lets Grafana evaluate them
# (dashboards/generated/alerting) loads these rules too, for the recordings, but names no Alertmanager to Prometheus.
"""
BOARD_UID = "burstwatch-{board}"


def annotations(alert: Alert, links: Links) -> dict[str, str]:
    """Return what an alert says, and where it sends the reader."""
    uid = BOARD_UID.format(board=alert.board)
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": links.runbook(alert.alert),
        "dashboard_url": links.dashboard(uid, by_service="service" in alert.labels),
    }


def rules_yaml(links: Links = LINKS, groups: Iterable[Group] = GROUPS) -> str:
    """Return the rules file."""
    return GENERATED + _OWNER + yaml_text({"groups": [_group(group, links) for group in groups]})


def prometheus_rule_manifest(links: Links = LINKS, groups: Iterable[Group] = GROUPS) -> str:
    """Return the same rules as a Kubernetes object, for clusters with the Prometheus operator."""
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "burstwatch", "labels": {"app.kubernetes.io/name": "burstwatch"}},
        "spec": {"groups": [_group(group, links) for group in groups]},
    }
    return GENERATED + yaml_text(manifest)


def _group(group: Group, links: Links) -> dict[str, Any]:
    recordings = [{"record": recording.record, "expr": recording.expr} for recording in group.recordings]
    alerts = [_alert(alert, links) for alert in group.alerts]
    return {"name": group.name, "interval": f"{group.interval_s}s", "rules": [*recordings, *alerts]}


def _alert(alert: Alert, links: Links) -> dict[str, Any]:
    return {
        "alert": alert.alert,
        "expr": alert.expr,
        "for": alert.wait,
        "keep_firing_for": alert.keep,
        "labels": {"severity": alert.severity},
        "annotations": annotations(alert, links),
    }
