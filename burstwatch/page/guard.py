"""What keeps other people's pages and names away from this one: headers, and which hosts are answered. Pure.

The page shows operational numbers without a login, so it listens on loopback unless told otherwise. A web site the
operator visits could still reach loopback through a name of its own (DNS rebinding); requests for foreign names are
therefore refused.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

# No inline script or style, nothing from elsewhere, not inside anybody's frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


# As names in networks go, underscores among them: Compose and Kubernetes make such.
_NAME = re.compile(r"(?!.{254})[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")


def host_name(text: str) -> str:
    """Return a host's name or address in lower case. Raises ``ValueError`` for what no ``Host`` header could say.

    >>> host_name("Watch.example")
    'watch.example'
    """
    name = text.lower()
    if not _NAME.fullmatch(name):
        ip_address(name)  # an IPv6 address has no such letters
    return name


def is_loopback(host: str) -> bool:
    """Return whether ``host``, an address or a name to listen on, is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_own_host(header: str | None, bound: str, names: Collection[str] = ()) -> bool:
    """Return whether a request's ``Host`` is a name of this server: of loopback, or one of ``names``.

    Beyond loopback any name is, unless ``names`` are given.

    >>> is_own_host("localhost:8321", "127.0.0.1"), is_own_host("evil.example:8321", "127.0.0.1")
    (True, False)
    """
    if not names and not is_loopback(bound):
        return True
    name = (header or "").strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    return name == bound or name in names or is_loopback(name)
