"""The lower rows of the board on memory: devices, and how many engines it takes."""

from dashboards.boards import steps
from dashboards.boards.grid import Row
from dashboards.boards.of_now import Stat, Table
from dashboards.boards.over_time import TimeSeries
from dashboards.boards.queries import NODE, Query, counted, newest

_NO_DEVICE = "no device readings"
_DEVICE = ("node", "gpu", "mig")
_DEVICE_NAMED = "{{node}} {{gpu}} {{mig}}"


def _state(name: str) -> str:
    return newest("gpu_memory_bytes", _DEVICE, f'{NODE}, state="{name}"')


DEVICES = Row(
    id=400,
    title="Devices",
    panels=[
        TimeSeries(
            id=401,
            title="Device memory used",
            what="Used over total memory of each device, or MIG instance.",
            normal="flat: engines take 90 to 95 % at the start and keep it.",
            act="growing: a leak, or a second process on the device.",
            alerts=["LLMGPUMemoryNearlyFull"],
            steps=steps.DEVICE,
            empty=_NO_DEVICE,
            queries=[Query(expr=f"{_state('used')} / {_state('total')}", legend=_DEVICE_NAMED)],
            unit="percentunit",
            least=0,
            most=1,
        ),
        TimeSeries(
            id=402,
            title="Device memory by state",
            what="Bytes of all chosen nodes' devices by state; total is free, used and reserved together.",
            normal="flat.",
            act="used rising while free falls: see which device beside.",
            empty=_NO_DEVICE,
            queries=[
                Query(
                    expr=f"sum by (state) ({newest('gpu_memory_bytes', (*_DEVICE, 'state'), NODE)})", legend="{{state}}"
                )
            ],
            unit="bytes",
            least=0,
        ),
        TimeSeries(
            id=403,
            title="Time until device memory is used up",
            what="If it goes on growing as it does: lower 95 % bound and estimate.",
            normal="absent: no device's memory grows.",
            act="restart what leaks before it is over, one engine at a time.",
            alerts=["LLMGPUMemoryExhaustion"],
            empty="no device's memory grows",
            queries=[
                Query(
                    expr=newest("gpu_memory_exhaustion_seconds", (*_DEVICE, "bound"), NODE),
                    legend=f"{_DEVICE_NAMED} {{{{bound}}}}",
                )
            ],
            unit="s",
            least=0,
        ),
        TimeSeries(
            id=404,
            title="Device busy",
            what="Part of the time each device was busy.",
            normal="high under load; not judged.",
            act="low with a queue: the engine waits for memory, not for the device.",
            empty=_NO_DEVICE,
            queries=[Query(expr=newest("gpu_utilization_ratio", _DEVICE, NODE), legend=_DEVICE_NAMED)],
            unit="percentunit",
            least=0,
            most=1,
        ),
    ],
)

REPLICAS = Row(
    id=500,
    title="How many engines it takes",
    panels=[
        TimeSeries(
            id=501,
            title="Engines wanted and there",
            what="Engines needed for the demand, and those with a reading in the last 30 s.",
            normal="wanted at or below what is there.",
            act="wanted above: scale up; let the autoscaler scale down slowly, this line is not smoothed.",
            empty="no engine readings, or capacity not known yet",
            queries=[
                Query(expr=newest("replicas_live"), legend="{{service}} there"),
                Query(expr=newest("replicas_wanted"), legend="{{service}} wanted", role="limit"),
            ],
            unit="none",
            least=0,
            decimals=0,
        ),
        TimeSeries(
            id=502,
            title="Demand by quantile, and what the engines can finish",
            what="Requests per second to be ready for, by how often 10 s of arrivals stay below; dashed: what all "
            "engines that are there can finish.",
            normal="the 0.99 line below the capacity.",
            act="capacity between two quantiles says how often a burst will not be met.",
            empty="not enough data",
            queries=[
                Query(expr=newest("demand_rate", ("service", "quantile")), legend="{{service}} {{quantile}}"),
                Query(
                    expr=f"{newest('replica_capacity_rate')} * on (service) {newest('replicas_live')}",
                    legend="{{service}} capacity",
                    role="limit",
                ),
            ],
            unit="reqps",
            least=0,
        ),
        Table(
            id=503,
            title="Capacity of one engine",
            what="Requests per second one engine can finish, and how that is known.",
            normal="operator or saturated; extrapolated is optimistic.",
            act="measure with a replay and give --replica-capacity if it matters.",
            empty="–",
            queries=[
                Query(expr=newest("replica_capacity_rate", ("service", "method")), column="Requests/s", unit="reqps")
            ],
            decimals=2,
        ),
        Stat(
            id=504,
            title="Pressure episodes begun",
            what="Spells of memory pressure begun in the time shown.",
            normal="none.",
            act="several: size for the bursts, see demand.",
            empty=steps.NO_SERVICE,
            queries=[Query(expr=counted("pressure_episodes_total"), legend="{{service}}")],
            unit="none",
            decimals=0,
            named=True,
            height=8,
            width=12,
        ),
    ],
)
