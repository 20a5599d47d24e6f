"""`burstwatch page`: the live page as a command."""

import argparse
import asyncio
import logging
import time

from burstwatch.page.feed import HISTORY_S_MAX, Feed
from burstwatch.page.guard import host_name
from burstwatch.page.live import LiveFeed
from burstwatch.page.server import PageConfig, PageServer
from burstwatch.tail import HISTORY_MOST, History, TopicFollower, require_broker
from collector.schema.topics import EPISODES, WINDOWS
from workload.arguments import whole
from workload.lifecycle import print_ready, stop_on_signals

log = logging.getLogger(__name__)

DESCRIPTION = """\
Serve the live page: request rate with bursts, KV-cache usage with memory pressure, and failures on one time axis; per
service CV, Gamma shape and failure ratio with their intervals; time until the engines' memory is full. From topics
llm.windows and llm.episodes, as they grow. Also /state.json (the same numbers) and /runbook (what each alert means).
"""
EPILOG = """\
examples:
  burstwatch page --kafka 127.0.0.1:9092                      # then open http://127.0.0.1:8321
  burstwatch page --kafka k1:9092 --port 0 --history-s 7200   # a free port, two hours of history
  burstwatch page --kafka k1:9092 --host 0.0.0.0              # for others, too: there is no login, mind your network
  burstwatch page --kafka k1:9092 --host 0.0.0.0 --allow-host watch.example    # the same, under one name only

Prints one JSON line {"event":"ready","component":"page","url":...} when it serves. SIGTERM or Ctrl-C ends it.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch page",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kafka", required=True, metavar="HOST:PORT", help="Kafka bootstrap servers, separated by commas")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=whole(0, 65535), default=8321, help="TCP port, 0 picks a free one (default: %(default)s)")
    add(
        "--allow-host",
        action="append",
        type=_allowed_host,
        default=[],
        metavar="NAME",
        help="answer to this name and loopback's only, repeatable; for a page beyond loopback (default: any name)",
    )
    add(
        "--history-s",
        type=whole(60, HISTORY_S_MAX),
        default=3600,
        metavar="S",
        help=f"how much of the past the charts hold, 60 to {HISTORY_S_MAX}; of what was before its start it reads "
        f"{HISTORY_MOST} messages a partition at most (default: %(default)s)",
    )
    return parser


def _allowed_host(text: str) -> str:
    try:
        return host_name(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no host name: give it as in the address bar, without http:// and port"
        ) from None


def main(argv: list[str]) -> int:
    """Serve until a signal comes. Returns 0; raises ``OperatorError`` if no broker answers or the port is taken."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it says every second that Kafka is away; we say it once
    require_broker(args.kafka)
    return asyncio.run(_serve(args))


async def _serve(args: argparse.Namespace) -> int:
    stop = stop_on_signals()
    live = LiveFeed(Feed(args.history_s), args.kafka, time.time)
    server = PageServer(PageConfig(host=args.host, port=args.port, names=tuple(args.allow_host)), live)
    await server.start()
    follower = TopicFollower(
        args.kafka, [WINDOWS, EPISODES], History(seconds=args.history_s), on_messages=live.take, on_kafka=live.kafka
    )
    follower.start()
    log.info("serving url=%s kafka=%s", server.url, args.kafka)
    print_ready("page", url=server.url)
    await stop.wait()
    await server.stop()
    await asyncio.to_thread(follower.stop)
    return 0
