"""A real Prometheus over numbers of our own, on a port of its own choosing, for as long as a with block lasts."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LISTENING = re.compile(r'msg="?Listening on"? address=(127\.0\.0\.1:\d+)')


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Yield the address of a Prometheus that keeps its data in ``folder`` and scrapes nothing."""
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    log = folder / "prometheus.log"
    arguments = ("--web.listen-address=127.0.0.1:0", f"--storage.tsdb.path={folder / 'tsdb'}")
    with log.open("wb") as output:
        process = subprocess.Popen(["prometheus", f"--config.file={config}", *arguments], stderr=output)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(300):
        found = LISTENING.search(log.read_text())
        if found and _ready(f"http://{found[1]}"):
            return f"http://{found[1]}"
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
            return True
    except OSError:
        return False


def backfill(folder: Path, openmetrics: str) -> None:
    """Write the samples into the data of a Prometheus that is not running."""
    source = folder / "samples.om"
    source.write_text(openmetrics)
    (folder / "tsdb").mkdir(exist_ok=True)
    _run("promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "tsdb"), "-q")


def backfill_rules(folder: Path, rules: Path, *, start: float, end: float) -> None:
    """Evaluate the recording rules over what is there already, as Prometheus would have done at the time."""
    blocks = folder / "rule-blocks"
    with prometheus(folder) as url:
        span = (f"--start={start:.0f}", f"--end={end:.0f}", "--eval-interval=15s", f"--output-dir={blocks}")
        _run("promtool", "tsdb", "create-blocks-from", "rules", *span, f"--url={url}", str(rules))
    for block in blocks.iterdir() if blocks.exists() else ():
        shutil.move(block, folder / "tsdb" / block.name)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def ask(url: str, expr: str, at: float) -> list[dict]:
    """What an instant query answers."""
    query = urllib.parse.urlencode({"query": expr, "time": at})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=20) as answer:
        return json.load(answer)["data"]["result"]
