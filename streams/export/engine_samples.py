"""What a service's engines are heading for, and what it needs of them, as samples. Pure."""

from collections.abc import Iterable, Iterator

from collector.schema.events import Resource
from streams.export.catalogue import PREFIX
from streams.export.samples import Sample
from streams.processors.demand import Demand
from streams.processors.engine_track import Outlook, Place
from streams.processors.service import ServiceState
from streams.stats.exhaustion import Exhaustion


def engine_gauges(state: ServiceState) -> Iterator[Sample]:
    """Return how the engines of a service stand; nothing where none was ever read."""
    status, name = state.pressure.status, state.service
    if state.pressure.seen:
        yield _sample("replicas_live", (name,), status.engines)
        yield _sample("pressure_active", (name,), status.pressed)
    soonest: Exhaustion | None = None
    for place, outlook in state.pressure.outlooks():
        yield from _engine(name, place, outlook)
        found = outlook.exhaustion
        if found is not None and (soonest is None or found.lower_s < soonest.lower_s):
            soonest = found
    if soonest is not None and state.burst.active:
        yield _sample("burst_kv_exhaustion_seconds", (name, "lower"), soonest.lower_s)
        yield _sample("burst_kv_exhaustion_seconds", (name, "estimate"), soonest.estimate_s)
    if (demand := state.demand) is not None:
        yield from _demand(name, demand)


def _sample(name: str, labels: tuple[str, ...], value: float) -> Sample:
    return Sample(PREFIX + name, labels, value)


def _engine(service: str, place: Place, outlook: Outlook) -> Iterator[Sample]:
    labels = (service, *place)
    if outlook.kv_growth is not None:
        yield _sample("kv_cache_growth_rate", labels, outlook.kv_growth.rate)
    if outlook.waiting_growth is not None:
        yield _sample("engine_waiting_growth_rate", labels, outlook.waiting_growth.rate)
    if outlook.preemption_rate is not None:
        yield _sample("engine_preemption_rate", labels, outlook.preemption_rate)
    if outlook.exhaustion is not None:
        yield _sample("kv_exhaustion_seconds", (*labels, "lower"), outlook.exhaustion.lower_s)
        yield _sample("kv_exhaustion_seconds", (*labels, "estimate"), outlook.exhaustion.estimate_s)


def _demand(service: str, demand: Demand) -> Iterator[Sample]:
    for quantile, rate in demand.rates.items():
        yield _sample("demand_rate", (service, f"{quantile:g}"), rate)
    if demand.capacity is not None:
        yield _sample("replica_capacity_rate", (service, demand.capacity.method), demand.capacity.rate)
    if demand.replicas is not None:
        yield _sample("replicas_wanted", (service,), demand.replicas)


def device_samples(found: Iterable[tuple[Resource, Exhaustion]]) -> Iterator[Sample]:
    """Return when devices are out of memory."""
    for reading, when in found:
        labels = (reading.node, reading.gpu or "", reading.mig or "")
        yield _sample("gpu_memory_exhaustion_seconds", (*labels, "lower"), when.lower_s)
        yield _sample("gpu_memory_exhaustion_seconds", (*labels, "estimate"), when.estimate_s)
