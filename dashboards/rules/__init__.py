"""Prometheus rules from one source: what is recorded, what alerts, and the files made of both. Pure."""

from dashboards.rules._old import ALERTS, rules_yaml
from dashboards.rules.model import Alert, Recording
from dashboards.rules.recordings import RECORDINGS

__all__ = ["ALERTS", "RECORDINGS", "Alert", "Recording", "rules_yaml"]
