"""`burstwatch broker`: arguments, the readiness line, signals."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from burstwatch.broker import server

log = logging.getLogger(__name__)

_DESCRIPTION = """A single-node Kafka-protocol broker for one machine, so that Burstwatch runs without a Kafka.

Speaks plain Kafka to every client: an existing Kafka replaces it by address alone. Records are kept in
files: a killed broker loses nothing it had acknowledged (a power cut may). Not replicated, no login, no
transactions, no topics created on the side: create them first. Not for more than one machine.

When ready it prints one JSON line with its address. Ctrl-C or SIGTERM ends it."""

_EXAMPLES = """examples:
  burstwatch broker                                 on 127.0.0.1:9092, data in ./burstwatch-data/broker
  burstwatch broker --port 0 --data /tmp/broker     on a free port
  kcat -b 127.0.0.1:9092 -L                         look at it with any Kafka tool
"""


def main(argv: list[str]) -> int:
    """Run the broker until a signal. Returns 0.

    Raises:
        OperatorError: port taken, data folder unusable or in use.
    """
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_run(args.host, args.port, Path(args.data)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch broker",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9092, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--data", default="burstwatch-data/broker", metavar="DIR", help="data folder (default: %(default)s)"
    )
    return parser


async def _run(host: str, port: int, data: Path) -> None:
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)  # asked twice: at once, as after kill -9 nothing acknowledged is lost
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)

    def on_ready(bound: int) -> None:
        if host not in {"localhost", "::1"} and not host.startswith("127."):
            log.warning("event=open_to_others host=%s reason='no login: whoever reaches it reads and writes'", host)
        facts = {"bootstrap_servers": f"{host}:{bound}", "port": bound}
        print(json.dumps({"event": "ready", "component": "broker", **facts}), flush=True)

    await server.run(host, port, data, on_ready=on_ready, until=stop.wait)
