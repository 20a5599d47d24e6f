"""`bench --url`: the benchmark of a real server, with its clock, its signals and a screen."""

import argparse
import asyncio
import os
import sys
import time

from collector.schema.errors import OperatorError
from workload.bench.assemble import Findings, assemble
from workload.bench.assumptions import of_server
from workload.bench.estimate import estimated_memory
from workload.bench.plan import Plan
from workload.bench.result import Result, Server
from workload.bench.scrape import metrics_url_of
from workload.bench.screen import Screen
from workload.bench.server_bench import ServerBench, Target
from workload.lifecycle import quiet_gc, raise_open_files, raise_priority, stop_on_signals
from workload.report.numbers import duration

BETWEEN_RUNS_S = 15.0  # the last answers and the rest, roughly


def serve(args: argparse.Namespace, plan: Plan) -> Result:
    """Return the sweep over HTTP. Raises ``OperatorError`` if the server is not there."""
    if not args.url.startswith(("http://", "https://")):
        raise OperatorError(f"--url must begin with http:// or https://, not {args.url!r}")
    target = Target(
        url=args.url,
        metrics_url=None if args.metrics_url == "none" else args.metrics_url or metrics_url_of(args.url),
        model=args.served_model,
        api_key=_api_key(args.api_key_env),
        timeout_s=args.timeout_s,
        rest_max_s=args.rest_max_s,
        warm_up_s=args.warm_up_s,
    )
    total_s = target.warm_up_s + len(plan.points()) * plan.repeats * (plan.duration_s + BETWEEN_RUNS_S)
    more = " and the search for rates after it" if args.find_rate else ""
    sys.stderr.write(
        f"{len(plan.points()) * plan.repeats} runs of {duration(plan.duration_s)}: about {duration(total_s)}{more}. "
        "Ctrl-C reports what was measured until then.\n"
    )
    raise_open_files()
    quiet_gc()
    raise_priority()
    began_s = time.perf_counter()
    with Screen(shown=not args.no_progress) as screen:
        bench = asyncio.run(_run(plan, target, screen, total_s, find_rate=args.find_rate))
    metrics = bench.metrics
    server = Server(
        url=target.url,
        metrics_url=target.metrics_url,
        simulated=False,
        engine=metrics.engine if metrics else None,
        models=bench.models,
        kv_blocks=metrics.kv_blocks if metrics else None,
        block_tokens=metrics.block_tokens if metrics else None,
        kv_tokens=metrics.kv_tokens if metrics else None,
        settings={},
    )
    found = Findings(
        runs=bench.runs,
        rates=bench.headrooms,
        memory=list(estimated_memory(plan, bench.runs, metrics)),
        complete=not bench.stop.is_set(),
    )
    assumptions = of_server(bench.runs, told_metrics=metrics is not None, searched=bool(bench.headrooms))
    return assemble(plan, found, server, assumptions=assumptions, elapsed_s=time.perf_counter() - began_s)


async def _run(plan: Plan, target: Target, screen: Screen, total_s: float, *, find_rate: bool) -> ServerBench:
    bench = ServerBench(plan=plan, target=target, stop=stop_on_signals(), watch=screen.tell)
    async with screen.clock(total_s):
        await bench.run(find_rate=find_rate)
    return bench


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise OperatorError(f"--api-key-env {variable}: this environment variable is not set")
    return key
