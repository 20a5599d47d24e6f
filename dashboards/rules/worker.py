"""Alerts on the workers: none there, one down, none that reads, too slow, faulty."""

from dashboards.rules import thresholds as at
from dashboards.rules.model import Alert
from dashboards.rules.terms import counted, risen

# With the prefix a Prometheus operator puts before the name of a PodMonitor.
JOBS = 'job=~"(.+/)?burstwatch-.+"'
_LAG = "topic:burstwatch_source_lag_messages:sum"

WORKER = (
    Alert(
        alert="BurstwatchWorkerAbsent",
        # Only workers have partitions; a metric says more than the name of a scrape job.
        expr="absent(burstwatch_partitions_owned)",
        labels=(),
        severity="critical",
        summary="No worker is scraped: nothing is measured",
        description="Prometheus has no metrics of any worker, so no other alert of a service can fire.",
        board="pipeline",
        wait="2m",
        keep="1m",
    ),
    Alert(
        alert="BurstwatchTargetDown",
        expr=f"up{{{JOBS}}} == 0",
        labels=("job", "instance"),
        severity="warning",
        summary="{{ $labels.instance }} of {{ $labels.job }} cannot be scraped",
        description=(
            "It is down, cannot be reached, or its page is beyond sample_limit. Other workers take over a worker's "
            "partitions; nobody takes over for capture."
        ),
        board="pipeline",
        wait="1m",
        keep="1m",
    ),
    Alert(
        alert="BurstwatchWorkerStale",
        expr="sum(rate(burstwatch_messages_total[5m])) == 0 or sum(burstwatch_partitions_owned) == 0",
        labels=(),
        severity="critical",
        summary="The workers read nothing: {{ $value | humanize }} messages/s in 5 min",
        description=(
            "Live agents send at least one message a second, and workers that reach Kafka have partitions: the "
            "workers, Kafka or all agents stand still."
        ),
        board="pipeline",
        wait="2m",
        keep="1m",
    ),
    Alert(
        alert="BurstwatchWorkerLags",
        expr=f"{_LAG} > {at.LAG_MESSAGES} and on (topic) delta({_LAG}[10m]) > 0",
        labels=("topic",),
        severity="warning",
        summary="Workers are {{ $value | humanize }} messages behind on {{ $labels.topic }}, and fall further back",
        description="Alerts and boards show the past; bursts are told late.",
        board="pipeline",
        wait="5m",
        keep="5m",
    ),
    Alert(
        alert="BurstwatchProcessorErrors",
        expr=f"{counted('processor_errors_total', '10m', 'error')} > 0",
        labels=("error",),
        severity="warning",
        summary="Faults in the worker's own code ({{ $labels.error }}): {{ $value | humanize }} in 10 min",
        description="A message of which something was not worked out; the worker's log has the first of each kind.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchMessagesLost",
        expr=f"{risen('lost_messages_total', '15m', 'job, instance')} > 0",
        labels=("job", "instance"),
        severity="warning",
        summary="Messages gone from Kafka before {{ $labels.instance }} read them: {{ $value | humanize }} in 15 min",
        description="The worker was behind for longer than Kafka keeps messages: counts are too low from there on.",
        board="pipeline",
        wait="0s",
        keep="15m",
    ),
    Alert(
        alert="BurstwatchResultsUndelivered",
        expr=f"{risen('undelivered_results_total', '10m', 'job, instance')} > 0",
        labels=("job", "instance"),
        severity="warning",
        summary="Results of {{ $labels.instance }} that Kafka refused for good: {{ $value | humanize }} in 10 min",
        description="Rows are missing from llm.windows or llm.episodes, which the live page and annotations show.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
)
