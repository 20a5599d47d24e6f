"""The first board: is it bursty, is it failing, is memory running out, what changed; then on one time axis."""

from dashboards.boards import steps, variables
from dashboards.boards.board import Plan, board
from dashboards.boards.grid import Row
from dashboards.boards.navigation import BURSTS, FAILURES, MEMORY, OVERVIEW, row_to_board
from dashboards.boards.of_now import Table
from dashboards.boards.over_time import StateTimeline, TimeSeries
from dashboards.boards.overview_now import NOW
from dashboards.boards.panels import Board
from dashboards.boards.queries import TOTAL, Query, counted, newest, rated, windowed

SERVICES = Row(
    id=200,
    title="Services",
    panels=[
        Table(
            id=201,
            title="Every service now",
            what="One line for each service; rate, CV, shape and failures are of the chosen window.",
            normal="CV about 1, shape about 1 (Poisson); no episode; failures at least below the budget.",
            act="click a service's number for its board. An empty cell means not enough data, never 0.",
            empty="–",
            queries=[
                Query(expr=windowed("request_rate"), column="Requests/s", unit="reqps"),
                Query(expr=windowed("interarrival_cv"), column="CV of gaps", unit="none"),
                Query(expr=windowed("gamma_shape"), column="Gamma shape", unit="none"),
                Query(expr=newest("burst_active"), column="Burst", words=steps.BURST_WORDS),
                Query(expr=windowed("failure_ratio_lower"), column="Failing at least", unit="percentunit"),
                Query(expr=newest("failure_active"), column="Failures", words=steps.FAILURE_WORDS),
                Query(
                    expr=newest("kv_cache_usage_ratio"), column="Fullest KV cache", unit="percentunit", steps=steps.KV
                ),
                Query(expr=f"{newest('pressure_active')} > bool 0", column="Memory", words=steps.PRESSURE_WORDS),
            ],
            unit="none",
            sort="Requests/s",
            width=24,
            decimals=2,
            links=[
                row_to_board(BURSTS, "Bursts of this service"),
                row_to_board(FAILURES, "Failures of this service"),
                row_to_board(MEMORY, "Memory of this service"),
            ],
        ),
    ],
)

STORY = Row(
    id=300,
    title="Bursts, memory and failures on one time axis",
    panels=[
        StateTimeline(
            id=301,
            title="Episodes",
            what="When a service was in a burst, failing, or short of memory.",
            normal="green throughout.",
            act="read from left to right: a burst, then memory, then failures is the paper's story.",
            empty=steps.NO_SERVICE,
            queries=[
                Query(expr=newest("burst_active"), legend="{{service}} burst"),
                Query(expr=f"2 * {newest('failure_active')}", legend="{{service}} failing"),
                Query(expr=f"3 * ({newest('pressure_active')} > bool 0)", legend="{{service}} short of memory"),
            ],
            unit="none",
            words=steps.EPISODE_WORDS,
            width=24,
            height=6,
        ),
        TimeSeries(
            id=302,
            title="Requests per second, and what is expected",
            what="The last 10 s of arrivals, and the baseline of this time of day they are compared with.",
            normal="the two lines together.",
            act="far above: a burst; look below whether memory and failures follow.",
            empty=steps.NO_SERVICE,
            queries=[
                Query(expr=newest("burst_rate"), legend="{{service}} now"),
                Query(expr=newest("burst_baseline_rate"), legend="{{service}} expected", role="bound"),
            ],
            unit="reqps",
            least=0,
            width=24,
            height=7,
        ),
        TimeSeries(
            id=303,
            title="KV cache in use",
            what="Part of each engine's KV cache in use.",
            normal="below the lines.",
            act="at the top, with waiting requests: this engine is what fails next; see Memory.",
            empty=steps.NO_ENGINE,
            queries=[
                Query(
                    expr=newest("kv_cache_usage_ratio", ("node", "engine")),
                    legend="{{node}} engine {{engine}}",
                )
            ],
            unit="percentunit",
            least=0,
            most=1,
            steps=steps.KV,
            width=24,
            height=7,
        ),
        TimeSeries(
            id=304,
            title="Failed requests per second",
            what="Failed requests per second by reason, all chosen services together.",
            normal="0, or a thin line that does not change.",
            act="overloaded and out_of_memory point to the engines' memory; see Failures.",
            empty="no failures seen",
            queries=[Query(expr=rated("failures_total", ("reason",)), legend="{{reason}}", role="bars")],
            unit="reqps",
            least=0,
            stacked=True,
            width=24,
            height=7,
        ),
    ],
)


def _against_an_hour_ago(metric: str) -> str:
    now = f'burstwatch_{metric}{{{TOTAL}, window="5m"}}'
    return _over_before(now, f"{now} offset 1h")


def _median_against_an_hour_ago(metric: str) -> str:
    now = f'burstwatch_{metric}{{{TOTAL}, window="5m", quantile="0.5"}}'
    return _over_before(now, f"{now} offset 1h")


def _over_before(now: str, before: str) -> str:
    return f"max by (service) ({now}) / (max by (service) ({before}) > 0)"


CHANGES = Row(
    id=400,
    title="What changed",
    panels=[
        Table(
            id=401,
            title="Last 5 minutes over those an hour ago",
            what="Each number over the same number an hour ago; 2 is twice as much.",
            normal="around 1, but for the time of day.",
            act="the column that moved first is where to look: traffic, its shape, or the engines.",
            empty="–",
            queries=[
                Query(expr=_against_an_hour_ago("request_rate"), column="Requests"),
                Query(expr=_against_an_hour_ago("interarrival_cv"), column="CV of gaps"),
                Query(expr=_median_against_an_hour_ago("request_tokens_quantile"), column="Request tokens"),
                Query(expr=_median_against_an_hour_ago("response_tokens_quantile"), column="Response tokens"),
                Query(expr=_median_against_an_hour_ago("request_duration_quantile_seconds"), column="Duration"),
                Query(expr=_against_an_hour_ago("failure_ratio"), column="Failure ratio"),
            ],
            unit="none",
            decimals=2,
            width=14,
        ),
        Table(
            id=402,
            title="Episodes begun in the time shown",
            what="How many bursts, failure episodes and spells of memory pressure began.",
            normal="few or none.",
            act="bursts without the others are survived; bursts with the others ask for capacity.",
            empty="–",
            queries=[
                Query(expr=counted("burst_episodes_total"), column="Bursts"),
                Query(expr=counted("failure_episodes_total"), column="Failures"),
                Query(expr=counted("pressure_episodes_total"), column="Memory"),
            ],
            unit="none",
            decimals=0,
            width=10,
        ),
    ],
)


def overview() -> Board:
    """Return the board."""
    return board(
        Plan(
            uid=OVERVIEW,
            title="Burstwatch / Overview",
            text="Bursts, failures and memory of LLM services on one time axis.",
            rows=[NOW, SERVICES, STORY, CHANGES],
            variables=[variables.datasource(), variables.service(), variables.window()],
            shown=("burst", "failure", "pressure"),
        )
    )
