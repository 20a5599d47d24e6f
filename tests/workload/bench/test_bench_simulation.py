"""The paper's finding on the simulated engine: equal rate, rising CV -> KV exhaustion -> failures and latency."""

from itertools import pairwise

import numpy as np
import pytest

from workload.bench.kv_demand import CalmSpeeds, needed_tokens
from workload.bench.plan import RANDOM, Plan
from workload.bench.simulation import Simulation
from workload.bench.source import builtin_source
from workload.bench.verdict import holds
from workload.bench.virtual_run import measure_virtually
from workload.engine.scheduler import Limits, Pace
from workload.engine.virtual import run_virtual
from workload.trace.columns import Trace

SLO = {"ttft_s": 2.0, "tpot_s": 0.2, "latency_s": None, "share": 0.99, "failed_ratio_max": 0.01}
SOURCE = builtin_source()
TIGHT = Limits(kv_blocks=1300)  # half of the default engine's memory


def simulation(limits=TIGHT, **plan):
    return Simulation(plan=Plan(source=SOURCE, slo=SLO, **plan), limits=limits, pace=Pace())


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))])
def test_burstiness_alone_fills_the_cache_preempts_fails_and_delays(seed):
    runs = list(simulation(repeats=4, seed=seed).sweep())
    assert [0.5, 1.0, 2.0, 4.0, 8.0] == [run["cv_target"] for run in runs]
    assert len({(run["requests"], round(run["rate_per_s"], 6)) for run in runs}) == 1
    realised = [run["cv"] for run in runs]
    assert realised == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0], rel=0.25)

    def column(name, quantile=None):
        return [run[name] if quantile is None else run[name][quantile] for run in runs]

    def grows(values, slack=0.0):
        return all(b >= a - slack for a, b in pairwise(values))

    assert grows(column("slo_ok_ratio")[::-1], slack=0.003)
    assert grows(column("ttft_s", "mean"))
    assert grows(column("failed_ratio"), slack=0.002)
    assert grows(column("waiting_peak"), slack=10)
    calm, wild = runs[0], runs[-1]
    assert wild["ttft_s"]["p99"] > 5 * calm["ttft_s"]["p99"]
    assert wild["latency_s"]["p50"] > 2 * calm["latency_s"]["p50"]
    assert wild["stall_s"]["p99"] > calm["stall_s"]["p99"]
    assert calm["failed"] == 0 < wild["failures"]["overloaded"]
    assert calm["kv_usage_mean"] < 0.5
    assert wild["kv_usage_peak"] > 0.97
    assert wild["kv_time_full_ratio"] > 2 * calm["kv_time_full_ratio"]
    assert wild["preemptions"] > calm["preemptions"]
    assert calm["slo_ok_ratio"] > 0.985
    assert wild["slo_ok_ratio"] < 0.95


def test_what_the_searches_find_holds_and_a_little_more_does_not():
    bench = simulation(limits=Limits(kv_blocks=700), cvs=(1.0, 4.0), rates_per_s=(2.0,), repeats=2, duration_s=60.0)
    for found in bench.rates():
        at = [
            holds(bench.at(rate, found["cv"], bench.limits), SLO) for rate in (found["low_per_s"], found["high_per_s"])
        ]
        assert [True, False] == at
        assert found["high_per_s"] / found["low_per_s"] <= 1.05
    for found in bench.memory():
        enough = Limits(kv_blocks=round(found["blocks"]))
        assert holds(bench.at(2.0, found["cv"], enough), SLO)
        assert not holds(bench.at(2.0, found["cv"], Limits(kv_blocks=round(found["blocks"] / 1.1))), SLO)
        assert found["factor"] == pytest.approx(found["blocks"] / 700)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_searches_never_contradict_the_sweep(seed):
    """Few requests: chance makes shares jump, so that a search begun elsewhere may find another crossing."""
    bench = simulation(cvs=(0.5, 8.0), repeats=1, duration_s=60.0, seed=seed)
    held = {run["cv_target"]: holds(run, SLO) for run in bench.sweep()}
    assert len(set(held.values())) == 2
    for found in bench.rates():
        assert held[found["cv"]] == (found["low_per_s"] is not None and found["low_per_s"] >= 4.0)
    for found in bench.servers():
        assert held[found["cv"]] == (found["servers"] == 1)
    for found in bench.memory():
        assert held[found["cv"]] == (found["factor"] is not None and found["factor"] <= 1.0)


def test_servers_share_a_burst_that_a_lower_rate_does_not_make_smaller():
    bench = simulation(cvs=(8.0,), repeats=2)
    (shared,) = bench.servers()
    (slower,) = bench.rates()
    assert 1 < shared["servers"] < 16
    assert slower["low_per_s"] is None or slower["low_per_s"] < 4.0 / shared["servers"]


def test_where_compute_binds_no_memory_is_said_to_help():
    bench = simulation(cvs=(8.0,), rates_per_s=(8.0,), repeats=2, duration_s=60.0)
    (found,) = bench.memory()
    assert found["factor"] is None
    assert found["best_ratio"] < SLO["share"]


def test_the_estimate_for_real_servers_is_near_what_a_search_finds():
    """Where memory binds: an engine whose speed does not depend on its batch, as the calculation assumes."""
    plan = Plan(source=SOURCE, slo=SLO, cvs=(1.0, 4.0), repeats=2)
    steady = Pace(decode_s_per_sequence=0.0, prefill_tokens_per_s=1e6)
    bench = Simulation(plan=plan, limits=Limits(kv_blocks=800, max_waiting=10_000), pace=steady)
    calm = bench.at(4.0, 1.0, Limits(kv_blocks=10**6))
    speeds = CalmSpeeds(ttft_s=calm["ttft_s"]["p50"], tpot_s=calm["tpot_s"]["p50"])
    for found in bench.memory():
        estimates = [
            needed_tokens(trace, speeds, share=0.99, block_tokens=16) for trace in plan.traces(4.0, found["cv"])
        ]
        assert 0.9 < np.mean(estimates) / found["tokens"] < 1.6  # nobody may wait: a little more than needed


def test_a_point_depends_on_the_seed_and_nothing_else():
    alone = simulation(cvs=(4.0,), duration_s=30.0)
    among = simulation(cvs=(0.5, 4.0, 8.0), rates_per_s=(2.0, 4.0), duration_s=30.0, order=RANDOM)
    other = simulation(cvs=(4.0,), duration_s=30.0, seed=2)
    assert alone.at(4.0, 4.0, TIGHT) == among.at(4.0, 4.0, TIGHT) != other.at(4.0, 4.0, TIGHT)
    calm, wild = (among.plan.traces(4.0, cv)[0] for cv in (0.5, 8.0))
    assert calm.request_tokens.tolist() == wild.request_tokens.tolist()
    assert calm.response_tokens.tolist() == wild.response_tokens.tolist()
    assert calm.submitted_us.tolist() != wild.submitted_us.tolist()


def test_repeats_are_other_chance():
    plan = Plan(source=SOURCE, slo=SLO, repeats=4, duration_s=30.0)
    traces = plan.traces(4.0, 2.0)
    assert len({tuple(trace.submitted_us.tolist()) for trace in traces}) == 4
    assert len({tuple(trace.request_tokens.tolist()) for trace in traces}) == 4
    assert {len(trace) for trace in traces} == {120}


def test_times_run_from_when_a_request_was_due_not_from_when_the_engine_looked():
    """A request that comes while a long prompt is computed waits for that step: it counts."""
    trace = Trace.build(
        np.array([0, 100_000]), request_tokens=np.array([2000, 20], np.int32), response_tokens=np.full(2, 5, np.int32)
    )
    pace = Pace(prefill_tokens_per_s=1000.0)
    run, engine = measure_virtually(trace, Limits(), pace, asked_s=10.0), run_virtual(trace, Limits(), pace)
    assert engine.seen_s[1] - engine.arrived_s[1] > 1.5
    assert run.ttft_s.tolist() == (engine.first_token_s - engine.arrived_s).tolist()
    assert run.latency_s.tolist() == (engine.ended_s - engine.arrived_s).tolist()
    assert run.tpot_s.tolist() == ((engine.ended_s - engine.first_token_s) / 4).tolist()


def test_random_order_is_the_seeds_and_runs_every_point_once():
    plans = [Plan(source=SOURCE, slo=SLO, rates_per_s=(2.0, 4.0), order=RANDOM, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (plan.points() for plan in plans)
    assert first == again != other
    assert sorted(first) == sorted(other) == Plan(source=SOURCE, slo=SLO, rates_per_s=(4.0, 2.0)).points()
