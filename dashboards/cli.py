"""`burstwatch dashboards`: boards, rules and METRICS.md from their sources, and boards into Grafana."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping

from collector.schema.errors import OperatorError
from dashboards import generate
from dashboards.boards import BOARDS
from dashboards.grafana import objects
from dashboards.grafana.options import SERVICE_ACCOUNT, add_connection, checked_url, connection
from dashboards.grafana.report import as_json, lines, summary
from dashboards.links import GRAFANA_URL, RUNBOOK_URL, Links

# Verbs of the front door, by name: what they do in a few words, and the function that takes their arguments.
Verbs = Mapping[str, tuple[str, Callable[[list[str]], int]]]

_DESCRIPTION = """\
Grafana boards, Prometheus rules and METRICS.md are Python, generated into files that are committed. Push brings them
into a running Grafana; rules prints them with your own addresses."""

_EXAMPLES = """\
examples:
  burstwatch dashboards push --url http://127.0.0.1:3000 --token-file token.txt --dry-run
  burstwatch dashboards annotate --kafka 127.0.0.1:9092 --url http://127.0.0.1:3000 --token-file token.txt --follow
  burstwatch dashboards rules --grafana-url https://grafana.example > rules.yml
  burstwatch dashboards generate           rewrite METRICS.md and dashboards/generated/ (in a checkout)
  burstwatch dashboards generate --check   exit 1 and name what is stale

Without Grafana's API: point Grafana's file provisioning at dashboards/generated/boards, and Prometheus'
rule_files at dashboards/generated/rules (docker-compose.yml does both). One owner per object: what Grafana has from
files, push leaves alone."""

_PUSH = """\
Create or update in a running Grafana (10.4 or newer): the folder, all boards, and what you ask for beyond: the
Prometheus data source, alert rules that Grafana itself evaluates, a webhook contact point. Every object has a fixed
uid, so pushing again changes nothing unless something differs; what differs is said. Exit code 0: Grafana is as
wanted; 1: it is not, since files own an object that differs (or --check found something to do); 2: your turn."""

_PUSH_EXAMPLES = f"""\
examples:
  burstwatch dashboards push --url http://127.0.0.1:3000 --token-file token.txt --dry-run   # what would change, and how
  burstwatch dashboards push --url http://127.0.0.1:3000 --token-file token.txt
  GRAFANA_TOKEN=glsa_... burstwatch dashboards push --url https://example.org/grafana --check   # in CI: exit 1 on drift
  burstwatch dashboards push --url http://127.0.0.1:3000 --user admin --password-file pw \\
      --datasource-url http://127.0.0.1:9090 --rules --contact-point-webhook http://127.0.0.1:9000/hook

{SERVICE_ACCOUNT}

Prometheus evaluates our rules, too (dashboards/generated/rules): choose it or --rules for alerts, or each is told
twice. --rules asks recorded series, so Prometheus needs the recording rules in any case. The notification policies
are never touched; with --contact-point-webhook our rules name that contact point themselves."""

_RULES = """\
Print the rules with your own addresses in their links: for Prometheus' rule_files, for Grafana's file provisioning, or
as a PrometheusRule for the Prometheus operator."""


def _parser(more: Verbs) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch dashboards",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    made = verbs.add_parser("generate", help="write the generated files, or --check them")
    made.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is stale")
    _add_push(verbs)
    printed = verbs.add_parser("rules", help="print the rules with your own addresses", description=_RULES)
    printed.add_argument("--format", choices=("prometheus", "grafana", "kubernetes"), default="prometheus")
    printed.add_argument("--grafana-url", default=GRAFANA_URL, metavar="URL", help=f"default {GRAFANA_URL}")
    printed.add_argument("--runbook-url", default=RUNBOOK_URL, metavar="URL", help=f"default {RUNBOOK_URL}")
    for name, (text, _) in more.items():
        verbs.add_parser(name, help=text, add_help=False)
    return parser


def _add_push(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "push",
        help="create or update folder, boards and more in a running Grafana",
        description=_PUSH,
        epilog=_PUSH_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_connection(parser)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="write nothing; say what would change, and how")
    add("--check", action="store_true", help="as --dry-run, and exit 1 if something would change")
    add("--prune", action="store_true", help="delete boards of ours in the folder that code no longer has")
    add("--json", action="store_true", help="a JSON object a line, one for each object in Grafana")
    add("--folder", default=objects.FOLDER_UID, metavar="UID", help="uid of the folder (default burstwatch)")
    add("--folder-title", default=objects.FOLDER_TITLE, metavar="TEXT", help="its title (default Burstwatch)")
    add("--datasource-url", metavar="URL", help="create or update a data source: the Prometheus as Grafana reaches it")
    add("--datasource-uid", default=objects.DATA_SOURCE_UID, metavar="UID", help="its uid (default prometheus)")
    add("--rules", action="store_true", help="alert rules that Grafana evaluates itself")
    add("--contact-point-webhook", metavar="URL", help="a contact point that posts alerts there")
    add("--runbook-url", default=RUNBOOK_URL, metavar="URL", help=f"the runbook alerts link to (default {RUNBOOK_URL})")


def main(argv: list[str], more: Verbs | None = None) -> int:
    """Run one verb, or one of ``more`` from elsewhere.

    Returns 0, or 1 where `generate --check` found stale files or a push leaves Grafana not as wanted.
    """
    more = more or {}
    if argv and argv[0] in more:
        return more[argv[0]][1](argv[1:])
    args = _parser(more).parse_args(argv)
    if args.verb == "push":
        return _push(args)
    if args.verb == "rules":
        print(_rules(args), end="")
        return 0
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


def _rules(args: argparse.Namespace) -> str:
    from dashboards import rules  # noqa: PLC0415 - the other verbs do without

    render = {
        "prometheus": rules.rules_yaml,
        "grafana": rules.grafana_alerting_yaml,
        "kubernetes": rules.prometheus_rule_manifest,
    }[args.format]
    return render(
        Links(
            grafana_url=checked_url(args.grafana_url, "--grafana-url"),
            runbook_url=checked_url(args.runbook_url, "--runbook-url"),
        )
    )


def _push(args: argparse.Namespace) -> int:
    from dashboards.push import push, require_data_source  # noqa: PLC0415 - generate does without

    wanted = _wanted(args)
    write = not (args.dry_run or args.check)
    grafana = connection(args, os.environ)
    if args.rules and args.datasource_url is None:
        require_data_source(grafana, args.datasource_uid)
    if not args.json:
        print(f"Grafana {grafana.version} at {grafana.url}")
    outcomes = []
    for outcome in push(grafana, wanted, write=write, prune=args.prune):
        outcomes.append(outcome)
        said = [json.dumps(as_json(outcome, written=write))] if args.json else lines(outcome, written=write)
        print(*said, sep="\n", flush=True)
    if not args.json:
        print(summary(outcomes, written=write))
        if write:
            print(f"look at {grafana.url}/dashboards/f/{args.folder}")
    drift = args.check and any(outcome.writes for outcome in outcomes)
    return 1 if drift or any(outcome.missed for outcome in outcomes) else 0


def _wanted(args: argparse.Namespace) -> list[objects.Wanted]:
    """Return the objects asked for, in the order they need each other."""
    wanted = [objects.folder(args.folder, args.folder_title)]
    if args.datasource_url is not None:
        wanted.append(objects.data_source(checked_url(args.datasource_url, "--datasource-url"), args.datasource_uid))
    wanted += [objects.board(board, args.folder) for board in BOARDS.values()]
    receiver = None
    if args.contact_point_webhook is not None:
        # A webhook may have a query, and a password: only that it is one is looked at.
        if not args.contact_point_webhook.startswith(("http://", "https://")):
            raise OperatorError("--contact-point-webhook: give an address that begins with http:// or https://")
        wanted.append(objects.contact_point(args.contact_point_webhook))
        receiver = objects.CONTACT_POINT_NAME
    if args.rules:
        from dashboards.grafana.rule_groups import rule_groups  # noqa: PLC0415 - boards do without

        links = Links(
            grafana_url=checked_url(args.url, "--url"), runbook_url=checked_url(args.runbook_url, "--runbook-url")
        )
        wanted += rule_groups(links, folder_uid=args.folder, data_source_uid=args.datasource_uid, receiver=receiver)
    return wanted
