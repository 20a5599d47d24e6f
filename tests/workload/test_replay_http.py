"""The replay against real servers: every request accounted for, failures by reason, clean stops, plain errors."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest
from aiohttp import web

from burstwatch.cli import main
from collector.schema.events import API_LOG, CONVERSATION_LOG, Outcome
from collector.schema.trace_rows import BURSTGPT_8, TraceRow, format_row
from tests.support.engine_server import engine
from workload.engine.scheduler import Pace as EnginePace
from workload.replay.client import Client
from workload.replay.measure import Result, Tally
from workload.replay.runner import Runner
from workload.replay.schedule import Pace, Shot, Skipped, shots


def rows(n, *, gap_s=0.005, request=20, response=10):
    return [
        TraceRow(
            submitted_us=round(i * gap_s * 1e6),
            session=f"s-{i}" if i % 3 == 0 else None,
            model="GPT-4" if i % 2 else "ChatGPT",
            request_tokens=request,
            response_tokens=response,
            log_type=CONVERSATION_LOG if i % 3 == 0 else API_LOG,
        )
        for i in range(n)
    ]


def trace_file(path, rows):
    lines = [",".join(BURSTGPT_8), *[",".join(format_row(row, BURSTGPT_8)) for row in rows]]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


async def replay(url, rows, *, timeout_s=20.0, stop_after_s=None, **pace):
    tally, stop = Tally(), asyncio.Event()
    async with Client(url, timeout_s=timeout_s) as client:
        if stop_after_s is not None:
            asyncio.get_running_loop().call_later(stop_after_s, stop.set)
        plan = shots(lambda: rows, Pace(fallback_model=client.models[0], **pace), Skipped())
        await Runner(client, tally, concurrency_max=500).play(plan, stop)
    return tally


def counts(tally):
    return tuple(tally.outcomes[outcome] for outcome in (Outcome.OK, Outcome.FAILED, Outcome.CANCELLED))


def test_every_request_reaches_the_engine_with_its_exact_sizes():
    async def story():
        async with engine(max_waiting=500) as server:
            tally = await replay(f"{server.url}/v1", rows(60))
            return tally, server._metrics.exposition().decode()

    tally, metrics = asyncio.run(story())
    assert (60, 0, 0) == counts(tally)
    assert (60, 0, 1200, 600) == (tally.sent, tally.in_flight, tally.request_tokens, tally.response_tokens)
    assert 'vllm:prompt_tokens_total{engine="0",model_name="tiny"} 1200.0' in metrics
    assert 'vllm:generation_tokens_total{engine="0",model_name="tiny"} 600.0' in metrics
    assert (60, 60, 60) == (tally.ttft.count, tally.latency.count, tally.send_lag.count)
    assert tally.ttft.quantile(0.5) <= tally.latency.quantile(0.5)


def test_refusals_and_overlong_prompts_are_failures_by_reason_and_nothing_is_lost():
    async def story():
        pace = EnginePace(decode_tokens_per_s=200.0)
        async with engine(max_running=2, max_waiting=2, max_model_len=100, pace=pace) as server:
            mixed = rows(30, gap_s=0.001) + rows(2, request=200)
            return await replay(f"{server.url}/v1", mixed)

    tally = asyncio.run(story())
    ok, failed, cancelled = counts(tally)
    assert (32, 0) == (ok + failed, cancelled)
    assert tally.failures["context_length"] == 2
    assert tally.failures["overloaded"] == failed - 2 > 0
    assert ok > 0
    assert tally.latency.count == ok


def test_a_stop_keeps_what_was_measured_and_cancels_the_rest(monkeypatch):
    monkeypatch.setattr("workload.replay.runner.DRAIN_S", 0.2)

    async def story():
        async with engine(pace=EnginePace(decode_tokens_per_s=20.0)) as server:
            mixed = sorted(
                rows(5, response=1) + rows(5, response=5000) + rows(2000, gap_s=0.5),
                key=lambda row: row.submitted_us,
            )
            tally = await replay(f"{server.url}/v1", mixed, stop_after_s=0.4)
            await asyncio.sleep(0.2)
            return tally, server.scheduler.busy

    tally, busy = asyncio.run(story())
    ok, failed, cancelled = counts(tally)
    assert (0, tally.sent) == (tally.in_flight, ok + failed + cancelled)
    assert ok >= 5
    assert cancelled >= 5
    assert tally.sent < 50
    assert not busy, "what the replay cancels, the engine drops"


def test_a_slow_answer_is_a_timeout():
    async def story():
        async with engine(pace=EnginePace(decode_tokens_per_s=5.0)) as server:
            return await replay(f"{server.url}/v1", rows(2, response=100), timeout_s=0.4)

    tally = asyncio.run(story())
    assert {"timeout": 2} == tally.failures


class Crooked:
    """A server that answers every chat with given bytes under status 200, and remembers the headers."""

    def __init__(self, body):
        self._body = body
        self.headers = []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._on_chat)
        app.router.add_get("/v1/models", self._on_models)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _on_models(self, _):
        return web.json_response({"data": [{"id": "m"}]})

    async def _on_chat(self, request):
        self.headers.append((await request.json(), request.headers.get("x-session-id")))
        return web.Response(body=self._body, content_type="text/event-stream")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'data: {"error":{"message":"full","code":503}}\n\ndata: [DONE]\n\n', "overloaded"),
        (b'data: {"error":{"message":"died","code":500}}\n\ndata: [DONE]\n\n', "backend_error"),
        (b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n', "backend_error"),  # cut off
        (b"", "backend_error"),
    ],
)
def test_a_200_that_carries_an_error_or_breaks_off_is_a_failure(body, reason):
    async def story():
        async with Crooked(body) as server:
            return await replay(server.url, rows(3))

    tally = asyncio.run(story())
    assert {reason: 3} == tally.failures


def test_the_request_says_what_the_row_says():
    async def story():
        async with Crooked(b"data: [DONE]\n\n") as server:
            await replay(server.url, rows(4))
            return server.headers

    asked = asyncio.run(story())
    assert ["s-0", None, None, "s-3"] == [session for _, session in asked]
    assert ["ChatGPT", "GPT-4", "ChatGPT", "GPT-4"] == [body["model"] for body, _ in asked]
    for body, _ in asked:
        assert (10, True, True) == (body["max_tokens"], body["ignore_eos"], body["stream"])
        assert body["stream_options"] == {"include_usage": True}
        assert len(body["messages"][0]["content"].split()) == 20


def test_at_the_concurrency_bound_requests_wait_and_none_is_dropped():
    class Slow:
        open = most = 0

        async def send(self, shot, on_sent):  # noqa: ARG002 - the seam's shape
            self.open += 1
            self.most = max(self.most, self.open)
            on_sent()
            await asyncio.sleep(0.01)
            self.open -= 1
            return Result(outcome=Outcome.OK, latency_s=0.01)

    async def story():
        sender, tally = Slow(), Tally()
        plan = [Shot(at_s=0.0, prompt_tokens=1, response_tokens=1, model="m", session=None) for _ in range(20)]
        await Runner(sender, tally, concurrency_max=3).play(plan, asyncio.Event())
        return sender.most, tally

    most, tally = asyncio.run(story())
    assert most == 3
    assert (20, 0, 0) == counts(tally)
    assert tally.send_lag.max_s > 0.03


# ------------------------------------------------------------------------------------------------ the commands


def command(*argv, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "burstwatch", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture
def running_engine():
    process = command("engine", "--decode-tokens-per-s", "200")
    ready = json.loads(process.stdout.readline())
    yield ready
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_commands_work_together_and_the_summary_adds_up(running_engine, tmp_path):
    assert {"event": "ready", "component": "engine"}.items() <= running_engine.items()
    trace = trace_file(tmp_path / "t.csv", rows(40, gap_s=0.01))
    out = tmp_path / "summary.json"
    done = command("replay", trace, "--url", f"{running_engine['url']}/v1", "--speed", "2", "--json", str(out))
    stdout, stderr = done.communicate(timeout=30)
    assert (0, "") == (done.returncode, stdout), stderr
    figures = json.loads(out.read_text())
    assert (40, 40, 0, 0, False) == tuple(
        figures[name] for name in ("sent", "ok", "failed", "cancelled", "interrupted")
    )
    assert figures["response_tokens"] == 400
    assert figures["send_lag_s"]["p99"] >= 0


def test_ctrl_c_prints_what_was_measured_and_exits_0(running_engine, tmp_path):
    trace = trace_file(tmp_path / "t.csv", rows(5000, gap_s=0.02, response=2))
    process = command("replay", trace, "--url", f"{running_engine['url']}/v1")
    try:
        process.communicate(timeout=1.5)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert "send lag" in stdout
    assert "Traceback" not in stderr


def test_no_server_is_one_line_and_exit_code_2(tmp_path, capsys):
    trace = trace_file(tmp_path / "t.csv", rows(3))
    assert main(["replay", trace, "--url", "http://127.0.0.1:9/v1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("burstwatch replay: cannot reach http://127.0.0.1:9/v1/models")
    assert said.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x"])
def test_a_url_without_http_is_one_line_and_exit_code_2(url, tmp_path, capsys):
    assert main(["replay", trace_file(tmp_path / "t.csv", rows(3)), "--url", url]) == 2
    assert "--url must begin with http" in capsys.readouterr().err


def test_a_taken_port_is_one_line_and_exit_code_2(running_engine):
    port = running_engine["url"].rsplit(":", 1)[1]
    process = command("engine", "--port", port)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 2
    assert f"burstwatch engine: cannot listen on 127.0.0.1:{port}" in stderr
    assert "--port" in stderr
