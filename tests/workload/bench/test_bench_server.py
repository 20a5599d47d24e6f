"""The order of events in a benchmark of a real server: warm-up, rest, run, search; what an early end keeps."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from collector.schema.errors import OperatorError
from workload.bench import server_bench
from workload.bench.assemble import Findings, assemble
from workload.bench.assumptions import of_server
from workload.bench.engine_metrics import Reading
from workload.bench.estimate import estimated_memory
from workload.bench.looks import Looks
from workload.bench.plan import Plan
from workload.bench.server_bench import ServerBench, Target
from workload.bench.source import builtin_source
from workload.bench.virtual_run import measure_virtually
from workload.engine.scheduler import Limits, Pace
from workload.trace.columns import Labels, OutcomeCode

SLO = {"ttft_s": 2.0, "tpot_s": 0.2, "latency_s": None, "share": 0.99, "failed_ratio_max": 0.01}
SIZE = {"kv_blocks": 700.0, "block_tokens": 16.0, "kv_tokens": 11_200.0}


class Server:
    """A server in virtual time: answers like the simulated engine, is busy for ``tail`` looks after each run."""

    def __init__(self, *, tail=2, tells=True, stop_after=None, answers=True):
        self.answers = answers
        self.told, self.tail, self.tells, self.stop_after, self.busy = [], tail, tells, stop_after, 0
        self.seeds = []

    async def replay(self, trace, options, stop):
        self.seeds.append(options.seed)
        self.told.append(("run", len(trace)))
        run = measure_virtually(trace, Limits(kv_blocks=700), Pace(), asked_s=30.0)
        if self.stop_after == len(self.told):
            stop.set()
        self.busy = self.tail
        n = len(trace)
        if not self.answers:
            refused = {"outcome": np.full(n, OutcomeCode.FAILED), "reason": Labels.of(["invalid_request"] * n)}
            run = replace(run, **refused)
        return SimpleNamespace(
            due_s=run.due_s, sent_s=run.due_s + 0.001, first_token_s=run.due_s + run.ttft_s,
            ended_s=run.due_s + run.latency_s, itl_mean_s=run.itl_s, itl_max_s=run.stall_s,
            response_tokens=np.full(n, -1, np.int32), response_tokens_asked=trace.response_tokens,
            outcome=run.outcome, reason=run.reason, http_status=np.full(n, 404), started_us=0,
        )  # fmt: skip

    async def look(self):
        if not self.tells:
            return None
        self.told.append("busy" if self.busy else "idle")
        self.busy = max(0, self.busy - 1)
        return Reading(engine="vllm", kv=0.1, running=float(self.told[-1] == "busy"), waiting=0.0, **SIZE)

    async def models(self, *_):
        return ["first", "second"]

    @asynccontextmanager
    async def watching(self):
        yield Looks()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


def bench(server, monkeypatch, *, find_rate=False, rest_max_s=60.0, url="http://x/v1", **plan):
    monkeypatch.setattr(server_bench, "Scraper", lambda _: server)
    monkeypatch.setattr(server_bench, "replay", server.replay)
    monkeypatch.setattr(server_bench, "REST_POLL_S", 0.001)
    monkeypatch.setattr(server_bench, "REST_BLIND_S", 0.001)

    async def run():
        made = ServerBench(
            plan=Plan(source=builtin_source(), slo=SLO, **{"cvs": (0.5, 6.0), "duration_s": 30.0, **plan}),
            target=Target(url=url, metrics_url="http://x/metrics", rest_max_s=rest_max_s),
            stop=asyncio.Event(),
        )
        await made.run(find_rate=find_rate)
        return made

    return asyncio.run(run())


def test_a_run_begins_when_the_server_was_seen_idle_twice(monkeypatch):
    server = Server()
    made = bench(server, monkeypatch)
    # The first look is for the engine's name; then a warm-up of 10 s at 4/s, and runs of 30 s.
    rest = ["busy", "busy", "idle", "idle"]
    assert ["idle", ("run", 40), *rest, ("run", 120), *rest, ("run", 120)] == server.told
    assert [0.5, 6.0] == [run["cv_target"] for run in made.runs]
    assert all(run["idle_before"] is True for run in made.runs)
    assert len(set(server.seeds)) == 3, "prompts of one run would be known to the server's prefix cache in the next"
    assert made.runs[0]["late_p99_s"] == pytest.approx(0.001)
    # Sent 1 ms late: that is in every time, for it is the asked burstiness that is judged.
    (trace,) = made.plan.traces(4.0, 0.5)
    ideal = measure_virtually(trace, Limits(kv_blocks=700), Pace(), asked_s=30.0)
    assert made.runs[0]["ttft_s"]["max"] == pytest.approx(np.nanmax(ideal.ttft_s), abs=1e-6)
    assert made.runs[0]["latency_s"]["max"] == pytest.approx(np.nanmax(ideal.latency_s), abs=1e-6)
    assert made.runs[0]["throughput_tokens_per_s"] > 0  # a server that counts no tokens is taken at what was asked


def test_a_server_that_answers_nothing_in_the_warm_up_is_not_measured_for_minutes(monkeypatch):
    server = Server(answers=False)
    with pytest.raises(
        OperatorError,
        match=r"none of the 40 warm-up requests \(40 invalid_request, HTTP 404\): correct --url, --served",
    ):
        bench(server, monkeypatch)
    assert sum(told == ("run", 40) for told in server.told) == 1
    assert ("run", 120) not in server.told


def test_a_url_without_v1_that_nothing_answers_at_is_told_to_lack_it(monkeypatch):
    with pytest.raises(
        OperatorError, match=r"correct --url, which does not end in /v1 \(a server's API usually does\)"
    ):
        bench(Server(answers=False), monkeypatch, url="http://x:8000")


def test_a_server_that_never_rests_is_measured_and_told(monkeypatch):
    made = bench(Server(tail=10**9), monkeypatch, rest_max_s=0.01)
    assert all(run["idle_before"] is False for run in made.runs)
    assert any("was not idle before 2" in line for line in of_server(made.runs, told_metrics=True, searched=False))


def test_a_server_without_metrics_is_measured_and_what_is_missing_said(monkeypatch):
    made = bench(Server(tells=False), monkeypatch)
    assert {None} == {run[key] for run in made.runs for key in ("idle_before", "kv_usage_peak", "preemptions")}
    said = of_server(made.runs, told_metrics=False, searched=False)
    assert any("told nothing" in line for line in said)
    assert any("infinite-server" in line for line in said)  # it is estimated all the same
    needed = list(estimated_memory(made.plan, made.runs, made.metrics))
    assert {None} == {one["factor"] for one in needed}
    assert needed[1]["tokens"] > needed[0]["tokens"] > 0


def test_memory_is_estimated_from_the_calm_run_and_what_the_server_has(monkeypatch):
    made = bench(Server(), monkeypatch)
    calm, wild = estimated_memory(made.plan, made.runs, made.metrics)
    assert calm["factor"] < wild["factor"] == pytest.approx(wild["tokens"] / 11_200)
    assert {"estimated"} == {calm["how"], wild["how"]}


def test_an_early_end_keeps_what_was_measured(monkeypatch):
    server = Server(stop_after=8)  # in the first run after the warm-up
    server.told = ["a"]
    made = bench(server, monkeypatch, repeats=2, cvs=(0.5, 2.0, 6.0))
    assert [(0.5, 1)] == [(run["cv_target"], run["repeats"]) for run in made.runs]
    assert made.runs[0]["interrupted"]
    whole = assemble(made.plan, Findings(runs=made.runs, complete=False), {}, assumptions=[], elapsed_s=1.0)
    assert "1 of 3 points were measured, the last of them in part" in whole["verdict"]["sentences"][-1]


def test_a_search_brackets_the_rate_and_measures_no_point_twice(monkeypatch):
    server = Server(tail=0)
    made = bench(server, monkeypatch, find_rate=True)
    sizes = [told[1] for told in server.told if isinstance(told, tuple)]
    assert sizes.count(120) == 2  # 4/s for 30 s: the sweep's own two runs
    calm, wild = made.headrooms
    assert (0.5, 6.0) == (calm["cv"], wild["cv"])
    assert calm["high_per_s"] / calm["low_per_s"] <= server_bench.PROBE_RATIO
    assert wild["low_per_s"] < calm["low_per_s"]
    assert any("--find-rate" in line for line in of_server(made.runs, told_metrics=True, searched=False))
