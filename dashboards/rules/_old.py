"""The alerts and the YAML, on their way into files of their own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.rules.model import Recording
from dashboards.rules.recordings import RECORDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a human should hear of. Each has a heading of its name in ``dashboards/runbook.md``."""

    alert: str
    expr: str
    severity: str
    summary: str
    description: str
    wait: str = "0s"
    keep: str = "0s"


def _burning(long: str, short: str, factor: float) -> str:
    """Return the condition of a pair of windows (Google SRE workbook, chapter 5)."""
    burns = (f"service:burstwatch_failure_burn:rate{window} > {factor:g}" for window in (long, short))
    return " and on (service) ".join(burns)


ALERTS = (
    Alert(
        alert="LLMBurstActive",
        expr="burstwatch_burst_active == 1",
        severity="info",
        summary="A burst of requests to {{ $labels.service }}",
        description="Arrivals stand far above what is expected at this time.",
        keep="1m",
    ),
    Alert(
        alert="LLMFailureEpisode",
        expr="burstwatch_failure_active == 1",
        severity="critical",
        summary="Requests to {{ $labels.service }} fail",
        description="Far more than the failure budget allows, and beyond chance; llm.episodes says since when and why.",
        keep="1m",
    ),
    Alert(
        alert="LLMFailureBudgetBurnsFast",
        expr=f"({_burning('1h', '5m', 14.4)}) or ({_burning('6h', '30m', 6)})",
        severity="critical",
        summary="{{ $labels.service }} burns its failure budget fast",
        description="{{ $value | humanize }} times as fast as it may: a month's budget is gone within days.",
    ),
    Alert(
        alert="LLMFailureBudgetBurns",
        expr=_burning("3d", "6h", 1),
        severity="warning",
        summary="{{ $labels.service }} burns its failure budget",
        description="{{ $value | humanize }} times as fast as it may, for days.",
    ),
    Alert(
        alert="LLMKVCacheNearlyFull",
        expr="burstwatch_kv_cache_usage_ratio > 0.95",
        severity="warning",
        summary="The KV cache of {{ $labels.engine }} on {{ $labels.node }} is nearly full",
        description="{{ $value | humanizePercentage }} in use: requests queue, are preempted or refused.",
        wait="1m",
        keep="2m",
    ),
    Alert(
        alert="BurstwatchDeadLetters",
        expr="sum by (topic, reason) (increase(burstwatch_dead_letters_total[10m])) > 0",
        severity="warning",
        summary="Messages on {{ $labels.topic }} cannot be read ({{ $labels.reason }})",
        description="{{ $value | humanize }} in 10 minutes; llm.dead-letter says which.",
    ),
    Alert(
        alert="BurstwatchEventsLost",
        expr=(
            "sum by (service) (burstwatch_missing_messages) > 0"
            " or sum by (service) (delta(burstwatch_agent_dropped_events[10m])) > 0"
        ),
        severity="warning",
        summary="Telemetry of {{ $labels.service }} is incomplete",
        description="Messages are missing, or agents had to drop events: counts are lower bounds.",
        wait="5m",
    ),
    Alert(
        alert="BurstwatchWorkerStale",
        expr="sum(rate(burstwatch_messages_total[5m])) == 0",
        severity="critical",
        summary="The worker reads nothing",
        description="Live agents send at least one message a second: the worker, Kafka or all agents stand still.",
        wait="2m",
    ),
    Alert(
        alert="BurstwatchWorkerAbsent",
        expr="absent(burstwatch_build_info)",
        severity="critical",
        summary="No worker is scraped",
        description="Prometheus sees no /metrics of any worker.",
        wait="2m",
    ),
)


def rules_yaml(recordings: Sequence[Recording] = RECORDINGS, alerts: Sequence[Alert] = ALERTS) -> str:
    """Return the rules file. Every text is a JSON string, which is a YAML string too: nothing needs care."""
    lines = ["# Generated from dashboards/rules.py by `burstwatch dashboards generate`; do not edit.", "groups:"]
    lines += ["  - name: burstwatch-recording", "    interval: 15s", "    rules:"]
    for recording in recordings:
        lines += [f"      - record: {recording.record}", f"        expr: {json.dumps(recording.expr)}"]
    lines += ["  - name: burstwatch-alerts", "    interval: 15s", "    rules:"]
    for alert in alerts:
        lines += _alert(alert)
    return "\n".join(lines) + "\n"


def _alert(alert: Alert) -> list[str]:
    return [
        f"      - alert: {alert.alert}",
        f"        expr: {json.dumps(alert.expr)}",
        f"        for: {alert.wait}",
        f"        keep_firing_for: {alert.keep}",
        "        labels:",
        f"          severity: {alert.severity}",
        "        annotations:",
        f"          summary: {json.dumps(alert.summary)}",
        f"          description: {json.dumps(alert.description)}",
        f"          runbook: {json.dumps('dashboards/runbook.md#' + alert.alert.lower())}",
    ]
