"""The page that draws a board with Grafana's components: built, served beside a Prometheus, opened in Chromium."""

import contextlib
import shutil
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import BrowserContext, ConsoleMessage, sync_playwright

from tests.grafana.node import BOARDS, HERE, INSTALL, ROOT, run_program

PAGE = INSTALL / "render"
PICTURES = ROOT / "build" / "pictures"
ICONS = INSTALL / "node_modules" / "@grafana" / "ui" / "dist" / "public"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
WIDE, TALL = 1600, 4200  # pixels; tables draw only what would be on the screen
# Quiet, and off the network: Chromium otherwise looks for updates and its maker's services at every start.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def build_page() -> None:
    """Check the page's types and bundle it, where the libraries are: both look for them upwards from the source."""
    shutil.rmtree(PAGE, ignore_errors=True)
    shutil.copytree(HERE / "render", PAGE)
    typed = run_program("tsc", "--project", str(PAGE))
    assert typed.returncode == 0, typed.stdout
    bundled = run_program(
        "esbuild",
        str(PAGE / "page.tsx"),
        "--bundle",
        "--minify",
        f"--outfile={PAGE / 'page.js'}",
        "--loader:.ttf=empty",
        '--define:process.env.NODE_ENV="production"',
        "--log-level=warning",
    )
    assert bundled.returncode == 0, bundled.stderr


class Handler(BaseHTTPRequestHandler):
    """The page, the boards, Grafana's icons, and Prometheus' API as if it were of the same origin."""

    prometheus: ClassVar[str]
    boards: ClassVar[dict[str, bytes]]

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/api/v1/"):
            self._forward()
        elif url.path.startswith("/boards/"):
            self._answer(200, "application/json", self.boards[Path(url.path).stem])
        elif url.path.startswith("/public/build/"):
            self._send(ICONS / url.path.removeprefix("/public/build/"), "image/svg+xml")
        else:
            name = "index.html" if url.path == "/" else url.path.lstrip("/")
            self._send(PAGE / name, TYPES.get(Path(name).suffix, ""))

    def _forward(self) -> None:
        try:
            with urllib.request.urlopen(self.prometheus + self.path, timeout=20) as answer:
                self._answer(200, "application/json", answer.read())
        except urllib.error.HTTPError as error:
            self._answer(200, "application/json", error.read())  # the page tells what Prometheus said of the query

    def _send(self, path: Path, kind: str) -> None:
        if path.is_file():
            self._answer(200, kind, path.read_bytes())
        else:
            self._answer(204 if path.name == "favicon.ico" else 404, "text/plain", b"")

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "max-age=600" if kind == TYPES[".js"] else "no-store")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the page was closed before its last icon came
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(prometheus: str, boards: dict[str, bytes] | None = None) -> Iterator[str]:
    """Yield the page's address; ``boards`` (name to JSON) are the committed ones unless given."""
    boards = {path.stem: path.read_bytes() for path in BOARDS} if boards is None else boards
    handler = type("BoardHandler", (Handler,), {"prometheus": prometheus, "boards": boards})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chromium() -> Iterator[BrowserContext]:
    """Yield the distribution's Chromium, driven by Playwright; its pages share a cache."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser.new_context(viewport={"width": WIDE, "height": TALL})
        browser.close()


def draw(browser: BrowserContext, address: str, picture: Path | None, **asked: Any) -> tuple[list[dict], list[str]]:
    """Open one board; return what was drawn and everything the console complained of."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.extend(_complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/?{urllib.parse.urlencode(asked | {'width': WIDE})}")
    page.wait_for_function("window.report !== undefined", timeout=60_000)
    report = page.evaluate("window.report")
    if picture:
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.locator("main").screenshot(path=picture)
    page.close()
    return report, complaints


def _complaint(message: ConsoleMessage) -> list[str]:
    # Grafana measures some texts in its own font, which is not in its libraries; the browser's is taken instead.
    if message.location["url"].endswith(".woff2"):
        return []
    return [f"{message.text} {message.location['url']}"] if message.type in {"error", "warning"} else []
