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
    """Due to bytes given to the socket. The timer beside it runs at the replay's rate and does nothing else.

    ``--no-priority`` is what a replay gets where the system grants no priority (containers without CAP_SYS_NICE):
    then it queues for a core behind whatever else runs, as the timer does.
    """
    table = Table(
        "replay",
        f"{ROWS:,} streamed requests, Poisson at {RATE:.0f}/s, simulated engine beside it; ms behind schedule",
    )
    trace = write_trace(tmp_path / "trace.csv", ROWS, rate=RATE, request_tokens=20, response_tokens=8)
    command = [sys.executable, "-m", "burstwatch", "engine", "--port", "0"]
    with (tmp_path / "engine.log").open("wb") as errors:
        engine = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        url = json.loads(engine.stdout.readline())["url"]
        replay = [sys.executable, "-m", "burstwatch", "replay", str(trace), "--url", f"{url}/v1"]
        for options in ([], ["--no-priority"], ["--sessions", "open"]):
            _measure(table, [*replay, *options], tmp_path / "summary.json", " ".join(options))
    finally:
        engine.terminate()
        engine.wait(20)
        engine.stdout.close()
    table.finish()


def _measure(table: Table, command: list[str], out, options: str) -> None:
    done, timer = asyncio.run(_beside_a_timer([*command, "--json", str(out)]))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert (found["sent"], found["ok"]) == (ROWS, ROWS), found
    lag = found["send_lag_s"]
    figures = {f"{name}_ms": lag[name] * 1e3 for name in ("p50", "p99", "max")}
    beside = _quantiles(timer)
    name = f"burstwatch replay {options}".strip()
    ratio = figures["p99_ms"] / beside["p99_ms"]
    table.add(name, n=found["sent"], **figures, p99_to_timer=ratio, priority=found["priority"])
    table.add("  bare asyncio timer meanwhile", n=len(timer), **beside)


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


def _quantiles(late: list[float]) -> dict[str, float]:
    p50, p99 = (late[int(len(late) * share)] for share in (0.5, 0.99))
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": late[-1]}
