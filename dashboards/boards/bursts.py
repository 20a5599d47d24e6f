"""How bursty: the rate and its episodes, and every measure of burstiness beside each other."""

from dashboards.boards import steps, variables
from dashboards.boards.board import Plan, board
from dashboards.boards.bursts_measures import MEASURES
from dashboards.boards.grid import Row
from dashboards.boards.navigation import BURSTS
from dashboards.boards.of_now import Table
from dashboards.boards.over_time import StateTimeline, TimeSeries
from dashboards.boards.panels import Board
from dashboards.boards.queries import BY_CLASS, OF_CLASSES, Query, newest, windowed

# 20 min is the paper's window.

EPISODES = Row(
    id=100,
    title="Episodes",
    panels=[
        StateTimeline(
            id=101,
            title="Bursts",
            what="When the detector said that a burst is on.",
            normal="calm throughout.",
            act="nothing is broken yet: see on the Memory board whether the engines keep up.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=newest("burst_active"), legend="{{service}}")],
            unit="none",
            words=steps.BURST_WORDS,
            width=24,
            height=5,
            alerts=["LLMBurstActive"],
        ),
        TimeSeries(
            id=102,
            title="Requests per second, and what is expected",
            what="The last 10 s of arrivals, and the baseline of this time of day.",
            normal="the two lines together.",
            act="far above: a burst. A baseline that follows slowly is meant to: a long raise enters it after days.",
            empty=steps.NO_SERVICE,
            queries=[
                Query(expr=newest("burst_rate"), legend="{{service}} now"),
                Query(expr=newest("burst_baseline_rate"), legend="{{service}} expected", role="bound"),
            ],
            unit="reqps",
            least=0,
        ),
        TimeSeries(
            id=103,
            title="Burst score against its threshold",
            what="Greatest score of the arrivals of the last 1 to 60 s against the baseline, in standard deviations.",
            normal="around 0; negative when there is less traffic than expected.",
            act="a burst starts at the dashed line. Often just below it: bursts too small to be told.",
            empty=steps.NO_SERVICE,
            queries=[
                Query(expr=newest("burst_z"), legend="{{service}}"),
                Query(expr=newest("burst_threshold"), legend="{{service}} threshold", role="limit"),
            ],
            unit="none",
        ),
    ],
)

FIT = Row(
    id=300,
    title="How good the fit is",
    panels=[
        TimeSeries(
            id=301,
            title="Misfit of the Gamma distribution",
            what="Logarithm of the shape by moments over the shape by likelihood.",
            normal="about 0: the gaps are Gamma distributed.",
            act="far from 0: take CV and dispersion instead of the shape for capacity questions.",
            empty="no fit by likelihood in the window",
            queries=[Query(expr=windowed("gamma_misfit"), legend="{{service}}")],
            unit="none",
            width=8,
        ),
        TimeSeries(
            id=302,
            title="Gamma rate",
            what="Rate beta of the fitted Gamma distribution: the shape over the mean gap.",
            normal="about the shape times the request rate; not judged.",
            act="shape and rate together describe such traffic for a load generator.",
            empty=steps.FEW_GAPS,
            queries=[Query(expr=windowed("gamma_rate"), legend="{{service}}")],
            unit="none",
            axis="1/s",
            least=0,
            width=8,
        ),
        Table(
            id=303,
            title="How shape and rate were estimated",
            what="The method of the fit, and how much of the window the service has been known.",
            normal="ye_chen, and a window that is covered whole.",
            act="moment, triangular or dispersion: stamps are coarse or equal; the fit is rougher.",
            empty="–",
            queries=[
                Query(expr=windowed("gamma_method_info", ("service", "method")), column="Used"),
                Query(expr=windowed("window_covered_seconds"), column="Known for", unit="s"),
            ],
            unit="none",
            width=8,
        ),
    ],
)

CLASSES = Row(
    id=400,
    title="By model and log type",
    panels=[
        TimeSeries(
            id=401,
            title="Request rate by class (1 min)",
            what="Requests submitted per second over a minute, by model and log type.",
            normal="what your models usually get; not judged.",
            act="the class whose line rises with a burst is the one that bursts.",
            empty="no class has been known for long enough",
            queries=[
                Query(
                    expr=newest("request_rate", BY_CLASS, f'{OF_CLASSES}, window="1m"'),
                    legend="{{service}} {{model}} {{log_type}}",
                )
            ],
            unit="reqps",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=402,
            title="CV of the gaps by class (20 min)",
            what="Coefficient of variation of the gaps over 20 minutes, by model and log type.",
            normal="1 is Poisson.",
            act="a bursty class among calm ones can be limited or scheduled on its own.",
            steps=steps.CV,
            empty=steps.FEW_GAPS,
            queries=[
                Query(
                    expr=newest("interarrival_cv", BY_CLASS, f'{OF_CLASSES}, window="20m"'),
                    legend="{{service}} {{model}} {{log_type}}",
                )
            ],
            unit="none",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=403,
            title="Gamma shape by class (20 min)",
            what="Shape alpha over 20 minutes, by model and log type: the paper's table, live.",
            normal="1 (the line) is Poisson, less is bursty.",
            act="far below 1: this class needs more room than its mean rate says.",
            steps=steps.POISSON,
            empty=steps.FEW_GAPS,
            queries=[
                Query(
                    expr=newest("gamma_shape", BY_CLASS, f'{OF_CLASSES}, window="20m"'),
                    legend="{{service}} {{model}} {{log_type}}",
                )
            ],
            unit="none",
            least=0,
            width=8,
        ),
    ],
)


def bursts() -> Board:
    """Return the board."""
    return board(
        Plan(
            uid=BURSTS,
            title="Burstwatch / Bursts",
            text="Rate, CV, Gamma shape and dispersion of LLM requests, and the bursts among them.",
            rows=[EPISODES, MEASURES, FIT, CLASSES],
            variables=[variables.datasource(), variables.service(), variables.model(), variables.window()],
            shown=("burst",),
        )
    )
