"""What fails, how much of it for certain, why, and how fast the failure budget burns."""

from dashboards.boards import steps, variables
from dashboards.boards.board import Plan, board
from dashboards.boards.grid import Row
from dashboards.boards.navigation import FAILURES, MEMORY, to_board
from dashboards.boards.of_now import BarGauge, Stat
from dashboards.boards.over_time import StateTimeline, TimeSeries
from dashboards.boards.panels import Board
from dashboards.boards.queries import (
    BY_CLASS,
    BY_ENGINE,
    CLASS,
    OF_CLASSES,
    ON_NODES,
    SERVICE,
    Query,
    counted,
    newest,
    rated,
    windowed,
)

_NO_ENDED = "no ended requests in the window"
# Over more than the worker's longest window only Prometheus knows; recorded there, and what the alerts compare.
_BURN_WINDOWS = ("5m", "30m", "1h", "6h", "3d")

NOW = Row(
    id=100,
    title="Failing or not",
    panels=[
        StateTimeline(
            id=101,
            title="Failure episodes",
            what="When a service failed beyond its budget and beyond chance.",
            normal="within budget throughout.",
            act="look below which reason grew at the same time, and what the failures coincide with.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=newest("failure_active"), legend="{{service}}")],
            unit="none",
            words=steps.FAILURE_WORDS,
            width=16,
            height=6,
            alerts=["LLMFailureEpisode"],
        ),
        Stat(
            id=102,
            title="Failures allowed",
            what="Failures over completions that are allowed: the worker's --failure-budget.",
            normal="what was agreed on; not judged.",
            act="burn rates are multiples of this.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=newest("failure_budget_ratio"), legend="{{service}}")],
            unit="percentunit",
            named=True,
            height=6,
        ),
        Stat(
            id=103,
            title="Episodes begun",
            what="Failure episodes begun in the time shown.",
            normal="none.",
            act="several: the cause comes back; compare with the Bursts board.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=counted("failure_episodes_total"), legend="{{service}}")],
            unit="none",
            decimals=0,
            named=True,
            height=6,
        ),
    ],
)

RATIO = Row(
    id=200,
    title="How much fails",
    panels=[
        TimeSeries(
            id=201,
            title="Failure ratio with its 95 % bounds",
            what="Failed over ended requests in the window, with Wilson's bounds.",
            normal="the lower bound below the budget, which is the red line.",
            act="a lower bound above the budget is no chance. Far bounds mean few requests, not calm.",
            empty=_NO_ENDED,
            queries=[
                Query(expr=windowed("failure_ratio"), legend="{{service}}"),
                Query(expr=windowed("failure_ratio_lower"), legend="{{service}} at least", role="bound"),
                Query(expr=windowed("failure_ratio_upper"), legend="{{service}} at most", role="bound"),
                Query(expr=newest("failure_budget_ratio"), legend="{{service}} allowed", role="limit"),
            ],
            unit="percentunit",
            least=0,
        ),
        TimeSeries(
            id=202,
            title="Bounds of the ratio when few requests ended",
            what="Jeffreys' 95 % bounds, below 100 ended requests in the window of which few failed.",
            normal="absent at any traffic worth the name.",
            act="for services with a request a minute these are the better bounds.",
            empty="100 requests or more ended: Wilson's bounds beside are as good",
            queries=[
                Query(expr=windowed("failure_ratio_jeffreys_lower"), legend="{{service}} at least", role="bound"),
                Query(expr=windowed("failure_ratio_jeffreys_upper"), legend="{{service}} at most", role="bound"),
            ],
            unit="percentunit",
            least=0,
        ),
        TimeSeries(
            id=203,
            title="Requests ended, by outcome",
            what="Ended requests per second: ok, failed, cancelled (the client went away).",
            normal="nearly all ok.",
            act="cancelled growing with latency: clients give up before the service fails.",
            empty=_NO_ENDED,
            queries=[Query(expr=rated("completions_total", ("outcome",), CLASS), legend="{{outcome}}")],
            unit="reqps",
            least=0,
            stacked=True,
        ),
        TimeSeries(
            id=204,
            title="Failures by reason",
            what="Failed requests per second by reason.",
            normal="none, or a thin line that does not change.",
            act="overloaded, out_of_memory: the engines' memory. backend_error, connection_error: the engine itself. "
            "rate_limited: the gateway. invalid_request, context_length, auth: the clients.",
            empty="no failures seen",
            queries=[Query(expr=rated("failures_total", ("reason",), CLASS), legend="{{reason}}", role="bars")],
            unit="reqps",
            least=0,
            stacked=True,
        ),
    ],
)

BUDGET = Row(
    id=300,
    title="How fast the budget burns",
    panels=[
        TimeSeries(
            id=301,
            title="Burn rates the alerts compare",
            what="Failure ratio over the ratio allowed, over 5 min to 3 days, as recorded by the rules.",
            normal="below 1: the budget lasts its period.",
            act="1h and 5m above 14.4, or 6h and 30m above 6, page; 3d and 6h above 1 open a ticket.",
            empty="no ended requests, or the recording rules are not loaded",
            queries=[
                Query(
                    expr=f"max by (service) (service:burstwatch_failure_burn:rate{window}{{{SERVICE}}})",
                    legend=f"{{{{service}}}} {window}",
                )
                for window in _BURN_WINDOWS
            ],
            unit="none",
            least=0,
            steps=steps.BURN,
            alerts=["LLMFailureBudgetBurnsFast"],
        ),
        TimeSeries(
            id=302,
            title="Burn rate in the window",
            what="The same from the worker, exact over late events, in the window chosen above.",
            normal="below 1.",
            act="short windows of few requests jump; read them with the bounds above.",
            alerts=["LLMFailureBudgetBurns"],
            empty=_NO_ENDED,
            queries=[
                Query(expr=newest("failure_burn_rate", where=f'{SERVICE}, window="$window"'), legend="{{service}}")
            ],
            unit="none",
            least=0,
            steps=steps.BURN,
        ),
    ],
)

CAUSE = Row(
    id=400,
    title="Why, and where",
    panels=[
        TimeSeries(
            id=401,
            title="What failures coincide with",
            what="Failed requests per second by what was on in their second: a burst, memory pressure, "
            "both, neither. Told 30 s late: the bars stand right of the failures.",
            normal="none.",
            act="burst_and_memory_pressure is the paper's finding: add KV cache or limit bursts. neither: not load. "
            "unknown: no engine is read.",
            empty="no failures seen",
            queries=[
                Query(expr=rated("attributed_failures_total", ("attribution",)), legend="{{attribution}}", role="bars")
            ],
            unit="reqps",
            least=0,
            stacked=True,
        ),
        TimeSeries(
            id=402,
            title="Failures by model",
            what="Failed requests per second by model.",
            normal="none, or in proportion to the models' traffic.",
            act="one model alone: its engines or its prompts, not the load.",
            empty="no failures seen",
            queries=[Query(expr=rated("failures_total", ("model",), CLASS), legend="{{model}}", role="bars")],
            unit="reqps",
            least=0,
            stacked=True,
        ),
        TimeSeries(
            id=403,
            title="Failure ratio at least, by class (20 min)",
            what="Lower 95 % bound of the failure ratio over 20 minutes, by model and log type.",
            normal="about 0.",
            act="the class that stands out fails for certain; see its reasons with the model chosen above.",
            empty=_NO_ENDED,
            queries=[
                Query(
                    expr=newest("failure_ratio_lower", BY_CLASS, f'{OF_CLASSES}, window="20m"'),
                    legend="{{service}} {{model}} {{log_type}}",
                )
            ],
            unit="percentunit",
            least=0,
        ),
        BarGauge(
            id=404,
            title="Failures by reason in the time shown",
            what="Failed requests by reason, counted over the time shown.",
            normal="none.",
            act="the longest bar is the first thing to mend.",
            empty="no failures seen",
            queries=[Query(expr=counted("failures_total", ("reason",), CLASS), legend="{{reason}}")],
            unit="short",
            least=0,
            decimals=0,
        ),
        TimeSeries(
            id=405,
            title="Preemptions by node",
            what="Requests preempted per second by each engine. Failures carry no node: a node shows by its engines.",
            normal="none.",
            act="the node that preempts while failures grow is the one to look at: Memory board.",
            empty=steps.NO_ENGINE,
            queries=[
                Query(expr=rated("engine_preemptions_total", BY_ENGINE, ON_NODES), legend="{{node}} engine {{engine}}")
            ],
            unit="reqps",
            least=0,
            links=[to_board(MEMORY, "Memory")],
        ),
        TimeSeries(
            id=406,
            title="Requests waiting by node",
            what="Requests waiting in each engine's queue.",
            normal="0, or falling.",
            act="a queue on one node only: routing. On all: capacity.",
            empty=steps.NO_ENGINE,
            queries=[
                Query(expr=newest("engine_requests_waiting", BY_ENGINE, ON_NODES), legend="{{node}} engine {{engine}}")
            ],
            least=0,
            links=[to_board(MEMORY, "Memory")],
        ),
    ],
)


def failures() -> Board:
    """Return the board."""
    return board(
        Plan(
            uid=FAILURES,
            title="Burstwatch / Failures",
            text="Failures of LLM services by reason and model, with bounds, burn rates and what they coincide with.",
            rows=[NOW, RATIO, BUDGET, CAUSE],
            variables=[
                variables.datasource(),
                variables.service(),
                variables.model(),
                variables.node(),
                variables.window(),
            ],
            shown=("burst", "failure"),
        )
    )
