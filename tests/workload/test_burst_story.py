"""The story the demo tells, on the pure scheduler: base load is fine, each burst fills the cache, then it recovers."""

import numpy as np
import pytest

from workload import builtin
from workload.engine.scheduler import Limits, Pace, QueueFull, Scheduler
from workload.engine.sequence import Sequence


def live_through(workload):
    """Return one (time, KV usage, waiting, preempted, refused) per step, at the engine's defaults."""
    scheduler, now_s, place, story = Scheduler(Limits(), Pace()), 0.0, 0, []
    while place < len(workload.rows) or scheduler.busy:
        refused = 0
        while place < len(workload.rows) and workload.rows[place].submitted_us <= now_s * 1e6:
            row, place = workload.rows[place], place + 1
            sizes = {"target_tokens": row.response_tokens, "max_tokens": row.response_tokens}
            try:
                scheduler.submit(Sequence(prompt_tokens=row.request_tokens, arrived_s=now_s, **sizes))
            except QueueFull:
                refused += 1
        if not scheduler.busy:
            now_s = workload.rows[place].submitted_us / 1e6
            continue
        step = scheduler.step(now_s)
        story.append((now_s, scheduler.kv.usage_ratio, len(scheduler.waiting), step.preempted, refused))
        now_s += step.duration_s
    return np.array(story)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bursts_fill_the_cache_preempt_and_refuse_and_the_engine_recovers(seed):
    workload = builtin.generate(np.random.default_rng(seed), duration_s=240.0)
    story = live_through(workload)
    at_s, usage, waiting, preempted, refused = story.T
    first = workload.bursts[0]

    quiet = at_s < first.start_s
    assert refused[quiet].sum() == preempted[quiet].sum() == 0
    assert 0.1 < usage[quiet & (at_s > 10)].mean() < 0.5

    whole = [burst for burst in workload.bursts if burst.start_s < 200]
    hit = [(at_s >= b.start_s) & (at_s < b.start_s + b.duration_s + 15) for b in whole]
    assert all(usage[mask].max() > 0.97 for mask in hit)
    assert sum(preempted[mask].sum() for mask in hit) > 0
    assert sum(refused[mask].sum() for mask in hit) > 20
    assert refused.sum() < 0.25 * len(workload.rows)

    for burst in whole:  # the queue is empty again before the next burst
        after = (at_s > burst.start_s + burst.duration_s) & (at_s < burst.start_s + burst.duration_s + 40)
        assert waiting[after].min() == 0
