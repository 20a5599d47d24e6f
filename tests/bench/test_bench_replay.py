"""Replay on schedule: how late requests leave at 200 requests/s, beside the machine's own timer."""

import asyncio
import json
import random
import subprocess
import sys

import pytest

from tests.bench.tables import Table
from tests.bench.traces import write_trace

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

RATE, SECONDS = 200.0, 10
ROWS = int(RATE * SECONDS)


def test_replay_send_lag(tmp_path):
    table = Table(
        "replay",
        f"{ROWS:,} streamed requests, Poisson at {RATE:.0f}/s, simulated engine beside it; ms behind schedule",
    )
    _add_timer(table, "bare asyncio timer before, same rate", asyncio.run(_timer_lag(3)))
    trace = write_trace(tmp_path / "trace.csv", ROWS, rate=RATE, request_tokens=20, response_tokens=8)
    command = [sys.executable, "-m", "burstwatch", "engine", "--port", "0"]
    with (tmp_path / "engine.log").open("wb") as errors:
        engine = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        url = json.loads(engine.stdout.readline())["url"]
        out = tmp_path / "summary.json"
        command = [sys.executable, "-m", "burstwatch", "replay", str(trace), "--url", f"{url}/v1", "--json", str(out)]
        done, timer = asyncio.run(_beside_a_timer(command))
        assert done.returncode == 0, done.stderr[-2000:]
    finally:
        engine.terminate()
        engine.wait(20)
        engine.stdout.close()
    found = json.loads(out.read_text())
    assert (found["sent"], found["ok"]) == (ROWS, ROWS), found
    lag = found["send_lag_s"]
    figures = {f"{name}_ms": lag[name] * 1e3 for name in ("p50", "p99", "max")}
    _add_timer(table, "bare asyncio timer during the replay", timer)
    table.add("burstwatch replay", n=found["sent"], **figures, rate_per_s=found["rate_per_s"])
    table.finish()


async def _beside_a_timer(command: list[str]):
    """Run the command; return it and how late a timer in this process was meanwhile: two cores, three processes."""
    run = asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=False)
    return await asyncio.gather(run, _timer_lag(SECONDS))


async def _timer_lag(seconds: int) -> list[float]:
    """Milliseconds by which a bare timer is late at the replay's rate, sorted: what the machine itself adds."""
    rng, loop = random.Random(2), asyncio.get_running_loop()
    at, late = loop.time(), []
    for _ in range(int(RATE * seconds)):
        at += rng.expovariate(RATE)
        await asyncio.sleep(at - loop.time())
        late.append(max(0.0, loop.time() - at) * 1e3)
    return sorted(late)


def _add_timer(table: Table, what: str, late: list[float]) -> None:
    p50, p99 = (late[int(len(late) * share)] for share in (0.5, 0.99))
    table.add(what, n=len(late), p50_ms=p50, p99_ms=p99, max_ms=late[-1])
