"""Prometheus rules from one source: what is recorded, what alerts, and the files made of both. Pure."""

from dashboards.rules.grafana import grafana_alerting_yaml, grafana_groups
from dashboards.rules.groups import ALERTS, GROUPS, RECORDINGS
from dashboards.rules.model import Alert, Group, Recording
from dashboards.rules.prometheus import prometheus_rule_manifest, rules_yaml

__all__ = [
    "ALERTS",
    "GROUPS",
    "RECORDINGS",
    "Alert",
    "Group",
    "Recording",
    "grafana_alerting_yaml",
    "grafana_groups",
    "prometheus_rule_manifest",
    "rules_yaml",
]
