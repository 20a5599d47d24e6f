"""What a service's engines are heading for, and what it needs of them, as samples. Pure."""

from collections.abc import Iterable, Iterator

from collector.schema.events import Resource
from streams.export.samples import Sample, if_known
from streams.processors.demand import Demand
from streams.processors.engine_track import Outlook
from streams.processors.service import ServiceState
from streams.stats.exhaustion import Exhaustion


def engine_gauges(state: ServiceState) -> Iterator[Sample]:
    """Return how the engines of a service stand; nothing where none was ever read."""
    status, name = state.pressure.status, state.service
    if state.pressure.seen:
        yield from if_known("replicas_live", (name,), status.engines)
        yield from if_known("pressure_active", (name,), status.pressed)
    soonest: Exhaustion | None = None
    for place, outlook in state.pressure.outlooks():
        yield from _engine((name, *place), outlook)
        found = outlook.exhaustion
        if found is not None and (soonest is None or found.lower_s < soonest.lower_s):
            soonest = found
    if state.burst.active:
        yield from _exhaustion("burst_kv_exhaustion_seconds", (name,), soonest)
    if (demand := state.demand) is not None:
        yield from _demand(name, demand)


def _engine(labels: tuple[str, ...], outlook: Outlook) -> Iterator[Sample]:
    if outlook.kv_growth is not None:
        yield from if_known("kv_cache_growth_rate", labels, outlook.kv_growth.rate)
    if outlook.waiting_growth is not None:
        yield from if_known("engine_waiting_growth_rate", labels, outlook.waiting_growth.rate)
    yield from if_known("engine_preemption_rate", labels, outlook.preemption_rate)
    yield from _exhaustion("kv_exhaustion_seconds", labels, outlook.exhaustion)


def _exhaustion(name: str, labels: tuple[str, ...], when: Exhaustion | None) -> Iterator[Sample]:
    if when is not None:
        yield from if_known(name, (*labels, "lower"), when.lower_s)
        yield from if_known(name, (*labels, "estimate"), when.estimate_s)


def _demand(service: str, demand: Demand) -> Iterator[Sample]:
    for quantile, rate in demand.rates.items():
        yield from if_known("demand_rate", (service, f"{quantile:g}"), rate)
    if demand.capacity is not None:
        yield from if_known("replica_capacity_rate", (service, demand.capacity.method), demand.capacity.rate)
    yield from if_known("replicas_wanted", (service,), demand.replicas)


def device_samples(found: Iterable[tuple[Resource, Exhaustion]]) -> Iterator[Sample]:
    """Return when devices are out of memory."""
    for reading, when in found:
        labels = (reading.node, reading.gpu or "", reading.mig or "")
        yield from _exhaustion("gpu_memory_exhaustion_seconds", labels, when)
