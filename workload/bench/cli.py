"""`burstwatch workload bench`: what burstiness does to a server, real or simulated, in one command."""

import argparse
import logging
from pathlib import Path

from collector.schema.errors import OperatorError
from workload.bench.options import build_parser
from workload.bench.output import Outputs
from workload.bench.plan import Plan
from workload.bench.result import Objective
from workload.bench.source import Source, builtin_source, model_source, trace_source
from workload.engine.options import engine_options_given
from workload.generate.models import find_model
from workload.scale.sweep import CV_MAX, CV_MIN

REPEATS_SIMULATED = 5
REQUESTS_MIN = 10
REQUESTS_MAX = 2_000_000  # a search goes to 64 times the rate


def main(argv: list[str]) -> int:
    """Measure and report. Returns 0 (1 with ``--fail-if-missed``); raises ``OperatorError`` for bad input."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.url and (given := engine_options_given(args, parser)):
        raise OperatorError(f"{', '.join(given)}: of the simulated engine; a real server is configured where it runs")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    read = [name for name in (args.trace, args.model) if name]
    outputs = Outputs.of(html=args.html, json=args.json, folder=args.out, read=read)
    plan = _plan(args)
    if args.simulate:
        from workload.bench.simulate import simulate  # noqa: PLC0415 - no HTTP client for a simulation

        result = simulate(args, plan)
    else:
        from workload.bench.serve import serve  # noqa: PLC0415

        result = serve(args, plan)
    outputs.write(result)
    return int(args.fail_if_missed and result["verdict"]["fails_from_cv"] is not None)


def _plan(args: argparse.Namespace) -> Plan:
    if args.model and args.trace:
        raise OperatorError("--model and --trace both say what is sent: give one of them")
    if args.format and not args.trace:
        raise OperatorError("--format needs --trace")
    if not args.cv or not args.rate:
        raise OperatorError("--cv and --rate need at least one number each")
    if bad := [cv for cv in args.cv if not CV_MIN <= cv <= CV_MAX]:
        raise OperatorError(f"--cv must be {CV_MIN:g} to {CV_MAX:g}, not {bad[0]:g}")
    if min(args.rate) * args.duration_s < REQUESTS_MIN:
        raise OperatorError(
            f"--rate {min(args.rate):g} for --duration-s {args.duration_s:g} are fewer than {REQUESTS_MIN} requests: "
            "too few to have a burstiness"
        )
    if (most := max(args.rate) * args.duration_s) > REQUESTS_MAX:
        raise OperatorError(
            f"--rate {max(args.rate):g} for --duration-s {args.duration_s:g} are {most:.3g} requests in one run; "
            f"at most {REQUESTS_MAX:,} are sent"
        )
    source: Source = builtin_source()
    if args.model:
        source = model_source(find_model(args.model))
    elif args.trace:
        source = trace_source(Path(args.trace), format=args.format)
    return Plan(
        source=source,
        slo=Objective(
            ttft_s=args.slo_ttft_s,
            tpot_s=args.slo_tpot_s,
            latency_s=args.slo_latency_s,
            share=args.slo_share,
            failed_ratio_max=args.failed_max,
        ),
        cvs=args.cv,
        rates_per_s=args.rate,
        duration_s=args.duration_s,
        repeats=args.repeats or (REPEATS_SIMULATED if args.simulate else 1),
        seed=args.seed,
        order=args.order,
    )
