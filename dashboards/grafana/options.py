"""The options of every verb that talks to a Grafana, and the connection they describe."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from collector.schema.errors import OperatorError
from dashboards.grafana.client import Credential, Grafana, connect

SERVICE_ACCOUNT = """\
a token: in Grafana, Administration > Users and access > Service accounts > Add service account (role Editor is
enough for folder and boards; data source, rules and contact point take Admin), then Add service account token.
Save it to a file only you can read (umask 077), or put it in the environment variable GRAFANA_TOKEN. By hand:
  curl -u admin -H 'Content-Type: application/json' -d '{"name":"burstwatch","role":"Editor"}' URL/api/serviceaccounts
  curl -u admin -H 'Content-Type: application/json' -d '{"name":"push"}' URL/api/serviceaccounts/ID/tokens"""


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add --url and what proves who we are."""
    add = parser.add_argument
    add("--url", required=True, help="the Grafana, as http://HOST:3000, with the path if it is under one")
    add("--token-file", type=Path, metavar="FILE", help="a file with a service account token (or set GRAFANA_TOKEN)")
    add("--user", metavar="NAME", help="instead of a token: a user, with --password-file")
    add("--password-file", type=Path, metavar="FILE", help="a file with that user's password")
    add("--ca-file", type=Path, metavar="FILE", help="PEM of the authority that signed Grafana's certificate")
    add("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for an answer (default 10)")


def connection(args: argparse.Namespace, environ: Mapping[str, str]) -> Grafana:
    """Return the Grafana the options name. Raises ``OperatorError`` for what is missing, wrong or not there."""
    url = checked_url(args.url, "--url")
    credential = _credential(args, environ)
    if not 0 < args.timeout <= 300:
        raise OperatorError(f"--timeout {args.timeout:g}: give seconds, more than 0 and at most 300")
    if args.ca_file is not None and not args.ca_file.is_file():
        raise OperatorError(f"--ca-file {args.ca_file}: there is no such file")
    ca_file = None if args.ca_file is None else str(args.ca_file)
    return connect(url, credential, timeout_s=args.timeout, ca_file=ca_file)


def checked_url(url: str, option: str) -> str:
    """Return ``url`` without a slash at its end.

    Raises ``OperatorError`` unless it is http(s) with a host and without password, query or fragment.
    """
    authority = re.split("[/?#]", url.partition("://")[2] or url, maxsplit=1)[0]
    if "@" in authority:  # looked for first: every other line says the address
        raise OperatorError(
            f"{option}: leave user and password out of the address; --user and --password-file take them"
        )
    shown = url.partition("?")[0]  # a query may be a secret, too
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise OperatorError(f"{option} {shown}: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise OperatorError(f"{option} {shown}: give an address such as http://HOST:3000")
    if parts.query or parts.fragment:
        raise OperatorError(f"{option} {shown}: give it without what follows the ? or #")
    return url.rstrip("/")


def _credential(args: argparse.Namespace, environ: Mapping[str, str]) -> Credential:
    if args.token_file is not None and args.user is not None:
        raise OperatorError("--token-file and --user: give one of them")
    if args.user is not None:
        if args.password_file is None:
            raise OperatorError("--user needs --password-file")
        return args.user, _secret(args.password_file, "--password-file")
    if args.password_file is not None:
        raise OperatorError("--password-file needs --user")
    if args.token_file is not None:
        return _token(_secret(args.token_file, "--token-file"), f"--token-file {args.token_file}")
    if token := environ.get("GRAFANA_TOKEN", "").strip():
        return _token(_printable(token, "GRAFANA_TOKEN"), "GRAFANA_TOKEN")
    raise OperatorError("who are you? give --token-file, set GRAFANA_TOKEN, or give --user and --password-file")


def _secret(path: Path, option: str) -> str:
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise OperatorError(f"cannot read {option} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{option} {path} is no text") from None
    if not secret:
        raise OperatorError(f"{option} {path} is empty")
    return _printable(secret, f"{option} {path}")


def _token(secret: str, where: str) -> str:
    if not secret.isascii() or " " in secret:
        raise OperatorError(f"{where}: that is no token; one looks like glsa_...")
    return secret


def _printable(secret: str, where: str) -> str:
    # What is not one line cannot be a header; the error of the HTTP library would print the secret.
    if not secret.isprintable():
        raise OperatorError(f"{where}: give the secret alone, on one line")
    return secret
