"""What /metrics says of engines under pressure and of the replicas wanted."""

import math
from itertools import pairwise

import pytest

from collector.schema.codec import Batch, columns_of
from collector.schema.events import Kind, Resource
from streams.export.catalogue import CATALOGUE, PRESSURE, SCALING
from streams.export.engine_samples import device_samples, engine_gauges
from streams.export.samples import service_counters
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.worker.resources import ResourceBoard
from tests.support.service_messages import SECOND, SERVICE, START, Agent, arrival, reading


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def story(settings: AnalysisSettings, *, to: int, read: bool = True) -> ServiceState:
    """600 s at 5/s, then a burst of 50/s that fills the engine's cache by 10 % a second."""
    state, agent = ServiceState(SERVICE, settings), Agent()
    offset, finished = 0, 0
    for low, high in pairwise(range(0, to + 1, 2)):
        readings = []
        for second in range(low, high):
            kv = 0.2 + 0.02 * (second % 2) if second < 600 else min(1.0, 0.2 + 0.1 * (second - 600))
            finished += 5 if second < 600 else 12
            waiting = max(0, 3 * (second - 605))
            counters = {"requests_ok_total": finished, "preemptions_total": max(0, second - 612)}
            readings.append(reading(at(second + 0.5), kv=kv, running=5, waiting=waiting, **counters))
        times = [s + i / n for s in range(low, high) for n in [5 if s < 600 else 50] for i in range(n)]
        messages = [agent.message(readings)] if read else []
        messages.append(agent.message([arrival(at(t)) for t in times], watermark=at(high) - 1))
        for message in messages:
            state.apply(message, offset)
            offset += 1
    return state


def shown(state: ServiceState) -> dict:
    found = {}
    for sample in (*engine_gauges(state), *service_counters(state)):
        assert len(sample.labels) == len(CATALOGUE[sample.name].labels)
        assert math.isfinite(sample.value)
        found[sample.name.removeprefix("burstwatch_"), *sample.labels] = sample.value
    return found


@pytest.fixture(scope="module")
def full() -> dict:
    return shown(story(AnalysisSettings(), to=640))


@pytest.fixture(scope="module")
def filling() -> dict:
    return shown(story(AnalysisSettings(), to=608))


def test_every_metric_of_engines_is_shown_somewhere(full, filling):
    names = {f"burstwatch_{name}" for name, *_ in (*full, *filling)}
    assert {metric.name for metric in (*PRESSURE, *SCALING)} <= names


def test_while_a_burst_fills_the_cache_its_end_is_foretold(filling):
    place = (SERVICE, "n", "e0")
    assert filling["kv_cache_growth_rate", *place] == pytest.approx(0.1, abs=0.01)
    estimate = filling["kv_exhaustion_seconds", *place, "estimate"]
    assert estimate == pytest.approx(2.0, abs=1.1)  # at 0.8 or 0.9 by then
    assert 0 < filling["kv_exhaustion_seconds", *place, "lower"] < estimate
    assert filling["burst_kv_exhaustion_seconds", SERVICE, "estimate"] == estimate
    assert filling["pressure_active", SERVICE] == 1


def test_a_full_cache_is_pressure_and_its_throughput_the_capacity(full):
    assert full["pressure_active", SERVICE] == 1
    assert full["pressure_episodes_total", SERVICE] == 1
    assert full["engine_preemption_rate", SERVICE, "n", "e0"] > 0
    assert full["replica_capacity_rate", SERVICE, "saturated"] == pytest.approx(12.0)
    assert ("kv_exhaustion_seconds", SERVICE, "n", "e0", "lower") not in full  # it grows no more
    assert full["replicas_live", SERVICE] == 1
    # The burst is on: what comes now counts, 50/s over 12/s each.
    assert full["demand_rate", SERVICE, "0.5"] >= 50
    assert full["replicas_wanted", SERVICE] == math.ceil(full["demand_rate", SERVICE, "0.99"] / 12)
    rates = [full["demand_rate", SERVICE, q] for q in ("0.5", "0.9", "0.95", "0.99", "0.999")]
    assert rates == sorted(rates)


def test_without_saturation_the_capacity_is_extrapolated_and_says_so():
    found = shown(story(AnalysisSettings(), to=500))
    # 5/s at a usage of 0.21: 0.9 / 0.21 of that
    assert found["replica_capacity_rate", SERVICE, "extrapolated"] == pytest.approx(5 * 0.9 / 0.21, rel=0.01)
    assert found["replicas_wanted", SERVICE] == 1


def test_the_operator_knows_better():
    found = shown(story(AnalysisSettings(replica_capacity={SERVICE: 2.5}, demand_quantile=0.9), to=500))
    assert found["replica_capacity_rate", SERVICE, "operator"] == 2.5
    assert found["replicas_wanted", SERVICE] == math.ceil(found["demand_rate", SERVICE, "0.9"] / 2.5)


def test_a_service_whose_engines_nobody_reads_shows_a_demand_and_no_more():
    names = {name for name, *_ in shown(story(AnalysisSettings(), to=500, read=False))}
    assert "demand_rate" in names
    assert not names & {"replicas_wanted", "replicas_live", "replica_capacity_rate", "pressure_active"}


def board_of(levels: list[float]) -> ResourceBoard:
    board, total = ResourceBoard(), 80 * 2**30
    for second, level in enumerate(levels):
        event = Resource(
            at=at(second), node="n", gpu="0", source="s", gpu_total_bytes=total, gpu_used_bytes=round(level * total)
        )
        batch = Batch(
            agent="a",
            boot="b",
            key="n",
            seq=second,
            kind=Kind.RESOURCE,
            n=1,
            columns=columns_of(Kind.RESOURCE, [event]),
        )
        board.apply(0, batch, float(second))
        board.apply(0, batch, float(second))  # delivered at least once
    return board


def test_a_device_that_fills_up_says_when_it_is_full():
    climbing = board_of([0.4 + 0.005 * s + 0.001 * (s % 3) for s in range(60)])
    lower, estimate = device_samples(climbing.device_exhaustions(60.0))
    assert (lower.labels, estimate.labels) == (("n", "0", "", "lower"), ("n", "0", "", "estimate"))
    assert estimate.value == pytest.approx((1 - 0.4 - 0.005 * 59) / 0.005, rel=0.1)
    assert 0 < lower.value < estimate.value
    assert not list(climbing.device_exhaustions(200.0))  # nobody has read it for minutes


@pytest.mark.parametrize("levels", [[0.9] * 60, [0.9, 0.91] * 30, [0.9 - 0.01 * s for s in range(60)], [0.1, 0.9]])
def test_a_device_that_does_not_clearly_fill_up_says_nothing(levels):
    assert not list(board_of(levels).device_exhaustions(60.0))
