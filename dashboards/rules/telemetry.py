"""Alerts on what comes in: messages unreadable or missing, agents that are silent or whose clock is off."""

from dashboards.rules import thresholds as at
from dashboards.rules.model import Alert
from dashboards.rules.terms import counted, greatest

TELEMETRY = (
    Alert(
        alert="BurstwatchDeadLetters",
        expr=f"{counted('dead_letters_total', '10m', 'topic, reason')} > 0",
        labels=("topic", "reason"),
        severity="warning",
        summary="Unreadable messages on {{ $labels.topic }} ({{ $labels.reason }}): {{ $value | humanize }} in 10 min",
        description="What they would have counted is missing; llm.dead-letter says which they are.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchEventsLost",
        expr=f"{greatest('missing_messages')} > 0",
        labels=("service",),
        severity="warning",
        summary="Telemetry of {{ $labels.service }} lacks messages that should have come: {{ $value | humanize }}",
        description="Agents numbered and sent them, or lost their spool: counts are lower bounds.",
        board="pipeline",
        wait="5m",
        keep="5m",
    ),
    Alert(
        alert="BurstwatchAgentDrops",
        expr="max by (service) (delta(burstwatch_agent_dropped_events[10m])) > 0",
        labels=("service",),
        severity="warning",
        summary="Agents of {{ $labels.service }} dropped {{ $value | humanize }} events in 10 min",
        description="Their spool was full or could not be written: counts are lower bounds.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchAgentSilent",
        # Of a worker that is behind, the newest message it knows of is old although its agent goes on.
        expr=(
            f"time() - {greatest('agent_last_message_timestamp_seconds', 'agent')} > {at.AGENT_SILENT_S}"
            f" unless on () sum(topic:burstwatch_source_lag_messages:sum) > {at.LAG_MESSAGES}"
        ),
        labels=("agent",),
        severity="warning",
        summary="Agent {{ $labels.agent }} has been silent for {{ $value | humanizeDuration }}",
        description="Live agents send at least one message a second. Forgotten when others went on for an hour.",
        board="pipeline",
        wait="30s",
        keep="1m",
    ),
    Alert(
        alert="BurstwatchAgentClockAhead",
        expr=f"{greatest('agent_clock_ahead_seconds', 'agent')} > {at.CLOCK_AHEAD_S}",
        labels=("agent",),
        severity="warning",
        summary="The clock of agent {{ $labels.agent }} is {{ $value | humanizeDuration }} ahead",
        description="Its requests seem to come later than they do: bursts are smeared where several nodes serve.",
        board="pipeline",
        wait="5m",
        keep="5m",
    ),
)
