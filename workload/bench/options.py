"""The command line of ``burstwatch workload bench``."""

import argparse
from collections.abc import Callable

from workload.arguments import above_zero, not_below_zero, whole
from workload.bench.plan import ASCENDING, CVS, RANDOM
from workload.engine.options import add_engine_options
from workload.generate.models import built_in_models

DESCRIPTION = """\
What does burstiness do to a server? Sends the same requests at the same mean rate again and again, each time with
burstier arrivals (CV of the gaps: 0.5 calm, 1 Poisson, 8 as in BurstGPT's wild hours), and reports latency, first
token, throughput, goodput under an objective, failures by reason, KV cache and preemptions; then a verdict: at which
burstiness and rate the server starts to fail, and how much headroom (rate or KV memory) buys it back.
"""

EPILOG = """\
examples:
  burstwatch workload bench --simulate                                  the simulated engine, a whole sweep in seconds
  burstwatch workload bench --simulate --kv-blocks 1000 --rate 4,6,8    a smaller cache, three rates
  burstwatch workload bench --url http://127.0.0.1:8000/v1              a real server: 5 runs of 2 minutes
  burstwatch workload bench --url http://gpu7:8000/v1 --trace BurstGPT_3.csv --cv 1,4 --rate 6 --html report.html
  burstwatch workload bench --simulate --json - | jq '.runs[] | [.cv, .kv_usage_peak, .failed_ratio]'

--json holds runs (one a point of the sweep), slo, verdict, server, workload and assumptions; every key is described in
workload/bench/result.py. Ctrl-C ends the run at hand, and what was measured until then is reported.
Exit code 0 whatever the verdict; with --fail-if-missed 1 if the objective is missed at any CV of the lowest rate.
"""


def numbers(text: str) -> tuple[float, ...]:
    """Return a comma-separated list of numbers above zero, each once."""
    return tuple(dict.fromkeys(above_zero(part) for part in text.split(",") if part.strip()))


def share(text: str) -> float:
    """Return a share above 0 and at most 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text}")
    return value


def ratio(text: str) -> float:
    """Return a share from 0 to 1."""
    return 0.0 if float(text) == 0 else share(text)


def maybe(kind: Callable[[str], float]) -> Callable[[str], float | None]:
    """Return a type that takes ``none`` besides what ``kind`` takes."""

    def value(text: str) -> float | None:
        return None if text == "none" else kind(text)

    return value


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch workload bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--url", help="the server's OpenAI base URL, ending in /v1")
    whom.add_argument("--simulate", action="store_true", help="the simulated engine in virtual time; no server needed")
    _add_load(parser)
    _add_objective(parser)
    _add_server(parser)
    _add_output(parser)
    add_engine_options(parser, "the simulated engine (--simulate)")
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("load").add_argument
    models = ", ".join(built_in_models())
    add("--model", metavar="FILE|NAME", help=f"take lengths from this workload model; by name: {models}")
    add(
        "--trace",
        metavar="FILE",
        help="take lengths from this trace, in any known format (default: the built-in workload)",
    )
    add("--format", metavar="NAME", help="format of the trace (default: told from the file)")
    add("--cv", type=numbers, default=CVS, metavar="A,B,..", help="burstiness of each run (default: 0.5,1,2,4,8)")
    add("--rate", type=numbers, default=(4.0,), metavar="A,B,..", help="requests/s, one sweep each (default: 4)")
    add("--duration-s", type=above_zero, default=120.0, help="of one run (default: %(default)s)")
    add("--repeats", type=whole(1, 1000), help="runs a point, with other chance (default: 5 simulated, 1 real)")
    add("--seed", type=whole(0), default=1, help="of lengths, times and order (default: %(default)s)")
    add(
        "--order",
        choices=(ASCENDING, RANDOM),
        default=ASCENDING,
        help="calm runs first (a server brought down by the wildest has been measured until then), or random, which "
        "keeps drift apart from burstiness (default: %(default)s)",
    )
    add("--find-rate", action="store_true", help="search the rate that holds at each CV (always done if simulated)")


def _add_objective(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("objective (none: not asked)").add_argument
    bound = maybe(above_zero)
    add("--slo-ttft-s", type=bound, default=2.0, metavar="S", help="first token within (default: %(default)s)")
    add("--slo-tpot-s", type=bound, default=0.2, metavar="S", help="per further token (default: %(default)s)")
    add("--slo-latency-s", type=bound, metavar="S", help="whole answer within (default: none)")
    add("--slo-share", type=share, default=0.99, metavar="X", help="of all requests (default: %(default)s)")
    add("--failed-max", type=ratio, default=0.01, metavar="X", help="failed at most (default: %(default)s)")


def _add_server(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("a real server (--url)").add_argument
    add("--metrics-url", metavar="URL", help="its metrics (default: --url with /metrics for /v1), none: do not look")
    add("--served-model", metavar="NAME", help="ask for this model (default: the server's first)")
    add("--api-key-env", metavar="VAR", help="environment variable that holds the bearer token")
    add("--timeout-s", type=above_zero, default=300.0, help="for one request (default: %(default)s)")
    add("--warm-up-s", type=not_below_zero, default=10.0, help="calm load first, not measured (default: %(default)s)")
    add(
        "--rest-max-s",
        type=above_zero,
        default=60.0,
        help="wait so long for the server to be idle between runs (default: %(default)s)",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("--html", metavar="FILE", help="a report with plots (needs the extra burstwatch[workload])")
    add("--json", metavar="FILE", help="everything as JSON, - for stdout instead of text")
    add("--out", metavar="DIR", help="bench.json and bench.html into this folder")
    add("--fail-if-missed", action="store_true", help="exit with 1 if the objective is missed (for CI)")
    add("--no-progress", action="store_true", help="no progress (a line on a terminal, else one every 10 s)")
