"""A stand-in for the parts of Grafana's HTTP API that push and annotate use: stateful, and stricter than Grafana.

It proves our calls, not Grafana. Status codes, words and locks were taken from Grafana's published source (10.4 to
13); where Grafana lets unknown keys pass this refuses them, so that a misspelt one is found. Nothing here shows that
a real server draws what it accepted: `pytest -m grafana` asks one.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.fake_grafana_state import Answer, GrafanaState, Refusal

TOKENS = {"s3cret": "Admin", "editor": "Editor", "viewer": "Viewer"}
PASSWORDS = {("admin", "pa:ss"): "Admin", ("admin", "пароль"): "Admin"}
_ROLES = ("Viewer", "Editor", "Admin")


class FakeGrafana(GrafanaState, ThreadingHTTPServer):
    """Serves at ``url``. ``writes`` lists every successful POST, PUT, PATCH and DELETE as "METHOD path"."""

    daemon_threads = True

    def __init__(self) -> None:
        GrafanaState.__init__(self)
        ThreadingHTTPServer.__init__(self, ("127.0.0.1", 0), _Handler)
        self.prefix = ""
        self.writes: list[str] = []
        self.asked: list[str] = []
        self.failing: list[tuple[str, Callable]] = []  # (part of "METHOD path", what to do instead)
        self.lock = threading.Lock()
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.prefix}"

    def fail(
        self, where: str, status: int, times: int = 1, *, message: str = "database is locked", done: bool = False
    ) -> None:
        """Answer the next ``times`` requests whose "METHOD path" contains ``where`` with ``status``.

        ``done``: each is carried out before that, as by a server behind a proxy that lost patience.
        """

        def instead(handler: "_Handler") -> None:
            if done:
                handler.server.carry_out(handler.command, handler.path, handler.body())
            handler.answer(status, {"message": message})

        self.failing += [(where, instead)] * times

    def stall(self, where: str, times: int) -> None:
        """Leave the next ``times`` requests without an answer while this server lives."""
        self.failing += [(where, lambda _: self.ending.wait())] * times

    def carry_out(self, method: str, path: str, body: dict | None) -> Answer:
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        for route, (_, _, call) in ROUTES.items():
            wanted, _, pattern = route.partition(" ")
            if wanted == method and (found := re.fullmatch(pattern, parts.path)):
                with self.lock:
                    answer = call(self, [unquote(group) for group in found.groups()], query, body)
                    if method != "GET":
                        self.writes.append(f"{method} {parts.path}")
                    return answer
        return 404, {"message": "Not found"}

    def needs(self, method: str, path: str) -> tuple[str, str]:
        """Return (least role, permission) of a request."""
        for route, (role, right, _) in ROUTES.items():
            wanted, _, pattern = route.partition(" ")
            if wanted == method and re.fullmatch(pattern, urlsplit(path).path):
                return role, right
        return "Viewer", ""


_GROUP = "/api/v1/provisioning/folder/([^/]+)/rule-groups/([^/]+)"
_POINTS = "/api/v1/provisioning/contact-points"
ROUTES: dict[str, tuple[str, str, Callable]] = {
    "GET /api/frontend/settings": ("Viewer", "", GrafanaState.settings),
    "GET /api/folders/([^/]+)": ("Viewer", "folders:read", GrafanaState.get_folder),
    "POST /api/folders": ("Editor", "folders:create", GrafanaState.post_folder),
    "PUT /api/folders/([^/]+)": ("Editor", "folders:write", GrafanaState.put_folder),
    "DELETE /api/folders/([^/]+)": ("Editor", "folders:delete", GrafanaState.delete_folder),
    "GET /api/dashboards/uid/([^/]+)": ("Viewer", "dashboards:read", GrafanaState.get_board),
    "GET /api/dashboards/uid/([^/]+)/versions": ("Editor", "dashboards:write", GrafanaState.get_versions),
    "POST /api/dashboards/db": ("Editor", "dashboards:create", GrafanaState.post_board),
    "DELETE /api/dashboards/uid/([^/]+)": ("Editor", "dashboards:delete", GrafanaState.delete_board),
    "GET /api/search": ("Viewer", "", GrafanaState.search),
    "GET /api/datasources": ("Admin", "datasources:read", GrafanaState.list_sources),
    "GET /api/datasources/uid/([^/]+)": ("Admin", "datasources:read", GrafanaState.get_source),
    "GET /api/datasources/uid/([^/]+)/health": ("Viewer", "datasources:query", GrafanaState.source_health),
    "POST /api/datasources": ("Admin", "datasources:create", GrafanaState.post_source),
    "PUT /api/datasources/uid/([^/]+)": ("Admin", "datasources:write", GrafanaState.put_source),
    "DELETE /api/datasources/uid/([^/]+)": ("Admin", "datasources:delete", GrafanaState.delete_source),
    "POST /api/ds/query": ("Viewer", "datasources:query", GrafanaState.query),
    f"GET {_GROUP}": ("Admin", "alert.provisioning:read", GrafanaState.get_group),
    f"PUT {_GROUP}": ("Admin", "alert.provisioning:write", GrafanaState.put_group),
    f"GET {_POINTS}": ("Admin", "alert.provisioning:read", GrafanaState.list_points),
    f"POST {_POINTS}": ("Admin", "alert.provisioning:write", GrafanaState.put_point),
    f"PUT {_POINTS}/([^/]+)": ("Admin", "alert.provisioning:write", GrafanaState.put_point),
    f"DELETE {_POINTS}/([^/]+)": ("Admin", "alert.provisioning:write", GrafanaState.delete_point),
    "DELETE /api/v1/provisioning/alert-rules/([^/]+)": ("Admin", "alert.provisioning:write", GrafanaState.delete_rule),
    "GET /api/annotations": ("Viewer", "annotations:read", GrafanaState.find_annotations),
    "POST /api/annotations": ("Editor", "annotations:create", GrafanaState.post_annotation),
    "PATCH /api/annotations/([0-9]+)": ("Editor", "annotations:write", GrafanaState.patch_annotation),
    "DELETE /api/annotations/([0-9]+)": ("Editor", "annotations:delete", GrafanaState.delete_annotation),
}


class _Handler(BaseHTTPRequestHandler):
    server: FakeGrafana

    def _handle(self) -> None:
        if not self.path.startswith(self.server.prefix + "/"):
            return self.answer(404, "<html>another application</html>", "text/html")
        self.path = self.path.removeprefix(self.server.prefix)
        asked = f"{self.command} {urlsplit(self.path).path}"
        self.server.asked.append(asked)
        trouble = next((entry for entry in self.server.failing if entry[0] in asked), None)
        if trouble:
            self.server.failing.remove(trouble)
            return trouble[1](self)
        role = self._role()
        if role is None:
            return self.answer(401, {"message": "Invalid API key", "messageId": "api-key.invalid"})
        least, right = self.server.needs(self.command, self.path)
        if _ROLES.index(role) < _ROLES.index(least):
            words = f"You'll need additional permissions to perform this action. Permissions needed: {right}"
            return self.answer(403, {"message": words, "title": "Access denied"})
        try:
            return self.answer(*self.server.carry_out(self.command, self.path, self.body()))
        except Refusal as refusal:
            return self.answer(*refusal.answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - as http.server calls them

    def _role(self) -> str | None:
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            user, _, password = base64.b64decode(secret).decode().partition(":")
            return PASSWORDS.get((user, password))
        return TOKENS.get(secret) if kind == "Bearer" else None

    def body(self) -> dict | None:
        length = int(self.headers.get("Content-Length") or 0)
        if length and self.command == "GET":
            raise Refusal(400, "a GET with a body")
        return json.loads(self.rfile.read(length)) if length else None

    def answer(self, status: int, body: object, kind: str = "application/json", **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_grafana() -> Iterator[FakeGrafana]:
    """Yield a running one; it ends with the block."""
    server = FakeGrafana()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
