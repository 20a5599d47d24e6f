"""Which rules are evaluated together and how often. The alerts of services every 5 s, as often as they are scraped."""

from dashboards.rules.budgets import BUDGETS
from dashboards.rules.bursts import BURSTS
from dashboards.rules.capture import CAPTURE
from dashboards.rules.failures import FAILURES
from dashboards.rules.memory import MEMORY
from dashboards.rules.model import Alert, Group, Recording
from dashboards.rules.recordings import BURNS, PIPELINE, SLOW_BURNS, TRAFFIC
from dashboards.rules.recordings import MEMORY as MEMORY_SERIES
from dashboards.rules.telemetry import TELEMETRY
from dashboards.rules.worker import WORKER

GROUPS = (
    Group(name="burstwatch-recording", interval_s=15, recordings=(*TRAFFIC, *MEMORY_SERIES, *BURNS, *PIPELINE)),
    Group(name="burstwatch-recording-slow", interval_s=60, recordings=SLOW_BURNS),
    Group(name="burstwatch-bursts", interval_s=5, alerts=BURSTS),
    Group(name="burstwatch-failures", interval_s=5, alerts=FAILURES),
    Group(name="burstwatch-memory", interval_s=5, alerts=MEMORY),
    Group(name="burstwatch-worker", interval_s=15, alerts=WORKER),
    Group(name="burstwatch-telemetry", interval_s=15, alerts=TELEMETRY),
    Group(name="burstwatch-capture", interval_s=15, alerts=CAPTURE),
    Group(name="burstwatch-budgets", interval_s=30, alerts=BUDGETS),
)

RECORDINGS: tuple[Recording, ...] = tuple(recording for group in GROUPS for recording in group.recordings)
ALERTS: tuple[Alert, ...] = tuple(alert for group in GROUPS for alert in group.alerts)
