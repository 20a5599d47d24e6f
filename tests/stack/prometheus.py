"""A real Prometheus and a real Alertmanager, asked over HTTP; and the webhook that hears of alerts."""

import json
import math
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Prometheus:
    """The HTTP API at ``url``."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the "data" of an answer, or fail with Prometheus' own words."""
        query = urllib.parse.urlencode(parameters)
        request = f"{self.url}/api/v1/{path}?{query}"
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def instant(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query, now by default."""
        return self.ask("query", query=expr, **({} if at is None else {"time": f"{at:.3f}"}))["result"]

    def times_of_ones(self, selector: str, start: float, end: float) -> list[float]:
        """Return when the raw samples were taken that a selector finds from ``start`` to ``end`` and that are 1."""
        found = self.instant(f"{selector}[{math.ceil(end - start)}s]", at=end)
        return sorted(at for one in found for at, value in one["values"] if float(value) == 1)

    def points(self, expr: str, start: float, *, instant: bool, step_s: int = 5) -> int:
        """Return how many finite values a panel's query gives from ``start`` to now."""
        if instant:
            return sum(math.isfinite(float(one["value"][1])) for one in self.instant(expr))
        span = {"start": f"{start:.0f}", "end": f"{time.time():.0f}", "step": f"{step_s}s"}
        found = self.ask("query_range", query=expr, **span)["result"]
        return sum(math.isfinite(float(value)) for one in found for _, value in one["values"])


def alerts_known(alertmanager: str) -> dict[str, str]:
    """Return "active" or "suppressed" by the name of every alert an Alertmanager has now."""
    with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts", timeout=10) as answer:
        return {one["labels"]["alertname"]: one["status"]["state"] for one in json.load(answer)}


@dataclass
class Notification:
    """What Alertmanager told a receiver, and when (Unix seconds)."""

    at: float
    receiver: str
    alerts: list[dict[str, Any]]


@dataclass
class Webhook:
    """A server that writes down what Alertmanager tells it."""

    heard: list[Notification] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.append(Notification(time.time(), self.path.strip("/"), body["alerts"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def first(self, alertname: str, status: str) -> tuple[float, dict[str, Any]] | None:
        """Return when an alert first came in that status, and the alert."""
        for notification in list(self.heard):
            for alert in notification.alerts:
                if (alert["labels"]["alertname"], alert["status"]) == (alertname, status):
                    return notification.at, alert
        return None
