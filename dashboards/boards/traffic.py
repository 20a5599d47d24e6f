"""What is asked for: requests and tokens, their lengths and latencies, models and sessions."""

from dashboards.boards import steps, variables
from dashboards.boards.board import Plan, board
from dashboards.boards.grid import Row
from dashboards.boards.navigation import FAILURES, TRAFFIC, model_to_board
from dashboards.boards.of_now import BarGauge, Table
from dashboards.boards.over_time import Heatmap, TimeSeries
from dashboards.boards.panels import Board
from dashboards.boards.queries import (
    CLASS,
    WINDOW,
    Query,
    buckets,
    counted,
    mean,
    newest,
    rated,
    windowed,
)

_NO_ENDED = "no ended requests"
_NO_PERCENTILES = "too few requests, or a window above --percentile-window-s-max (5m)"
_NO_TIMES = "no latencies known: recordings may lack them; or a window above --percentile-window-s-max (5m)"


def _percentiles(number: int, title: str, metric: str, unit: str, words: tuple[str, str, str]) -> TimeSeries:
    """Return the percentiles of a measure in the window; ``words`` are what, normal and act."""
    what, normal, act = words
    return TimeSeries(
        id=number,
        title=title,
        what=what,
        normal=normal,
        act=act,
        empty=_NO_TIMES if unit == "s" else _NO_PERCENTILES,
        queries=[Query(expr=newest(metric, ("service", "quantile"), WINDOW), legend="{{service}} {{quantile}}")],
        unit=unit,
        least=0,
    )


def _spread(number: int, title: str, metric: str, unit: str, act: str) -> Heatmap:
    """Return the heatmap of a histogram."""
    return Heatmap(
        id=number,
        title=title,
        what="Requests by bucket, each step of the picture; darker is more.",
        normal="one or two bands that stay where they are.",
        act=act,
        empty="no ended requests, or histograms are left out at --series-max",
        queries=[Query(expr=buckets(metric), legend="{{le}}")],
        unit=unit,
    )


VOLUME = Row(
    id=100,
    title="Volume",
    panels=[
        TimeSeries(
            id=101,
            title="Requests by model",
            what="Requests submitted per second by model.",
            normal="what your models usually get; not judged.",
            act="the model that grew is the cause of a burst; see Bursts by class.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=rated("arrivals_total", ("model",), CLASS), legend="{{model}}")],
            unit="reqps",
            least=0,
            stacked=True,
        ),
        TimeSeries(
            id=102,
            title="Sessions against API calls",
            what="Requests submitted per second by log type: a Conversation log has a session, an API log none.",
            normal="what your clients usually do; not judged.",
            act="in BurstGPT API calls are the burstier (median CV 1.5 over 5 min): see Bursts by class.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=rated("arrivals_total", ("log_type",), CLASS), legend="{{log_type}}")],
            unit="reqps",
            least=0,
            stacked=True,
        ),
        TimeSeries(
            id=103,
            title="Tokens in and out",
            what="Request (prompt) and response tokens of ended requests per second.",
            normal="follows the requests; not judged.",
            act="tokens growing faster than requests: longer prompts or answers, and more KV cache for each.",
            empty=_NO_ENDED,
            queries=[Query(expr=rated("tokens_total", ("direction",), CLASS), legend="{{direction}}")],
            axis="tokens/s",
            least=0,
        ),
        TimeSeries(
            id=104,
            title="Requests in flight",
            what="Mean number of requests in flight in the window, by Little's law from those ended.",
            normal="what the engines are sized for; not judged.",
            act="growing at a steady rate: answers take longer, see Memory.",
            empty=_NO_ENDED,
            queries=[Query(expr=windowed("requests_in_flight"), legend="{{service}}")],
            least=0,
        ),
    ],
)

LENGTHS = Row(
    id=200,
    title="Token lengths",
    panels=[
        _percentiles(
            201,
            "Request tokens",
            "request_tokens_quantile",
            "short",
            ("Request tokens of ended requests by quantile.", "flat lines.", "a rising 0.99: a few very long prompts."),
        ),
        _percentiles(
            202,
            "Response tokens",
            "response_tokens_quantile",
            "short",
            ("Response tokens of requests that ended ok.", "flat lines.", "longer answers hold KV cache for longer."),
        ),
        _spread(203, "Request tokens, spread", "request_tokens", "short", "a new band is a new kind of client."),
        _spread(
            204, "Response tokens, spread", "response_tokens", "short", "a band at the top: answers cut at a limit."
        ),
        TimeSeries(
            id=205,
            title="Mean tokens of a request",
            what="Request and response tokens over requests.",
            normal="flat.",
            act="multiply by requests in flight: that is what the KV caches must hold.",
            empty="no ended requests, or histograms are left out at --series-max",
            queries=[
                Query(expr=mean("request_tokens"), legend="{{service}} request"),
                Query(expr=mean("response_tokens"), legend="{{service}} response", role="bound"),
            ],
            least=0,
        ),
        Table(
            id=206,
            title="Models in the time shown",
            what="Requests, tokens and failures of each model, counted over the time shown.",
            normal="not judged.",
            act="click a model's numbers for its failures.",
            sort="Requests",
            empty="–",
            queries=[
                Query(expr=counted("arrivals_total", ("model",), CLASS), column="Requests"),
                Query(
                    expr=counted("tokens_total", ("model",), f'{CLASS}, direction="request"'), column="Request tokens"
                ),
                Query(
                    expr=counted("tokens_total", ("model",), f'{CLASS}, direction="response"'), column="Response tokens"
                ),
                Query(
                    expr=f"{counted('failures_total', ('model',), CLASS)}"
                    f" / ({counted('completions_total', ('model',), CLASS)} > 0)",
                    column="Failed",
                    unit="percentunit",
                ),
            ],
            links=[model_to_board(FAILURES, "Failures of this model")],
        ),
    ],
)

LATENCY = Row(
    id=300,
    title="Latencies",
    panels=[
        _percentiles(
            301,
            "Time to first token",
            "time_to_first_token_quantile_seconds",
            "s",
            (
                "Submission to first token, of requests that ended ok, by quantile.",
                "flat lines.",
                "rising while nothing fails yet: requests wait in a queue, see Memory.",
            ),
        ),
        _percentiles(
            302,
            "Time per output token",
            "time_per_output_token_quantile_seconds",
            "s",
            (
                "First token to end over the tokens after the first, by quantile.",
                "flat lines.",
                "rising with requests running: batches are large; with preemptions: the cache is too small.",
            ),
        ),
        _percentiles(
            303,
            "Request duration",
            "request_duration_quantile_seconds",
            "s",
            (
                "Submission to end, of requests that ended ok, by quantile.",
                "follows the response tokens.",
                "rising at unchanged lengths: see first token and output token above.",
            ),
        ),
        TimeSeries(
            id=304,
            title="Mean latencies",
            what="Mean time to first token and mean duration, from the histograms' sums.",
            normal="flat.",
            act="means add up over services, percentiles do not; compare with the percentiles beside.",
            empty="no latencies known, or histograms are left out at --series-max",
            queries=[
                Query(expr=mean("time_to_first_token_seconds"), legend="{{service}} first token"),
                Query(expr=mean("request_duration_seconds"), legend="{{service}} whole", role="bound"),
            ],
            unit="s",
            least=0,
        ),
        _spread(305, "Time to first token, spread", "time_to_first_token_seconds", "s", "a second band: a queue."),
        _spread(306, "Request duration, spread", "request_duration_seconds", "s", "a band at one height: a timeout."),
        BarGauge(
            id=307,
            title="Requests whose times contradict each other",
            what="Requests that ended before they began or the like, in the time shown; no latency of theirs counts.",
            normal="none.",
            act="clocks of a gateway and an engine differ, or a source maps the wrong field.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=counted("negative_durations_total"), legend="{{service}}")],
            unit="none",
            least=0,
            decimals=0,
            steps=steps.NONE_IS_CALM,
            width=12,
            height=5,
        ),
    ],
)


def traffic() -> Board:
    """Return the board."""
    return board(
        Plan(
            uid=TRAFFIC,
            title="Burstwatch / Traffic",
            text="Requests, tokens, lengths and latencies of LLM services by model and log type.",
            rows=[VOLUME, LENGTHS, LATENCY],
            variables=[variables.datasource(), variables.service(), variables.model(), variables.window()],
            shown=("burst",),
        )
    )
