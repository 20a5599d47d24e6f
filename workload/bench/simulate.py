"""`bench --simulate`: the benchmark of the simulated engine, with a clock and a screen."""

import argparse
import time

from workload.bench.assemble import Findings, assemble
from workload.bench.assumptions import of_simulation
from workload.bench.plan import Plan
from workload.bench.result import Result, Server
from workload.bench.screen import Screen
from workload.bench.simulation import Simulation
from workload.engine.options import limits_of, pace_of
from workload.engine.scheduler import Limits, Pace


def simulate(args: argparse.Namespace, plan: Plan) -> Result:
    """Return the sweep and the searches; Ctrl-C ends them and keeps what there is."""
    limits, pace = limits_of(args), pace_of(args)
    found = Findings()
    began_s = time.perf_counter()
    with Screen(shown=not args.no_progress) as screen:
        simulation = Simulation(plan=plan, limits=limits, pace=pace, watch=screen.tell)
        try:
            _fill(found, simulation, screen, len(plan.points()))
        except KeyboardInterrupt:
            found.complete = False
    elapsed_s = time.perf_counter() - began_s
    return assemble(plan, found, _server(limits, pace), assumptions=of_simulation(), elapsed_s=elapsed_s)


def _fill(found: Findings, simulation: Simulation, screen: Screen, points: int) -> None:
    step = screen.steps(points)
    for run in simulation.sweep():
        found.runs.append(run)
        step()
    step = screen.steps(len(simulation.plan.cvs))
    for rate in simulation.rates():
        found.rates.append(rate)
        step()
    step = screen.steps(points)
    for servers in simulation.servers():
        found.servers.append(servers)
        step()
    step = screen.steps(points)
    for one in simulation.memory():
        found.memory.append(one)
        step()


def _server(limits: Limits, pace: Pace) -> Server:
    return Server(
        url=None,
        metrics_url=None,
        simulated=True,
        engine="simulated",
        models=[],
        kv_blocks=limits.kv_blocks,
        block_tokens=limits.block_tokens,
        kv_tokens=limits.kv_blocks * limits.block_tokens,
        settings={
            "max_running": limits.max_running,
            "max_waiting": limits.max_waiting,
            "max_model_len": limits.max_model_len,
            "max_batched_tokens": limits.max_batched_tokens,
            "queue_timeout_s": limits.queue_timeout_s,
            "decode_tokens_per_s": pace.decode_tokens_per_s,
            "prefill_tokens_per_s": pace.prefill_tokens_per_s,
        },
    )
