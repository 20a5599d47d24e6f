"""Whether memory runs out: KV caches and devices, queues and preemptions, and how many replicas would do."""

from dashboards.boards import steps, variables
from dashboards.boards.board import Plan, board
from dashboards.boards.grid import Row
from dashboards.boards.memory_devices import DEVICES, REPLICAS
from dashboards.boards.navigation import MEMORY
from dashboards.boards.of_now import BarGauge
from dashboards.boards.over_time import StateTimeline, TimeSeries
from dashboards.boards.panels import Board
from dashboards.boards.queries import BY_ENGINE, ON_NODES, Query, newest, rated

_NOT_GROWING = "no cache clearly grows"
_NAMED = "{{node}} engine {{engine}}"

NOW = Row(
    id=100,
    title="Now",
    panels=[
        StateTimeline(
            id=101,
            title="Memory pressure",
            what="When engines of a service ran, or were about to run, out of KV cache.",
            normal="enough throughout.",
            act="see below which engine, and whether a burst is the cause (orange marks).",
            alerts=["LLMMemoryPressure"],
            empty=steps.NO_ENGINE,
            queries=[Query(expr=f"{newest('pressure_active')} > bool 0", legend="{{service}}")],
            unit="none",
            words=steps.PRESSURE_WORDS,
            width=14,
            height=7,
        ),
        BarGauge(
            id=102,
            title="KV cache in use now",
            what="Part of each engine's KV cache in use.",
            normal="below 85 %.",
            act="above 95 % requests wait, are preempted or refused: lower the engine's concurrency or add one.",
            empty=steps.NO_ENGINE,
            queries=[Query(expr=newest("kv_cache_usage_ratio", BY_ENGINE, ON_NODES), legend=_NAMED)],
            unit="percentunit",
            least=0,
            most=1,
            decimals=0,
            steps=steps.KV,
            width=10,
            height=7,
            alerts=["LLMKVCacheNearlyFull"],
        ),
    ],
)

KV = Row(
    id=200,
    title="KV cache",
    panels=[
        TimeSeries(
            id=201,
            title="KV cache in use",
            what="Part of each engine's KV cache in use.",
            normal="below the lines.",
            act="flat at the top with a queue: full. One engine above the others: routing.",
            empty=steps.NO_ENGINE,
            queries=[Query(expr=newest("kv_cache_usage_ratio", BY_ENGINE, ON_NODES), legend=_NAMED)],
            unit="percentunit",
            least=0,
            most=1,
            steps=steps.KV,
        ),
        TimeSeries(
            id=202,
            title="Time until the KV cache is full",
            what="If it goes on growing as it does over 5 s: lower 95 % bound (thin) and estimate.",
            normal="absent: no cache clearly grows. A full one does not grow either: read it with the panel beside.",
            act="under a minute: too late to start an engine; shed or queue requests at the gateway.",
            empty=_NOT_GROWING,
            queries=[
                Query(expr=newest("kv_exhaustion_seconds", BY_ENGINE, f'{ON_NODES}, bound="estimate"'), legend=_NAMED),
                Query(
                    expr=newest("kv_exhaustion_seconds", BY_ENGINE, f'{ON_NODES}, bound="lower"'),
                    legend=f"{_NAMED} at least",
                    role="bound",
                ),
            ],
            unit="s",
            least=0,
        ),
        TimeSeries(
            id=203,
            title="KV cache: growth",
            what="Change of each KV cache's usage per second, over 5 s.",
            normal="swings around 0.",
            act="above 0 for seconds: the time beside says how long it lasts.",
            empty=steps.NO_ENGINE,
            queries=[Query(expr=newest("kv_cache_growth_rate", BY_ENGINE, ON_NODES), legend=_NAMED)],
            unit="percentunit",
            axis="per second",
        ),
        TimeSeries(
            id=204,
            title="The burst will exhaust KV in",
            what="The same time, of the service's engine that is full first, only while a burst is on.",
            normal="absent: no burst, or the caches keep up.",
            act="seconds: this burst will make requests fail.",
            alerts=["LLMBurstExhaustsKVCache"],
            empty="no burst that fills a cache",
            queries=[
                Query(expr=newest("burst_kv_exhaustion_seconds", ("service", "bound")), legend="{{service}} {{bound}}")
            ],
            unit="s",
            least=0,
        ),
    ],
)

QUEUES = Row(
    id=300,
    title="Running, waiting, preempted",
    panels=[
        TimeSeries(
            id=301,
            title="Requests running",
            what="Requests each engine is working on.",
            normal="below the engine's limit; not judged.",
            act="flat at the limit while others wait: the limit is what holds them.",
            empty=steps.NO_ENGINE,
            queries=[Query(expr=newest("engine_requests_running", BY_ENGINE, ON_NODES), legend=_NAMED)],
            least=0,
        ),
        TimeSeries(
            id=302,
            title="Requests waiting",
            what="Requests waiting in each engine's queue.",
            normal="0, or back at 0 within seconds.",
            act="growing: demand is above what the engine finishes; see replicas below.",
            empty=steps.NO_ENGINE,
            queries=[Query(expr=newest("engine_requests_waiting", BY_ENGINE, ON_NODES), legend=_NAMED)],
            least=0,
        ),
        TimeSeries(
            id=303,
            title="Queue: growth",
            what="Change of each queue's length per second, over 5 s.",
            normal="swings around 0.",
            act="above 0 while the cache is full: latency grows by the second.",
            empty=steps.NO_ENGINE,
            queries=[Query(expr=newest("engine_waiting_growth_rate", BY_ENGINE, ON_NODES), legend=_NAMED)],
            unit="reqps",
        ),
        TimeSeries(
            id=304,
            title="Preemptions",
            what="Requests preempted per second: over the last minute (event time), and from the engine's own counter.",
            normal="0.",
            act="every preemption does work twice: lower the engine's concurrency or context length.",
            alerts=["LLMPreemptionStorm"],
            steps=steps.PREEMPTIONS,
            empty=steps.NO_ENGINE,
            queries=[
                Query(expr=newest("engine_preemption_rate", BY_ENGINE, ON_NODES), legend=_NAMED),
                Query(
                    expr=rated("engine_preemptions_total", BY_ENGINE, ON_NODES),
                    legend=f"{_NAMED} counter",
                    role="bound",
                ),
            ],
            unit="reqps",
            least=0,
        ),
    ],
)


def memory() -> Board:
    """Return the board."""
    return board(
        Plan(
            uid=MEMORY,
            title="Burstwatch / Memory",
            text="KV caches and devices of LLM engines: use, growth, time to exhaustion, queues and replicas.",
            rows=[NOW, KV, QUEUES, DEVICES, REPLICAS],
            variables=[variables.datasource(), variables.service(), variables.node()],
            shown=("burst", "pressure"),
        )
    )
