"""`burstwatch dashboards`: boards, rules and METRICS.md from their sources, and boards into Grafana."""

import argparse
import sys
from pathlib import Path

from collector.schema.errors import OperatorError
from dashboards import generate
from dashboards.boards import BOARDS

_DESCRIPTION = """\
Grafana boards, Prometheus rules and METRICS.md are Python, generated into files that are committed."""

_EXAMPLES = """\
examples:
  burstwatch dashboards generate           rewrite METRICS.md and dashboards/generated/ (in a checkout)
  burstwatch dashboards generate --check   exit 1 and name what is stale
  burstwatch dashboards push --url http://127.0.0.1:3000 --token-file token.txt

Without Grafana's API: point Grafana's file provisioning at dashboards/generated/boards, and Prometheus'
rule_files at dashboards/generated/rules (docker-compose.yml does both)."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch dashboards",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    made = verbs.add_parser("generate", help="write the generated files, or --check them")
    made.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    sent = verbs.add_parser("push", help="create or replace the boards in a running Grafana")
    sent.add_argument("--url", required=True, help="the Grafana, as http://HOST:3000")
    sent.add_argument(
        "--token-file",
        required=True,
        type=Path,
        metavar="FILE",
        help="a file with a service account token that may edit dashboards and folders",
    )
    return parser


def main(argv: list[str]) -> int:
    """Run one verb. Returns 0, or 1 if `generate --check` found stale files."""
    args = _parser().parse_args(argv)
    if args.verb == "push":
        return _push(args.url, args.token_file)
    return _check() if args.check else _write()


def _check() -> int:
    stale = generate.stale(generate.checkout())
    for name in stale:
        print(f"stale: {name} (run `make generate` and commit it)", file=sys.stderr)
    return 1 if stale else 0


def _write() -> int:
    for name in generate.write(generate.checkout()):
        print(f"wrote {name}")
    return 0


def _push(url: str, token_file: Path) -> int:
    from dashboards.push import connect, push  # noqa: PLC0415 - an extra that generate does not need

    try:
        token = token_file.read_text().strip()
    except OSError as error:
        raise OperatorError(f"cannot read --token-file {token_file}: {error.strerror}") from None
    if not token:
        raise OperatorError(f"--token-file {token_file} is empty; put a service account token in it")
    for path in push(connect(url, token), BOARDS):
        print(f"{url.rstrip('/')}{path}")
    return 0
