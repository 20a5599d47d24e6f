"""The dashboards command: stale files by name, boards into a stand-in for Grafana, mistakes in one line."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from burstwatch.cli import main as burstwatch
from dashboards import generate
from dashboards.boards import BOARDS


class StandIn(ThreadingHTTPServer):
    """Folders and boards by uid, with Grafana's paths and status codes; proves our calls, not Grafana."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders: dict[str, str] = {}
        self.boards: dict[str, dict] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self):
        uid = self.path.rpartition("/")[2]
        if self.path.startswith("/api/folders/") and uid in self.server.folders:
            self._answer(200, {"uid": uid, "title": self.server.folders[uid]})
        else:
            self._answer(404, {"message": "folder not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer s3cret":
            self._answer(401, {"message": "Invalid API key"})
        elif self.path == "/api/folders":
            self.server.folders[body["uid"]] = body["title"]
            self._answer(200, body)
        elif self.path == "/api/dashboards/db" and body["folderUid"] in self.server.folders and body["overwrite"]:
            uid = body["dashboard"]["uid"]
            self.server.boards[uid] = body["dashboard"]
            self._answer(200, {"uid": uid, "url": f"/d/{uid}/x", "status": "success"})
        else:
            self._answer(412, {"message": "refused"})

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def grafana() -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path


def test_boards_are_pushed_into_their_folder_and_pushing_again_is_safe(grafana: StandIn, token: Path, capsys):
    pytest.importorskip("grafana_client")
    for _ in range(2):
        assert burstwatch(["dashboards", "push", "--url", grafana.url, "--token-file", str(token)]) == 0
    assert grafana.folders == {"burstwatch": "Burstwatch"}
    assert grafana.boards == {board["uid"]: board for board in BOARDS.values()}
    assert f"{grafana.url}/d/burstwatch-overview/x" in capsys.readouterr().out


def test_a_wrong_token_is_one_line_that_says_what_it_must_allow(grafana: StandIn, token: Path, capsys):
    pytest.importorskip("grafana_client")
    token.write_text("wrong")
    assert burstwatch(["dashboards", "push", "--url", grafana.url, "--token-file", str(token)]) == 2
    err = capsys.readouterr().err
    assert "401" in err
    assert "the right to edit dashboards" in err
    assert "wrong" not in err.replace("wrong:", "")


def test_no_grafana_there_is_one_line(token: Path, capsys):
    pytest.importorskip("grafana_client")
    assert burstwatch(["dashboards", "push", "--url", "http://127.0.0.1:1", "--token-file", str(token)]) == 2
    assert "no Grafana answers at http://127.0.0.1:1" in capsys.readouterr().err


def test_without_the_extra_push_says_how_to_get_it(token: Path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "grafana_client", None)
    assert burstwatch(["dashboards", "push", "--url", "http://127.0.0.1:1", "--token-file", str(token)]) == 2
    assert "pip install 'burstwatch[grafana]'" in capsys.readouterr().err


def test_a_missing_or_empty_token_file_is_the_operators_fault(tmp_path: Path, capsys):
    for path, word in ((tmp_path / "none", "cannot read"), (tmp_path / "empty", "is empty")):
        if word == "is empty":
            path.write_text("\n")
        assert burstwatch(["dashboards", "push", "--url", "http://127.0.0.1:1", "--token-file", str(path)]) == 2
        assert word in capsys.readouterr().err


def test_check_names_what_is_stale_and_exits_1(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(generate, "checkout", lambda: tmp_path)
    assert burstwatch(["dashboards", "generate", "--check"]) == 1
    assert "stale: METRICS.md" in capsys.readouterr().err
    assert burstwatch(["dashboards", "generate"]) == 0
    assert "wrote METRICS.md" in capsys.readouterr().out
    assert burstwatch(["dashboards", "generate", "--check"]) == 0


def test_generate_outside_a_checkout_says_so(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(generate, "__file__", str(tmp_path / "site-packages" / "dashboards" / "generate.py"))
    assert burstwatch(["dashboards", "generate"]) == 2
    assert "needs a source checkout" in capsys.readouterr().err
