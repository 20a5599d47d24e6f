"""`burstwatch dashboards annotate`: episodes into a Grafana, once or for as long as it runs."""

import argparse
import os

from burstwatch.annotate.marks import Episodes
from burstwatch.annotate.writing import Following, Lines, write_all
from burstwatch.stopping import until_told
from burstwatch.tail import newest, require_broker
from collector.schema.errors import OperatorError
from collector.schema.topics import EPISODES
from dashboards.grafana.annotations import Marker
from dashboards.grafana.objects import seconds
from dashboards.grafana.options import SERVICE_ACCOUNT, add_connection, connection

DESCRIPTION = """\
Write the episodes of topic llm.episodes (bursts, failures, memory pressure) into Grafana as annotations: a region from
onset to end, which any board can show (data source "-- Grafana --", tag burstwatch; our boards have it, switched
off). Tags: burstwatch, the kind, service:NAME, and ongoing while it lasts. An episode is written when it begins and
completed when it ends; each is found again by a tag, so running it again or restarting writes nothing twice.
"""
EPILOG = f"""\
examples:
  burstwatch dashboards annotate --kafka 127.0.0.1:9092 --url http://127.0.0.1:3000 --token-file token.txt
  burstwatch dashboards annotate --kafka k1:9092 --url https://example.org/grafana --token-file token.txt --follow
  burstwatch dashboards annotate --kafka k1:9092 --url http://127.0.0.1:3000 --token-file t.txt --since all --dry-run

With --follow it outlives a Kafka or a Grafana that is away: what is not written yet waits. Run one of it.

{SERVICE_ACCOUNT}
"""
RECENT = 5000  # messages a partition: a month of an episode every ten minutes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch dashboards annotate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kafka", required=True, metavar="HOST:PORT", help="Kafka bootstrap servers, separated by commas")
    add_connection(parser)
    add("--follow", action="store_true", help="go on with new episodes until Ctrl-C or SIGTERM")
    add(
        "--since",
        default="24h",
        metavar="TIME",
        help=f"how far back from the newest episode, as 90m, 24h or 7d, or all; among a partition's last {RECENT} "
        "messages (more with --follow) (default 24h)",
    )
    add("--dry-run", action="store_true", help="write nothing; say what would be written")
    add("--json", action="store_true", help="a JSON object a line instead of words")
    return parser


def main(argv: list[str]) -> int:
    """Annotate. Returns 0, or 1 if Grafana did not take an episode for what it is.

    Raises ``OperatorError`` for a Kafka or a Grafana that is not there or refuses.
    """
    args = _parser().parse_args(argv)
    since_s = _since(args.since)
    require_broker(args.kafka)
    grafana = connection(args, os.environ)
    marker = Marker(grafana, write=not args.dry_run)
    lines = Lines(written=not args.dry_run, as_json=args.json)
    if args.follow:
        following = Following(args.kafka, marker, lines, since_s)
        return following.run(until_told())
    episodes = Episodes()
    for message in newest(args.kafka, [EPISODES], RECENT):
        episodes.note(message)
    episodes.keep_since(since_s)
    write_all(episodes, marker, lines)
    lines.summary(episodes)
    return 1 if lines.refused else 0


def _since(text: str) -> float:
    if text == "all":
        return float("inf")
    try:
        return seconds(text)
    except ValueError:
        raise OperatorError(f"--since {text}: give a time such as 90m, 24h or 7d, or all") from None
