"""Alerts on what comes in: messages unreadable or missing, agents that are silent or whose clock is off."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import COUNT, DURATION
from dashboards.rules.model import Alert
from dashboards.rules.terms import counted, greatest

TELEMETRY = (
    Alert(
        alert="BurstwatchDeadLetters",
        expr=f"{counted('dead_letters_total', '10m', 'topic, reason')} > 0",
        labels=("topic", "reason"),
        severity="warning",
        summary=f"Unreadable messages on {{{{ $labels.topic }}}} ({{{{ $labels.reason }}}}): {COUNT} in 10 min",
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
        summary=f"Telemetry of {{{{ $labels.service }}}} lacks messages that should have come: {COUNT}",
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
        summary=f"Agents of {{{{ $labels.service }}}} dropped {COUNT} events in 10 min",
        description="Their spool was full or could not be written: counts are lower bounds.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchAgentSilent",
        # Of a worker that is behind, the newest message it knows of is old although its agent goes on. Where all are
        # silent, BurstwatchWorkerStale is on before the first of them is told, and tells it once (see its ``wait``).
        expr=(
            f"time() - {greatest('agent_last_message_timestamp_seconds', 'agent')} > {at.AGENT_SILENT_S}"
            f" unless on () sum(topic:burstwatch_source_lag_messages:sum) > {at.LAG_MESSAGES}"
        ),
        labels=("agent",),
        severity="warning",
        summary=f"Agent {{{{ $labels.agent }}}} has been silent for {DURATION}",
        description="Live agents send at least one message a second. Forgotten when others went on for an hour.",
        board="pipeline",
        wait="2m",
        keep="1m",
    ),
    Alert(
        alert="BurstwatchAgentClockAhead",
        expr=f"{greatest('agent_clock_ahead_seconds', 'agent')} > {at.CLOCK_AHEAD_S}",
        labels=("agent",),
        severity="warning",
        summary=f"The clock of agent {{{{ $labels.agent }}}} is {DURATION} ahead",
        description="Its requests seem to come later than they do: bursts are smeared where several nodes serve.",
        board="pipeline",
        wait="5m",
        keep="5m",
    ),
)
