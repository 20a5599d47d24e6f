"""The lower rows of the board on the pipeline itself: its agents and what it lost."""

from dashboards.boards import steps
from dashboards.boards.grid import Row
from dashboards.boards.of_now import Stat
from dashboards.boards.over_time import TimeSeries
from dashboards.boards.queries import Query, counted, grown, newest, rated

_BY_AGENT = ("agent",)

AGENTS = Row(
    id=400,
    title="Agents",
    panels=[
        TimeSeries(
            id=401,
            title="Agents of each service",
            what="Agents whose promises make up a service's event time, and those too far behind to be waited for.",
            normal="all of yours, none idle.",
            act="idle: that agent's clock is behind, or it was stopped without a last word.",
            empty=steps.NO_AGENT,
            queries=[
                Query(expr=newest("agents"), legend="{{service}}"),
                Query(expr=newest("agents_idle"), legend="{{service}} idle", role="bound"),
            ],
            unit="none",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=402,
            title="Age of each agent's newest message",
            what="Now less the time Kafka appended it. Live agents send every second.",
            normal="a few seconds.",
            act="a line that climbs: that agent, its shipper or its way to Kafka.",
            alerts=["BurstwatchAgentSilent"],
            steps=steps.SILENCE,
            empty=steps.NO_AGENT,
            queries=[
                Query(
                    expr=f"time() - {newest('agent_last_message_timestamp_seconds', _BY_AGENT, '')}",
                    legend="{{agent}}",
                )
            ],
            unit="s",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=403,
            title="Delay and clock of each agent",
            what="Least delay of an agent's messages over a minute, and how far its clock is ahead for certain.",
            normal="delay below a second, ahead 0.",
            act="ahead: mend that node's clock. Delay: a clock behind, or a spool that is being caught up.",
            alerts=["BurstwatchAgentClockAhead"],
            empty=steps.NO_AGENT,
            queries=[
                Query(expr=newest("agent_delay_seconds", _BY_AGENT, ""), legend="{{agent}} delay"),
                Query(expr=newest("agent_clock_ahead_seconds", _BY_AGENT, ""), legend="{{agent}} ahead", role="bound"),
            ],
            unit="s",
            least=0,
            width=8,
        ),
    ],
)

LOSSES = Row(
    id=500,
    title="Completeness",
    panels=[
        TimeSeries(
            id=501,
            title="Messages missing, events dropped",
            what="Messages known to exist that have not come; events the agents say they had to drop (ever).",
            normal="missing 0, dropped flat.",
            act="dropped rising: the agent's spool is full, Kafka has been away for long.",
            empty=steps.NO_SERVICE,
            queries=[
                Query(expr=newest("missing_messages"), legend="{{service}} missing"),
                Query(expr=newest("agent_dropped_events"), legend="{{service}} dropped", role="bound"),
            ],
            unit="none",
            least=0,
            alerts=["BurstwatchEventsLost", "BurstwatchAgentDrops"],
        ),
        TimeSeries(
            id=502,
            title="Late, early and doubled",
            what="Events too late for totals (counts) or gaps (ordered), too far ahead, and messages that came again.",
            normal="none; doubled messages after a restart are harmless, they are not counted twice.",
            act="late: an agent's delay above. Ahead: an agent's clock.",
            empty=steps.NO_SERVICE,
            queries=[
                Query(expr=rated("late_events_total", ("service", "path")), legend="{{service}} late: {{path}}"),
                Query(expr=rated("future_events_total"), legend="{{service}} ahead"),
                Query(expr=rated("duplicate_messages_total"), legend="{{service}} doubled", role="bound"),
            ],
            unit="eps",
            least=0,
        ),
        TimeSeries(
            id=503,
            title="Dead letters by reason",
            what="Messages that could not be used, per second.",
            normal="none.",
            act="llm.dead-letter names each; see the runbook.",
            empty="none",
            queries=[grown("dead_letters_total", "{{topic}} {{reason}}", ("topic", "reason"))],
            unit="mps",
            least=0,
            alerts=["BurstwatchDeadLetters"],
        ),
        TimeSeries(
            id=504,
            title="What Kafka lost",
            what="Messages the log no longer held, results Kafka refused for good, times the reader was moved back.",
            normal="none.",
            act="lost: retention is shorter than the worker's outage. Refused: results' topics or rights.",
            alerts=["BurstwatchMessagesLost", "BurstwatchResultsUndelivered"],
            empty=steps.NO_WORKER,
            queries=[
                grown("lost_messages_total", "{{instance}} lost"),
                grown("undelivered_results_total", "{{instance}} refused"),
                grown("offset_gaps_total", "{{instance}} moved back"),
            ],
            unit="mps",
            least=0,
        ),
        Stat(
            id=505,
            title="Event time set back",
            what="Times event time was set back in the time shown: a clock had been far ahead, windows began anew.",
            normal="none.",
            act="find the clock: the agent that was ahead is in the panel on clocks.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=counted("event_time_set_back_total"), legend="{{service}}")],
            unit="none",
            decimals=0,
            named=True,
            steps=steps.NONE_IS_CALM,
            width=12,
        ),
        Stat(
            id=506,
            title="Engine readings ignored",
            what="Readings beyond the budget of engines, or too far ahead of event time, in the time shown.",
            normal="none.",
            act="more engines than the budget, or a node's clock ahead.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=counted("readings_ignored_total"), legend="{{service}}")],
            unit="none",
            decimals=0,
            named=True,
            steps=steps.NONE_IS_CALM,
            width=12,
            alerts=["BurstwatchReadingsIgnored"],
        ),
    ],
)
