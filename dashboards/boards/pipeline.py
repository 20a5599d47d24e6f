"""Whether what the other boards show can be trusted: agents, lag, lateness, losses, workers, capture, alerts."""

from dashboards.boards import steps, variables
from dashboards.boards.board import Plan, board
from dashboards.boards.grid import Row
from dashboards.boards.navigation import PIPELINE
from dashboards.boards.of_now import Stat, Table
from dashboards.boards.over_time import StateTimeline, TimeSeries
from dashboards.boards.panels import Board
from dashboards.boards.pipeline_agents import AGENTS, LOSSES
from dashboards.boards.pipeline_workers import CAPTURE, WORKERS
from dashboards.boards.queries import BY_PARTITION, OURS, Query, newest, rated, risen
from dashboards.rules.worker import JOBS

NOW = Row(
    id=100,
    title="Now",
    panels=[
        Stat(
            id=101,
            title="Scrape targets down",
            what="Workers and captures Prometheus is told to scrape and cannot.",
            normal="none.",
            act="start it, or look why its --metrics-host cannot be reached; see the runbook.",
            empty="no burstwatch- jobs",
            queries=[Query(expr=f"sum(1 - up{{{JOBS}}})")],
            unit="none",
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_GOOD,
            alerts=["BurstwatchTargetDown", "BurstwatchWorkerAbsent"],
        ),
        Stat(
            id=102,
            title="Agents live",
            what="Agents whose promises make up the chosen services' event time, less those too far behind.",
            normal="as many as you run, for each service they report.",
            act="fewer: see which one is silent below.",
            empty=steps.NO_AGENT,
            queries=[Query(expr=f"sum({newest('agents')}) - sum({newest('agents_idle')})")],
            unit="none",
        ),
        Stat(
            id=103,
            title="Longest silent agent",
            what="Age of the newest message of the agent that has been silent longest. Live agents send every second.",
            normal="a few seconds. One that was stopped on purpose is forgotten when others went on for an hour.",
            act="look at that agent's log, its shipper and its spool.",
            alerts=["BurstwatchAgentSilent"],
            empty=steps.NO_AGENT,
            queries=[
                Query(
                    expr=f"topk(1, time() - {newest('agent_last_message_timestamp_seconds', ('agent',), '')})",
                    legend="{{agent}}",
                )
            ],
            unit="s",
            decimals=0,
            named=True,
            steps=steps.SILENCE,
        ),
        Stat(
            id=104,
            title="Messages behind",
            what="Messages in Kafka that the workers have not applied yet, all partitions.",
            normal="a few; more for a moment after a restart, which reads again from the last snapshot.",
            act="growing for minutes: add a worker (up to one for each partition).",
            empty=steps.NO_WORKER,
            queries=[Query(expr=f"sum({newest('source_lag_messages', BY_PARTITION, '')})")],
            steps=steps.LAG,
        ),
        Stat(
            id=105,
            title="Dead letters",
            what="Messages that could not be used, in the time shown.",
            normal="none.",
            act="llm.dead-letter names topic, offset and reason: a foreign writer, or an agent newer than the worker.",
            empty="none seen",
            queries=[Query(expr=risen("dead_letters_total", ()))],
            unit="none",
            decimals=0,
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_CALM,
            alerts=["BurstwatchDeadLetters"],
        ),
        Stat(
            id=106,
            title="Messages missing",
            what="Messages of agents known to exist that have not come.",
            normal="none.",
            act="counts are lower bounds until they come: see the agents' spools, then Kafka's retention.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=f"sum({newest('missing_messages')})")],
            unit="none",
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_CALM,
            alerts=["BurstwatchEventsLost"],
        ),
    ],
)

ALERTS = Row(
    id=200,
    title="Alerts and processes",
    panels=[
        StateTimeline(
            id=201,
            title="Alerts",
            what="Burstwatch's alerts, pending and firing, as Prometheus saw them.",
            normal="empty.",
            act="the runbook (link above) has a heading for each.",
            empty="no alert pending or firing, or the rules are not loaded here",
            queries=[
                Query(
                    expr=f'max by (alertname, service) (2 * ALERTS{{alertstate="firing", {OURS}}}'
                    f' or ALERTS{{alertstate="pending", {OURS}}})',
                    legend="{{alertname}} {{service}}",
                )
            ],
            unit="none",
            words=steps.ALERT_WORDS,
            width=14,
        ),
        StateTimeline(
            id=202,
            title="Workers and captures",
            what="Whether Prometheus could scrape each process.",
            normal="up throughout.",
            act="down: its services' series end. Another worker takes the partitions over within seconds.",
            empty="no burstwatch- jobs",
            queries=[Query(expr=f"max by (job, instance) (up{{{JOBS}}})", legend="{{job}} {{instance}}")],
            unit="none",
            words=steps.UP_WORDS,
            width=10,
        ),
    ],
)

LAG = Row(
    id=300,
    title="Lag",
    panels=[
        TimeSeries(
            id=301,
            title="Messages not applied yet",
            what="Messages in Kafka that are not applied yet, by partition.",
            normal="a few; more for a moment after a restart, which reads again from the last snapshot.",
            act="one partition alone: a hot service. All: a worker is missing or too slow.",
            alerts=["BurstwatchWorkerLags"],
            empty=steps.NO_WORKER,
            queries=[Query(expr=newest("source_lag_messages", BY_PARTITION, ""), legend="{{topic}} {{partition}}")],
            least=0,
        ),
        TimeSeries(
            id=302,
            title="Messages read",
            what="Messages the workers read per second, by topic. Live agents send at least one a second.",
            normal="at least the number of agents times their services.",
            act="0: Kafka, the workers or all agents stand still.",
            empty=steps.NO_WORKER,
            queries=[Query(expr=rated("messages_total", ("topic",), ""), legend="{{topic}}")],
            unit="mps",
            least=0,
            alerts=["BurstwatchWorkerStale"],
        ),
        TimeSeries(
            id=303,
            title="Event time behind now",
            what="How far each service's event time is from now. Every window and episode waits for it.",
            normal="a few seconds. A recording that is played has its own time: then this is meaningless.",
            act="growing a second each second: an agent has stopped promising, or the worker hangs.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=f"time() - {newest('watermark_timestamp_seconds')}", legend="{{service}}")],
            unit="s",
        ),
        Table(
            id=304,
            title="Partitions",
            what="By partition: next offset to apply as of the last snapshot, and messages not applied at this moment.",
            normal="offsets that grow.",
            act="an offset that stands still with messages behind it: that worker hangs.",
            empty="–",
            queries=[
                Query(expr=newest("source_offset", BY_PARTITION, ""), column="Next offset"),
                Query(expr=newest("source_lag_messages", BY_PARTITION, ""), column="Behind", steps=steps.LAG),
            ],
            unit="none",
        ),
    ],
)


def pipeline() -> Board:
    """Return the board."""
    return board(
        Plan(
            uid=PIPELINE,
            title="Burstwatch / Pipeline health",
            text="Agents, lag, lateness, losses, workers and capture: whether the other boards can be trusted.",
            rows=[NOW, ALERTS, LAG, AGENTS, LOSSES, WORKERS, CAPTURE],
            variables=[variables.datasource(), variables.service()],
        )
    )
