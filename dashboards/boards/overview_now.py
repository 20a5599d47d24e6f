"""The first row of the overview: numbers of this moment, each leading to the board that explains it."""

from dashboards.boards import steps
from dashboards.boards.grid import Row
from dashboards.boards.navigation import BURSTS, FAILURES, MEMORY, PIPELINE, TRAFFIC, to_board
from dashboards.boards.of_now import Stat
from dashboards.boards.queries import SERVICE, Query, newest, rated, windowed

_NO_SERVICE = "no service yet"


def _active(metric: str) -> str:
    """How many services are in such an episode now."""
    return f"sum({newest(metric)})"


NOW = Row(
    id=100,
    title="Now",
    panels=[
        Stat(
            id=101,
            title="Services in a burst",
            what="How many of the chosen services are in a burst of requests.",
            normal="none.",
            act="click through to Bursts; nothing is broken yet, but look at KV cache and queue below.",
            empty=_NO_SERVICE,
            queries=[Query(expr=_active("burst_active"))],
            unit="none",
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_CALM,
            links=[to_board(BURSTS, "Bursts")],
            alerts=["LLMBurstActive"],
        ),
        Stat(
            id=102,
            title="Services failing",
            what="How many of the chosen services fail beyond their budget and beyond chance.",
            normal="none.",
            act="click through to Failures: reasons, and what the failures coincide with.",
            empty=_NO_SERVICE,
            queries=[Query(expr=_active("failure_active"))],
            unit="none",
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_GOOD,
            links=[to_board(FAILURES, "Failures")],
            alerts=["LLMFailureEpisode"],
        ),
        Stat(
            id=103,
            title="Services short of memory",
            what="How many of the chosen services have engines that run, or will run, out of KV cache.",
            normal="none. No engine's readings: no value at all.",
            act="click through to Memory: which engine, how long it lasts, how many replicas would do.",
            alerts=["LLMMemoryPressure"],
            empty="no engine readings",
            queries=[Query(expr=f"sum({newest('pressure_active')} > bool 0)")],
            unit="none",
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_GOOD,
            links=[to_board(MEMORY, "Memory")],
        ),
        Stat(
            id=104,
            title="Fastest budget burn, ×",
            what="The service whose failure budget burns fastest over the last hour, as a multiple of what is allowed.",
            normal="below 1: the budget lasts its period.",
            act="above 14.4 a month's budget is gone in two days: click through to Failures.",
            empty="no ended requests",
            queries=[
                Query(
                    expr=f"""topk(1, {newest("failure_burn_rate", where=f'{SERVICE}, window="1h"')})""",
                    legend="{{service}}",
                )
            ],
            unit="none",
            decimals=1,
            named=True,
            steps=steps.BURN,
            links=[to_board(FAILURES, "Failures", of_service=True)],
            alerts=["LLMFailureBudgetBurnsFast"],
        ),
        Stat(
            id=105,
            title="Fullest KV cache",
            what="The engine with the greatest part of its KV cache in use.",
            normal="below 85 %. Above 95 % requests wait, are preempted or refused.",
            act="click through to Memory; lower the engine's concurrency or add one.",
            empty="no engine readings",
            queries=[
                Query(
                    expr=f"topk(1, {newest('kv_cache_usage_ratio', ('service', 'node', 'engine'))})",
                    legend="{{service}} {{node}} engine {{engine}}",
                )
            ],
            unit="percentunit",
            decimals=0,
            named=True,
            steps=steps.KV,
            links=[to_board(MEMORY, "Memory", of_service=True)],
            alerts=["LLMKVCacheNearlyFull"],
        ),
        Stat(
            id=106,
            title="Soonest KV exhaustion",
            what="Lower 95 % bound of the time until the first engine's KV cache is full, if it grows on as it does.",
            normal="no value: no cache clearly grows, one that is full already included: see the panel beside.",
            act="minutes or less: shed load or add capacity now, the Memory board names the engine.",
            alerts=["LLMBurstExhaustsKVCache"],
            empty="no cache grows",
            queries=[
                Query(expr=f"""min({newest("kv_exhaustion_seconds", where=f'{SERVICE}, bound="lower"')})"""),
            ],
            unit="s",
            steps=steps.EXHAUSTION,
            links=[to_board(MEMORY, "Memory")],
        ),
        Stat(
            id=107,
            title="Alerts firing",
            what="Burstwatch's alerts that fire now, in the Prometheus that evaluates the rules.",
            normal="none.",
            act="click through to Pipeline health for which, then to the runbook.",
            empty="none firing",
            queries=[Query(expr='count(ALERTS{alertstate="firing", alertname=~"(LLM|Burstwatch).+"})')],
            unit="none",
            steps=steps.NONE_IS_GOOD,
            links=[to_board(PIPELINE, "Pipeline health")],
        ),
        Stat(
            id=108,
            title="Messages missing",
            what="Messages of agents known to exist that have not come: counts are lower bounds while this is not 0.",
            normal="none.",
            act="look at Pipeline health: agents, spools, Kafka.",
            empty=_NO_SERVICE,
            queries=[Query(expr=f"sum({newest('missing_messages')})")],
            words=((0, "none", "green"),),
            steps=steps.NONE_IS_CALM,
            links=[to_board(PIPELINE, "Pipeline health")],
            alerts=["BurstwatchEventsLost"],
        ),
        Stat(
            id=109,
            title="Requests per second",
            what="Requests submitted per second, all chosen services together.",
            normal="what your services usually get; not judged.",
            act="compare with the baseline below, and with Traffic.",
            empty="no rate yet",
            queries=[Query(expr=rated("arrivals_total", ()))],
            unit="reqps",
            links=[to_board(TRAFFIC, "Traffic")],
        ),
        Stat(
            id=110,
            title="Tokens per second",
            what="Request and response tokens of ended requests per second.",
            normal="what your services usually get; not judged.",
            act="more tokens at the same request rate means longer prompts or answers: see Traffic.",
            empty="no rate yet",
            queries=[Query(expr=rated("tokens_total", ()))],
            unit="short",
            links=[to_board(TRAFFIC, "Traffic")],
        ),
        Stat(
            id=111,
            title="Requests in flight",
            what="Mean number of requests in flight over the chosen window, by Little's law.",
            normal="what your engines are sized for; not judged.",
            act="rising at a steady request rate: answers take longer, see Traffic and Memory.",
            empty="not enough data",
            queries=[Query(expr=f"sum({windowed('requests_in_flight')})")],
            unit="short",
            links=[to_board(TRAFFIC, "Traffic")],
        ),
        Stat(
            id=112,
            title="Event time behind now",
            what="How far the service furthest behind is from now. All numbers are of a service's event time.",
            normal="a few seconds. A recording that is played has its own time: then this is meaningless.",
            act="growing: an agent or the worker hangs, see Pipeline health.",
            empty=_NO_SERVICE,
            queries=[Query(expr=f"time() - min({newest('watermark_timestamp_seconds')})")],
            unit="s",
            links=[to_board(PIPELINE, "Pipeline health")],
        ),
    ],
)
