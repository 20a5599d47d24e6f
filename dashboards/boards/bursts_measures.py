"""Every measure of burstiness in the window, beside each other."""

from dashboards.boards import steps
from dashboards.boards.grid import Row
from dashboards.boards.over_time import TimeSeries
from dashboards.boards.queries import Query, windowed

_FEW_BINS = "not enough bins in the window (30 at least)"
_BY_SCALE = ("service", "scale")

MEASURES = Row(
    id=200,
    title="Burstiness in the window",
    panels=[
        TimeSeries(
            id=201,
            title="Request rate in the window",
            what="Requests submitted per second over the window.",
            normal="what the service usually gets; not judged.",
            act="read CV and shape beside it: burstiness may change at an unchanged rate.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=windowed("request_rate"), legend="{{service}}")],
            unit="reqps",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=202,
            title="CV of the gaps",
            what="Coefficient of variation of the gaps between arrivals.",
            normal="about 1 (the line): Poisson traffic. 0 is a clock.",
            act="above 1.5 over 20 min an alert tells it: capacity for the mean rate is not enough.",
            alerts=["LLMTrafficBursty"],
            steps=steps.CV,
            empty=steps.FEW_GAPS,
            queries=[Query(expr=windowed("interarrival_cv"), legend="{{service}}")],
            unit="none",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=203,
            title="Gamma shape with its 95 % bounds",
            what="Shape alpha of the Gamma distribution fitted to the gaps, as in the BurstGPT paper.",
            normal="about 1 is Poisson.",
            act="below 1, upper bound included: certainly bursty. Far bounds mean few gaps, not calm.",
            steps=steps.POISSON,
            empty=steps.FEW_GAPS,
            queries=[
                Query(expr=windowed("gamma_shape"), legend="{{service}}"),
                Query(expr=windowed("gamma_shape_lower"), legend="{{service}} at least", role="bound"),
                Query(expr=windowed("gamma_shape_upper"), legend="{{service}} at most", role="bound"),
            ],
            unit="none",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=204,
            title="Index of dispersion by scale",
            what="Variance over mean of the arrivals counted in bins of 0.1, 1 and 10 s; bounds are of the 1-s bins.",
            normal="1 is Poisson at every scale.",
            act="growing with the scale: bursts last for seconds. Compare with the Allan factor before blaming bursts.",
            steps=steps.POISSON,
            empty=_FEW_BINS,
            queries=[
                Query(expr=windowed("dispersion_index", _BY_SCALE), legend="{{service}} {{scale}}"),
                Query(
                    expr=windowed("dispersion_index_lower", _BY_SCALE),
                    legend="{{service}} {{scale}} at least",
                    role="bound",
                ),
                Query(
                    expr=windowed("dispersion_index_upper", _BY_SCALE),
                    legend="{{service}} {{scale}} at most",
                    role="bound",
                ),
            ],
            unit="none",
            logarithmic=True,
        ),
        TimeSeries(
            id=205,
            title="Allan factor by scale",
            what="How much neighbouring bins of 0.1, 1 and 10 s differ.",
            normal="1 is Poisson, and stays so if the rate only drifts.",
            act="far below the dispersion at the same scale: the rate drifts, that is no burst.",
            steps=steps.POISSON,
            empty=_FEW_BINS,
            queries=[Query(expr=windowed("allan_factor", _BY_SCALE), legend="{{service}} {{scale}}")],
            unit="none",
            logarithmic=True,
        ),
        TimeSeries(
            id=206,
            title="Busiest second over the mean one",
            what="Arrivals in the busiest second of the window over those of the mean second.",
            normal="falls as the rate grows: 2 is much at 100 requests/s, nothing at 1.",
            act="judge it by the score beside it.",
            empty=_FEW_BINS,
            queries=[Query(expr=windowed("arrivals_peak_to_mean"), legend="{{service}}")],
            unit="none",
            least=0,
            width=8,
        ),
        TimeSeries(
            id=207,
            title="How surprising that second is",
            what="The busiest second in standard deviations of Poisson traffic of the same rate.",
            normal="between -3 and 3.",
            act="above 4 the second was no chance: size for it, or smooth clients' retries.",
            empty=_FEW_BINS,
            queries=[Query(expr=windowed("arrivals_peak_z"), legend="{{service}}")],
            unit="none",
            width=8,
        ),
        TimeSeries(
            id=208,
            title="Burstiness and memory of the gaps",
            what="Burstiness (CV-1)/(CV+1), and the correlation of neighbouring gaps (memory).",
            normal="both about 0.",
            act="memory above 0: short gaps follow short ones, bursts last for many requests.",
            empty=steps.FEW_GAPS,
            queries=[
                Query(expr=windowed("interarrival_burstiness"), legend="{{service}} burstiness"),
                Query(expr=windowed("interarrival_memory"), legend="{{service}} memory", role="bound"),
            ],
            unit="none",
            least=-1,
            most=1,
            width=8,
        ),
    ],
)
