"""`burstwatch worker`: the stream side of Burstwatch, one process per core or machine."""

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path

from collector.schema.topics import DEFAULT_PARTITIONS
from streams.analysis_options import add_analysis_options, analysis_settings
from streams.config import APP_ID, SERIES_MAX, SERVICES_MAX, WorkerSettings
from streams.help_format import DefaultsAndExamples
from streams.quiet_log import Quiet

DESCRIPTION = """\
Compute burstiness, failures, bursts and memory pressure from the topics llm.requests and llm.resources.
Results: Prometheus metrics at /metrics, topics llm.windows and llm.episodes. What cannot be decoded goes to
llm.dead-letter. The state lives in Kafka: a worker may be killed at any instant and go on exactly.
"""
EPILOG = """\
examples:
  burstwatch worker --kafka 127.0.0.1:9092
  burstwatch worker --kafka k1:9092,k2:9092 --metrics-host 0.0.0.0 --metrics-port 9464
  two workers with the same --app-id share the partitions

Stop it with Ctrl-C or SIGTERM: it writes a last snapshot and exits 0.
"""


def main(argv: list[str]) -> int:
    """Run the worker until it is told to stop. Returns 0, or 1 if it failed; raises ``OperatorError``."""
    settings = parse(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # mode logs each service under the module of its class, ours included
    ours = ("streams.worker.faust_consumer", "streams.worker.faust_recovery")
    for name in ("aiokafka", "faust", "mode", "aiohttp", *ours):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # until connected: our one line says it better
    for handler in logging.getLogger().handlers:
        handler.addFilter(Quiet(("aiokafka", "faust", "mode"), time.monotonic))
    from streams.worker.run import serve  # noqa: PLC0415 - Faust takes half a second: not for --help

    return asyncio.run(serve(settings))


def parse(argv: list[str]) -> WorkerSettings:
    """Return the settings ``argv`` asks for. Raises ``OperatorError``; argparse exits 2 on bad usage."""
    parser = argparse.ArgumentParser(
        prog="burstwatch worker", description=DESCRIPTION, epilog=EPILOG, formatter_class=DefaultsAndExamples
    )
    add = parser.add_argument
    add("--kafka", required=True, metavar="HOST:PORT", help="Kafka bootstrap servers, separated by commas")
    add("--app-id", default=APP_ID, help="consumer group and name of the state's changelog topic")
    add("--partitions", type=int, default=DEFAULT_PARTITIONS, help="partitions of topics that must be created")
    add("--metrics-host", default="127.0.0.1", help="address /metrics listens on")
    add("--metrics-port", type=int, default=0, metavar="PORT", help="its port; 0 picks a free one")
    add(
        "--series-max",
        type=int,
        default=SERIES_MAX,
        metavar="N",
        help="series on /metrics; above, the services with the fewest arrivals show no window gauges",
    )
    add(
        "--services-max",
        type=int,
        default=SERVICES_MAX,
        metavar="N",
        help='services kept apart per partition; further ones count as "other-<partition>" until one was idle for 1 h',
    )
    add("--snapshot-interval-s", type=float, default=1.0, metavar="S", help="seconds between two snapshots")
    add("--data-dir", type=Path, metavar="DIR", help="scratch folder; nothing in it must survive (default: temporary)")
    add_analysis_options(parser)
    args = parser.parse_args(argv)
    return WorkerSettings(
        kafka=args.kafka,
        app_id=args.app_id,
        partitions=args.partitions,
        metrics_host=args.metrics_host,
        metrics_port=args.metrics_port,
        services_max=args.services_max,
        series_max=args.series_max,
        snapshot_interval_s=args.snapshot_interval_s,
        data_dir=args.data_dir,
        analysis=analysis_settings(args),
    )
