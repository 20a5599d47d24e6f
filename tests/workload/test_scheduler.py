"""Laws of the simulated engine's scheduler: blocks are conserved, every request ends once, first come first served."""

from collections import Counter
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workload.engine.scheduler import ContextExceeded, Limits, Pace, QueueFull, Refused, Scheduler
from workload.engine.sequence import End, Sequence

PACE = Pace(decode_tokens_per_s=50.0, prefill_tokens_per_s=1000.0, decode_s_per_sequence=0.001)


def request(prompt=10, target=5, *, limit=None, at=0.0):
    return Sequence(prompt_tokens=prompt, target_tokens=target, max_tokens=limit or target, arrived_s=at)


def run_dry(scheduler, now_s=0.0):
    """Step until nothing is left; return every step and the time."""
    steps = []
    while scheduler.busy:
        step = scheduler.step(now_s)
        now_s += step.duration_s
        steps.append(step)
        assert len(steps) < 100_000
    return steps, now_s


limits = st.builds(
    Limits,
    kv_blocks=st.integers(4, 40),
    block_tokens=st.integers(1, 8),
    max_running=st.integers(1, 8),
    max_waiting=st.integers(1, 8),
    max_batched_tokens=st.integers(1, 64),
    max_model_len=st.integers(4, 200),
    queue_timeout_s=st.none() | st.floats(0.01, 1.0),
)
# submit a request, run a step, or abort the n-th request
actions = st.lists(
    st.tuples(st.just("submit"), st.integers(1, 40), st.integers(1, 30))
    | st.tuples(st.just("step"), st.just(0), st.just(0))
    | st.tuples(st.just("abort"), st.integers(0, 30), st.just(0)),
    max_size=80,
)


def check(scheduler, accepted):
    """What holds between any two actions."""
    held = sum(s.blocks for s in accepted)
    assert scheduler.kv.free + held == scheduler.kv.total
    assert scheduler.kv.free >= 0
    assert len(scheduler.running) <= scheduler.limits.max_running
    alive = [s for s in accepted if s.end is None]
    assert Counter(map(id, [*scheduler.running, *scheduler.waiting])) == Counter(map(id, alive))
    for sequence in accepted:
        if sequence.end is not None:
            assert sequence.blocks == 0
        assert sequence.computed <= sequence.blocks * scheduler.kv.block_tokens
    # First come, first served: whoever runs came before whoever waits, and both lists are in order.
    order = {id(s): place for place, s in enumerate(accepted)}
    line = [order[id(s)] for s in [*scheduler.running, *scheduler.waiting]]
    assert line == sorted(line)


@settings(max_examples=150, deadline=None)
@given(limits, actions)
def test_blocks_are_conserved_and_every_accepted_request_ends_exactly_once(limits, actions):
    scheduler, accepted, ended, now_s = Scheduler(limits, PACE), [], Counter(), 0.0
    for verb, first, second in actions:
        if verb == "submit":
            sequence = request(first, second, at=now_s)
            try:
                scheduler.submit(sequence)
                accepted.append(sequence)
            except Refused:
                assert sequence.blocks == 0
        elif verb == "abort" and first < len(accepted):
            alive = accepted[first].end is None
            scheduler.abort(accepted[first], now_s)
            ended[id(accepted[first])] += alive
        else:
            step = scheduler.step(now_s)
            now_s += step.duration_s
            ended.update(map(id, step.ended))
        check(scheduler, accepted)
    steps, _ = run_dry(scheduler, now_s)
    for step in steps:
        ended.update(map(id, step.ended))
    check(scheduler, accepted)
    assert all(ended[id(s)] == 1 and s.end is not None for s in accepted)
    assert scheduler.kv.free == scheduler.kv.total


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=20), st.integers(8, 20))
def test_every_token_is_delivered_once_whatever_is_preempted(sizes, blocks):
    scheduler = Scheduler(Limits(kv_blocks=blocks, block_tokens=8, max_waiting=100, max_batched_tokens=16), PACE)
    sequences = [request(prompt, target) for prompt, target in sizes]
    for sequence in sequences:
        scheduler.submit(sequence)
    steps, _ = run_dry(scheduler)
    tokens = Counter(id(s) for step in steps for s in step.advanced)
    assert [tokens[id(s)] for s in sequences] == [target for _, target in sizes]
    assert all(s.end is End.LENGTH for s in sequences)


def test_the_newest_is_preempted_when_blocks_run_out_and_finishes_later():
    scheduler = Scheduler(Limits(kv_blocks=4, block_tokens=4), PACE)
    old, new = request(7, 8), request(7, 8)
    scheduler.submit(old)
    scheduler.submit(new)
    steps, _ = run_dry(scheduler)
    assert sum(step.preempted for step in steps) == new.preemptions > 0 == old.preemptions
    assert old.ended_s < new.ended_s
    assert (8, 8) == (old.generated, new.generated)


def test_recomputing_a_preempted_request_costs_prefill_time_again():
    def prefilled(blocks):
        scheduler = Scheduler(Limits(kv_blocks=blocks, block_tokens=4), PACE)
        for _ in range(2):
            scheduler.submit(request(7, 8))
        steps, end_s = run_dry(scheduler)
        return sum(step.prefilled for step in steps), end_s

    assert prefilled(4)[0] > prefilled(100)[0] == 14
    assert prefilled(4)[1] > prefilled(100)[1]


def test_the_queue_refuses_when_full_and_takes_again_when_not():
    scheduler = Scheduler(Limits(max_waiting=2, max_running=1), PACE)
    for _ in range(2):
        scheduler.submit(request())
    with pytest.raises(QueueFull):
        scheduler.submit(request())
    scheduler.step(0.0)
    scheduler.submit(request())


def test_a_request_that_could_never_fit_is_refused_at_the_door():
    scheduler = Scheduler(Limits(kv_blocks=4, block_tokens=4, max_model_len=100), PACE)
    scheduler.submit(request(8, 8))
    with pytest.raises(ContextExceeded):
        scheduler.submit(request(8, 9))


def test_a_request_that_waits_too_long_for_its_first_block_times_out():
    scheduler = Scheduler(Limits(max_running=1, queue_timeout_s=0.5), PACE)
    first, second = request(10, 100), request(10, 100)
    scheduler.submit(first)
    scheduler.submit(second)
    run_dry(scheduler)
    assert (End.LENGTH, End.TIMEOUT) == (first.end, second.end)
    assert second.ended_s == pytest.approx(0.5, abs=0.1)


def test_a_shorter_answer_than_allowed_ends_with_stop():
    scheduler = Scheduler(Limits(), PACE)
    sequence = request(10, 3, limit=50)
    scheduler.submit(sequence)
    run_dry(scheduler)
    assert (End.STOP, 3) == (sequence.end, sequence.generated)


def test_a_step_costs_base_plus_decode_plus_prefill():
    assert PACE.duration_s(decoding=0, prefilled=0) == pytest.approx(0.02)
    assert PACE.duration_s(decoding=4, prefilled=500) == pytest.approx(0.02 + 0.004 + 0.5)


def test_littles_law_holds_in_a_simulated_steady_state():
    """L = lambda W: mean number in the engine equals arrival rate times mean time in it."""
    rng = np.random.default_rng(5)
    arrivals = np.cumsum(rng.exponential(1 / 4.0, 2000))
    scheduler = Scheduler(Limits(max_waiting=10_000), PACE)
    now_s, place, area, stays = 0.0, 0, 0.0, []
    while place < len(arrivals) or scheduler.busy:
        while place < len(arrivals) and arrivals[place] <= now_s:
            scheduler.submit(request(20, int(rng.integers(1, 60)), at=arrivals[place]))
            place += 1
        if not scheduler.busy:
            now_s = arrivals[place]
            continue
        inside = len(scheduler.running) + len(scheduler.waiting)
        step = scheduler.step(now_s)
        area += inside * step.duration_s
        now_s += step.duration_s
        stays += [s.ended_s - s.arrived_s for s in step.ended]
    assert len(stays) == 2000
    assert area / now_s == pytest.approx(2000 / now_s * mean(stays), rel=0.03)
