"""The simulated engine in virtual time: how much faster than real time, and what leaping over alike steps brings."""

import time

import pytest

from tests.bench.tables import Table
from workload.bench.plan import Plan
from workload.bench.simulation import Simulation
from workload.bench.source import builtin_source
from workload.engine.scheduler import Limits, Pace
from workload.engine.virtual import run_virtual

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

SLO = {"ttft_s": 2.0, "tpot_s": 0.2, "latency_s": None, "share": 0.99, "failed_ratio_max": 0.01}
MINUTES = 10


def test_virtual_time():
    """Ten minutes of load at the engine's defaults; then a whole benchmark with its searches."""
    table = Table("virtual-time", f"{MINUTES} min of load, default engine; s of CPU, times faster than real time")
    for rate, cv in ((4.0, 1.0), (10.0, 1.0), (10.0, 4.0), (4.0, 8.0)):
        plan = Plan(source=builtin_source(), slo=SLO, rates_per_s=(rate,), cvs=(cv,), duration_s=MINUTES * 60.0)
        (trace,) = plan.traces(rate, cv)
        for leap in (True, False):
            began = time.process_time()
            run = run_virtual(trace, Limits(), Pace(), leap=leap)
            took = time.process_time() - began
            name = f"{rate:g}/s CV {cv:g}, {'leaping' if leap else 'step by step'}"
            table.add(name, seconds=round(took, 3), times=round(MINUTES * 60 / took), intervals=len(run.timeline.end_s))
    plan = Plan(source=builtin_source(), slo=SLO, repeats=5)
    bench = Simulation(plan=plan, limits=Limits(), pace=Pace())
    for name, part in (("sweep, 5 x 5 runs", bench.sweep), ("rates", bench.rates), ("memory", bench.memory)):
        began = time.process_time()
        list(part())
        table.add(f"bench: {name}", seconds=round(time.process_time() - began, 3), times=None, intervals=None)
    table.finish()
