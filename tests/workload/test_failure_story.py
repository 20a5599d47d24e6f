"""The demo's workload on the pure engine, analysed: its 503s are failure episodes in bursts, with the memory full."""

from bisect import bisect_right

import numpy as np
import pytest

from streams.processors.episodes import FailureEpisode
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND, START, Agent, arrival, completion, reading
from workload import builtin
from workload.engine.scheduler import Limits, Pace, QueueFull, Scheduler
from workload.engine.sequence import Sequence

DURATION_S = 600.0


def us(seconds: float) -> int:
    return START + int(seconds * 1e6)


def live_through(rows):
    """What an agent sees: arrivals, completions, and a reading of the engine every second."""
    scheduler, now_s, place = Scheduler(Limits(), Pace()), 0.0, 0
    arrivals, ended, readings, preempted, next_reading = [], [], [], 0, 1
    while place < len(rows) or scheduler.busy:
        while place < len(rows) and rows[place].submitted_us <= now_s * 1e6:
            row, place = rows[place], place + 1
            at = START + row.submitted_us
            arrivals.append(arrival(at))
            sizes = {"target_tokens": row.response_tokens, "max_tokens": row.response_tokens}
            try:
                scheduler.submit(Sequence(prompt_tokens=row.request_tokens, arrived_s=now_s, **sizes))
            except QueueFull:
                ended.append(completion(us(now_s), outcome="failed", reason="overloaded", submitted_at=at - 1))
        if scheduler.busy:
            step = scheduler.step(now_s)
            preempted += step.preempted
            now_s += step.duration_s
            ended += [completion(us(now_s), submitted_at=us(s.arrived_s) - 1) for s in step.ended]
        else:
            now_s = max(now_s, rows[place].submitted_us / 1e6)
        while next_reading <= now_s:
            facts = {"kv": scheduler.kv.usage_ratio, "waiting": len(scheduler.waiting), "preemptions_total": preempted}
            readings.append(reading(us(next_reading), **facts))
            next_reading += 1
    return arrivals, sorted(ended, key=lambda c: c.ended_at), readings


def messages(arrivals, ended, readings, *, flush_s: int):
    """Flushed every ``flush_s``: readings, completions, arrivals with the promise; then silence, promised too."""
    agent, engine_agent = Agent(), Agent("engine-agent")
    times = [[a.submitted_at for a in arrivals], [c.ended_at for c in ended], [r.at for r in readings]]
    cut = [0, 0, 0]
    for second in [*range(flush_s, int(DURATION_S) + 200, flush_s), 2000]:
        upto = [bisect_right(column, us(second)) for column in times]
        if seen := readings[cut[2] : upto[2]]:
            yield engine_agent.message(seen)
        yield from agent.flush(arrivals[cut[0] : upto[0]], ended[cut[1] : upto[1]], us(second))
        cut = upto


@pytest.fixture(scope="module")
def lived():
    workload = builtin.generate(np.random.default_rng(1), duration_s=DURATION_S)
    return workload.bursts, live_through(workload.rows)


def analysed(events, *, flush_s: int = 1, restart_every: int = 0):
    settings = AnalysisSettings(burst_warmup_s=30)
    state, found = ServiceState("chat", settings), []
    for offset, message in enumerate(messages(*events, flush_s=flush_s)):
        found += state.apply(message, offset)
        if restart_every and offset % restart_every == 0:
            state = ServiceState.restore(state.snapshot(), settings)
    return state, [e for e in found if isinstance(e, FailureEpisode)]


def test_the_refused_requests_of_the_bursts_are_failure_episodes_in_bursts_and_under_memory_pressure(lived):
    bursts, events = lived
    state, found = analysed(events)
    failed = [c for c in events[1] if c.outcome == "failed"]
    onsets, ends = ([e for e in found if e.state == which] for which in ("onset", "end"))
    assert len(onsets) == len(ends) == state.failure.episodes_total >= 3
    assert {e.attribution for e in ends} == {"burst_and_memory_pressure"}
    for onset, end in zip(onsets, ends, strict=True):
        (truth,) = [b for b in bursts if us(b.start_s) <= end.onset <= us(b.start_s + b.duration_s + 30)][-1:]
        assert abs(end.burst_onset - us(truth.start_s)) <= 8 * SECOND
        assert 0 < end.burst_lead_s < 60
        assert onset.detected - onset.onset <= 20 * SECOND
        assert end.kv_usage_peak > 0.97
        assert end.waiting_peak > 50
        assert end.failures_by_reason == {"overloaded": end.failures}
    assert sum(e.failures for e in ends) > 0.9 * len(failed)
    assert sum(state.attributed.values()) == len(failed)
    assert state.attributed["burst_and_memory_pressure"] > 0.6 * len(failed)
    assert state.attributed["neither"] == state.attributed["unknown"] == 0


def test_the_story_is_the_same_however_it_is_cut_and_wherever_it_is_restored(lived):
    _, events = lived
    state, found = analysed(events)
    for flush_s, restart_every in ((7, 0), (30, 5)):
        other, others = analysed(events, flush_s=flush_s, restart_every=restart_every)
        assert others == found
        assert other.attributed == state.attributed
