"""The analysis settings as command line options, the same for `worker` and `analyze`."""

import argparse
from collections.abc import Sequence
from math import inf

from collector.schema.errors import OperatorError
from streams.processors.settings import DETECTORS, AnalysisSettings
from streams.stats.fleet_threshold import fleet_threshold


def add_analysis_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` one option per choice, with the defaults of ``AnalysisSettings``."""
    plain = AnalysisSettings()
    add = parser.add_argument_group("analysis").add_argument
    add(
        "--windows",
        type=_windows,
        default=",".join(map(str, plain.windows_s)),
        metavar="S,S,...",
        help="window lengths in seconds: multiples of 10, at most 3600",
    )
    whole = {
        "--hold-s": (plain.hold_s, "S", "seconds the order of arrivals is left open behind the watermark"),
        "--lateness-s": (plain.lateness_s, "S", "seconds behind the watermark within which counts are amended"),
        "--gaps-min": (plain.gaps_min, "N", "gaps a window needs for its CV and Gamma parameters"),
        "--bins-min": (plain.bins_min, "N", "bins a window needs for a dispersion index or an Allan factor"),
        "--percentile-window-s-max": (
            plain.percentile_window_s_max,
            "S",
            "windows up to this long have percentiles of tokens and latencies",
        ),
        "--classes-max": (plain.classes_max, "N", 'combinations of model and log type per service; more are "other"'),
    }
    for name, (default, unit, text) in whole.items():
        add(name, type=int, default=default, metavar=unit, help=text)
    _add_burst_options(parser.add_argument_group("bursts"), plain)
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


def _add_burst_options(group: argparse._ArgumentGroup, plain: AnalysisSettings) -> None:
    add = group.add_argument
    add(
        "--detector",
        choices=DETECTORS,
        default=plain.detector,
        help="how bursts are found: scanz looks at windows of 1 to 60 s and knows the time of day; ten-seconds, with "
        "one window, has fewer false alarms and misses more",
    )
    add(
        "--burst-threshold",
        type=float,
        default=argparse.SUPPRESS,
        metavar="Z",
        help=f"score at which a burst begins (default: {plain.burst_threshold:g}, or what the next two ask for)",
    )
    add(
        "--fleet-services",
        type=int,
        default=argparse.SUPPRESS,
        metavar="K",
        help="choose the threshold for so many services together (default: 1) ...",
    )
    add(
        "--false-alarms-per-day",
        type=float,
        default=argparse.SUPPRESS,
        metavar="F",
        help="... and so many false alarms a day from all of them (default: 1)",
    )
    add(
        "--burst-warmup-s",
        type=int,
        default=plain.burst_warmup_s,
        metavar="S",
        help="seconds of event time before a service can burst",
    )
    add(
        "--burst-profile-days",
        type=int,
        default=plain.burst_profile_days,
        metavar="N",
        help="days that must be known before a service's time of day (UTC) is expected; 0: never",
    )


def analysis_settings(args: argparse.Namespace) -> AnalysisSettings:
    """Return what the options say. Raises ``OperatorError`` if they contradict each other."""
    default, by_service = _failure_budgets(getattr(args, "failure_budget", []))
    return AnalysisSettings(
        windows_s=args.windows,
        hold_s=args.hold_s,
        lateness_s=args.lateness_s,
        gaps_min=args.gaps_min,
        bins_min=args.bins_min,
        percentile_window_s_max=args.percentile_window_s_max,
        classes_max=args.classes_max,
        detector=args.detector,
        burst_threshold=_burst_threshold(args),
        burst_warmup_s=args.burst_warmup_s,
        burst_profile_days=args.burst_profile_days,
        failure_budget_ratio=default,
        failure_budgets=by_service,
        replica_capacity=dict(map(_replica_capacity, getattr(args, "replica_capacity", []))),
        demand_quantile=args.demand_quantile,
    )


def _windows(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes seconds separated by commas, e.g. 10,60,300, not {text!r}") from None


def _burst_threshold(args: argparse.Namespace) -> float:
    given: float | None = getattr(args, "burst_threshold", None)
    services: int | None = getattr(args, "fleet_services", None)
    per_day: float | None = getattr(args, "false_alarms_per_day", None)
    if services is None and per_day is None:
        return AnalysisSettings().burst_threshold if given is None else given
    if given is not None:
        raise OperatorError("give either --burst-threshold or --fleet-services and --false-alarms-per-day, not both")
    services, per_day = 1 if services is None else services, 1.0 if per_day is None else per_day
    if services < 1 or not 0 < per_day < inf:
        raise OperatorError("--fleet-services must be at least 1, --false-alarms-per-day a number above 0")
    return fleet_threshold(services, per_day)


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
