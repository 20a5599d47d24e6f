"""A running Grafana, asked through grafana-client: the only file that knows it and the HTTP library under it.

Here every trouble becomes one line for the operator. What grafana-client 5.1 lets through and this file does not:
``niquests`` errors (nobody there, certificates), pages of HTML instead of JSON, and redirects, which would turn
a POST into a GET and lose what was sent.
"""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from collector.schema.errors import OperatorError

Credential = str | tuple[str, str]  # a service account's token, or user and password

NEEDED = (10, 4)  # the boards' schemaVersion 39 came with Grafana 10.4
TRIES = 3
PAUSES_S = (0.5, 2.0)
_INSTALL = "URLLIB3_NO_OVERRIDE=1 pip install --no-binary urllib3-future 'burstwatch[grafana]' urllib3"


class RefusedError(OperatorError):
    """Grafana said no. ``status`` is the HTTP status, ``answer`` Grafana's own words."""

    def __init__(self, line: str, status: int, answer: str) -> None:
        super().__init__(line)
        self.status = status
        self.answer = answer


class AwayError(OperatorError):
    """Grafana did not answer, or not as a Grafana that is well: the same call may work later."""


class Grafana:
    """A Grafana that was reached and is new enough. ``url`` is without a slash at the end; ``version`` as it says."""

    def __init__(self, api: Any, url: str, sleep: Callable[[float], None]) -> None:  # noqa: ANN401 - untyped upstream
        self._api = api
        self._sleep = sleep
        self.url = url
        self.version = "unknown"

    def ask(
        self,
        doing: str,
        call: Callable[[Any], Any],
        *,
        right: str,
        absent: bool = False,
        again: bool = True,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return what Grafana answers to ``call(api)``; None where it has no such thing and ``absent`` allows that.

        ``doing`` names the act for error lines ("creating folder x"), ``right`` the permission it takes. ``again``:
        the call may be repeated; 5xx, 429 and timeouts then are, at most three times in all.

        Raises ``RefusedError`` for what asking again does not mend, ``AwayError`` for what it may.
        """
        for pause_s in (*PAUSES_S[: TRIES - 1], None):
            try:
                return self._once(doing, call, right, absent=absent)
            except _PassingError as trouble:
                if pause_s is None or not again:
                    raise AwayError(str(trouble)) from None
                self._sleep(pause_s)
        raise AssertionError  # the loop returns or raises

    def _once(self, doing: str, call: Callable[[Any], Any], right: str, *, absent: bool) -> Any:  # noqa: ANN401
        import niquests  # noqa: PLC0415 - an extra, and the HTTP library whose errors grafana-client lets through
        from grafana_client.client import GrafanaException  # noqa: PLC0415 - an extra

        try:
            answer = call(self._api)
        except GrafanaException as error:
            status = int(error.status_code or 0)
            if status == 404 and absent:
                return None
            raise self._refusal(doing, status, _words(error), right) from None
        except niquests.exceptions.JSONDecodeError:
            raise AwayError(self._not_json(doing)) from None
        except niquests.exceptions.TooManyRedirects as error:
            raise RefusedError(self._redirect(error), 302, "redirect") from None
        except niquests.exceptions.SSLError as error:
            raise AwayError(self._no_tls(str(error))) from None
        except OSError as error:
            raise AwayError(
                f"no Grafana answers at {self.url} ({type(error).__name__}); start it or correct --url"
            ) from None
        if isinstance(answer, str) and answer:
            raise AwayError(self._not_json(doing))
        return answer

    def _refusal(self, doing: str, status: int, words: str, right: str) -> Exception:
        where = f"Grafana at {self.url}"
        if status == 0:
            return _PassingError(f"{where} did not answer in time, {doing}; try again, or raise --timeout")
        if status >= 500:
            return _PassingError(f"{where} is in trouble, {doing} ({status}: {words}); its log says more")
        if status == 429:
            return _PassingError(f"{where} is asked too often, {doing} (429: {words}); try again later")
        if status == 401:
            line = f"{where} does not accept the credentials (401: {words}): they are expired, or of another server"
        elif status == 403:
            line = f"{where} does not allow {doing} (403: {words}); the service account needs {right}"
        elif status == 404:
            line = f"{where} knows no such thing, {doing} (404: {words})"
        else:
            line = f"{where} refuses {doing} ({status}: {words})"
        return RefusedError(line, status, words)

    def _not_json(self, doing: str) -> str:
        return (
            f"{self.url} answered {doing} with a page instead of JSON: a proxy or a login page stands before Grafana, "
            "or Grafana is under a path that --url must name"
        )

    def _no_tls(self, error: str) -> str:
        found = re.search(r"\[SSL: (\w+)\]", error)
        reason = found[1] if found else _short(error)
        if reason == "CERTIFICATE_VERIFY_FAILED":
            return f"the TLS certificate of {self.url} is not trusted; --ca-file names the authority that signed it"
        return f"no TLS with {self.url} ({reason}); if it speaks plain HTTP, --url begins with http://"

    def _redirect(self, error: Any) -> str:  # noqa: ANN401 - an exception of an untyped library
        headers = getattr(error.response, "headers", None) or {}
        to = headers.get("Location") or "another address"
        return f"{self.url} sends callers on to {to}; give --url the address Grafana itself answers at"


class _PassingError(Exception):
    """A 5xx, a 429 or a timeout."""


def connect(
    url: str,
    credential: Credential,
    *,
    timeout_s: float = 10.0,
    ca_file: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Grafana:
    """Return the Grafana at ``url``, having asked for its version.

    Raises ``OperatorError`` if grafana-client is not installed, nobody answers, the credentials are wrong or
    Grafana is older than 10.4.
    """
    try:
        import grafana_client  # noqa: PLC0415 - an extra
    except ImportError:
        raise OperatorError(f"this needs the Grafana client, which is an extra: {_INSTALL}") from None
    url = url.rstrip("/")
    api = grafana_client.GrafanaApi.from_url(url + "/", credential=credential, timeout=timeout_s)
    api.client.s.max_redirects = 0
    if ca_file is not None:
        api.client.verify = ca_file
    grafana = Grafana(api, url, sleep)
    grafana.version = _version(grafana)
    return grafana


def _version(grafana: Grafana) -> str:
    try:
        # What health.check() asks, which takes a page for an object.
        said = grafana.ask("its version", lambda api: api.client.GET("/frontend/settings"), right="a role")
    except RefusedError as refused:
        if refused.status != 404:
            raise
        path = urlsplit(grafana.url).path or "/"
        raise OperatorError(
            f"no Grafana API at {grafana.url} (404 under {path}); if Grafana is under another path, --url must name it"
        ) from None
    if not isinstance(said, dict) or not isinstance(said.get("buildInfo"), dict):
        raise OperatorError(f"what answers at {grafana.url} is no Grafana; correct --url")
    version = said["buildInfo"].get("version")
    found = re.match(r"(\d+)\.(\d+)", str(version or ""))
    if found is None:
        return "unknown"  # an instance may hide its version
    if (int(found[1]), int(found[2])) < NEEDED:
        needed = ".".join(map(str, NEEDED))
        raise OperatorError(
            f"Grafana at {grafana.url} is version {version}; these boards and rules need {needed} or newer"
        )
    return str(version)


def _words(error: Exception) -> str:
    """Return what Grafana said, on one line and without what grafana-client puts before it."""
    answer = getattr(error, "response", None)
    message = answer.get("message") if isinstance(answer, dict) else None
    text = str(message or getattr(error, "message", "") or error)
    if "<html" in text.lower() or "<!doctype" in text.lower():
        return "a page instead of JSON"
    return _short(text) or "no reason given"


def _short(text: object) -> str:
    return " ".join(str(text).split())[:200]
