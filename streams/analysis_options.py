"""The analysis settings as command line options, the same for `worker` and `analyze`."""

import argparse
from collections.abc import Sequence

from collector.schema.errors import OperatorError
from streams.processors.settings import AnalysisSettings


def add_analysis_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` one option per choice, with the defaults of ``AnalysisSettings``."""
    plain = AnalysisSettings()
    add = parser.add_argument_group("analysis").add_argument
    add(
        "--burst-threshold",
        type=float,
        default=plain.burst_threshold,
        metavar="Z",
        help="score at which a burst begins",
    )
    add(
        "--burst-warmup-s",
        type=int,
        default=plain.burst_warmup_s,
        metavar="S",
        help="seconds of event time before a service can burst",
    )
    add(
        "--failure-budget",
        action="append",
        default=argparse.SUPPRESS,
        metavar="[SERVICE=]RATIO",
        help=f"failures over completions that are allowed (default: {plain.failure_budget_ratio}), for all services or "
        "one, e.g. --failure-budget 0.02 --failure-budget batch=0.1",
    )
    add(
        "--replica-capacity",
        action="append",
        default=argparse.SUPPRESS,
        metavar="SERVICE=RATE",
        help="requests per second one engine of a service can finish, instead of what is measured",
    )
    add(
        "--demand-quantile",
        type=float,
        default=plain.demand_quantile,
        metavar="Q",
        help="share of 10-s intervals whose requests the wanted replicas can serve",
    )


def analysis_settings(args: argparse.Namespace) -> AnalysisSettings:
    """Return what the options say. Raises ``OperatorError`` if they contradict each other."""
    default, by_service = _failure_budgets(getattr(args, "failure_budget", []))
    return AnalysisSettings(
        burst_threshold=args.burst_threshold,
        burst_warmup_s=args.burst_warmup_s,
        failure_budget_ratio=default,
        failure_budgets=by_service,
        replica_capacity=dict(map(_replica_capacity, getattr(args, "replica_capacity", []))),
        demand_quantile=args.demand_quantile,
    )


def _failure_budgets(given: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Return the budget of all services and those of single ones; what is said last counts."""
    default, by_service = AnalysisSettings().failure_budget_ratio, {}
    for text in given:
        service, of_one, ratio = text.rpartition("=")
        try:
            value = float(ratio)
        except ValueError:
            raise OperatorError(f"--failure-budget takes RATIO or SERVICE=RATIO, not {text!r}") from None
        if of_one and not service:
            raise OperatorError(f"--failure-budget: the service is missing in {text!r}")
        if of_one:
            by_service[service] = value
        else:
            default = value
    return default, by_service


def _replica_capacity(text: str) -> tuple[str, float]:
    service, _, rate = text.rpartition("=")
    try:
        value = float(rate)
    except ValueError:
        value = 0.0
    if not service or not value > 0:
        raise OperatorError(f"--replica-capacity takes SERVICE=RATE (requests per second, above 0), not {text!r}")
    return service, value
