"""The analysis settings as command line options, the same for `worker` and `analyze`."""

import argparse

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


def analysis_settings(args: argparse.Namespace) -> AnalysisSettings:
    """Return what the options say. Raises ``OperatorError`` if they contradict each other."""
    return AnalysisSettings(burst_threshold=args.burst_threshold, burst_warmup_s=args.burst_warmup_s)
