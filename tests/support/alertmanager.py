"""A real Alertmanager with our file, on a free loopback port."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

FILE = Path(__file__).parents[2] / "deploy/alertmanager/alertmanager.yml"


class Alertmanager:
    """Runs while the context is open. Notifications go to the file's own addresses, where nobody listens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        self._process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={FILE}", f"--storage.path={self._folder}",
             "--cluster.listen-address=", f"--web.listen-address={address}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            self.until(lambda: self._open("/-/ready") is not None)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def until(self, done: Callable[[], bool]) -> None:
        """Wait until ``done``; fails after half a minute, or if the server is gone."""
        end = time.monotonic() + 30
        while not done():
            assert time.monotonic() < end
            assert self._process.poll() is None
            time.sleep(0.05)

    def fire(self, alerts: list[dict[str, str]]) -> None:
        """Fire alerts with these labels."""
        assert self._open("/api/v2/alerts", [{"labels": labels} for labels in alerts]) is not None

    def alerts(self) -> list[dict]:
        """All alerts there are, with what inhibits or silences each."""
        return json.loads(self._open("/api/v2/alerts"))

    def amtool(self, *args: str) -> None:
        """Run amtool against this server; fails with its words if it does."""
        command = ["amtool", f"--alertmanager.url={self.url}", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _open(self, path: str, body: list | None = None) -> bytes | None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()
        return None
