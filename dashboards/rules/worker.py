"""Alerts on the workers: none there, one down, none that reads, too slow, faulty."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import COUNT
from dashboards.rules.model import Alert
from dashboards.rules.terms import counted, risen

# With the prefix a Prometheus operator puts before the name of a PodMonitor; one job for all is often just the name.
JOBS = 'job=~"(.+/)?burstwatch(-.+)?"'
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
        # A restart or a rebalance takes half a minute; two minutes without a message are an outage. Told by then: the
        # last message leaves the window within 60 s, two scrapes and an evaluation of it, and ``wait`` follows. That is
        # before BurstwatchAgentSilent, which blames each agent (60 s and 2 min), and it stays until agents that find
        # Kafka again later than others have done so: else what it explains would be told when it ends.
        expr="sum(rate(burstwatch_messages_total[1m])) == 0 or sum(burstwatch_partitions_owned) == 0",
        labels=(),
        severity="critical",
        summary="Kafka cannot be reached, or all agents or workers stand still: no message is read",
        description=(
            "Live agents send at least one message a second, and workers that reach Kafka have partitions. Look at "
            "Kafka first: without it agents and workers are silent together."
        ),
        board="pipeline",
        wait="1m",
        keep="5m",
    ),
    Alert(
        alert="BurstwatchWorkerLags",
        expr=f"{_LAG} > {at.LAG_MESSAGES} and on (topic) delta({_LAG}[10m]) > 0",
        labels=("topic",),
        severity="warning",
        summary=f"Workers are {COUNT} messages behind on {{{{ $labels.topic }}}}, and fall further back",
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
        summary=f"Faults in the worker's own code ({{{{ $labels.error }}}}): {COUNT} in 10 min",
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
        summary=f"Messages gone from Kafka before {{{{ $labels.instance }}}} read them: {COUNT} in 15 min",
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
        summary=f"Results of {{{{ $labels.instance }}}} that Kafka refused for good: {COUNT} in 10 min",
        description="Rows are missing from llm.windows or llm.episodes, which the live page and annotations show.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
)
