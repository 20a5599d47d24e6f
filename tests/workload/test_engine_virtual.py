"""The engine in virtual time: leaping over alike steps changes nothing, every request ends once, figures add up."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workload.engine.scheduler import Limits, Pace
from workload.engine.virtual import run_virtual
from workload.trace.columns import OutcomeCode, Trace

PACE = Pace(decode_tokens_per_s=50.0, prefill_tokens_per_s=1000.0, decode_s_per_sequence=0.001)
QUICK_TO_FILL = Limits(kv_blocks=60, max_waiting=20)


def trace(rows):
    """Rows of (seconds, request tokens, response tokens), in any order."""
    at_s, asked, answered = np.array(sorted(rows)).T
    return Trace.build(
        (at_s * 1e6).astype(np.int64),
        request_tokens=asked.astype(np.int32),
        response_tokens=answered.astype(np.int32),
    )


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
# Whole tenths of a second: ties, and arrivals at the very moment a step ends.
rows = st.lists(
    st.tuples(st.integers(0, 40).map(lambda n: n / 10), st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=25
)


def fates(run):
    return np.column_stack((run.seen_s, run.admitted_s, run.first_token_s, run.ended_s, run.outcome, run.preemptions))


@settings(max_examples=120, deadline=None)
@given(rows, limits)
def test_leaping_over_alike_steps_is_the_same_run_to_the_bit(rows, limits):
    leaps, steps = (run_virtual(trace(rows), limits, PACE, leap=leap) for leap in (True, False))
    assert np.array_equal(fates(leaps), fates(steps), equal_nan=True)
    assert np.allclose(leaps.gap_max_s, steps.gap_max_s, rtol=0, atol=1e-9)
    assert leaps.reason.values() == steps.reason.values()
    lines = leaps.timeline, steps.timeline
    assert len(lines[0].end_s) <= len(lines[1].end_s)
    for name in ("blocks", "running", "waiting"):
        peaks = [getattr(line, name).max(initial=0) for line in lines]
        assert peaks[0] == peaks[1]
    assert lines[0].preempted.sum() == lines[1].preempted.sum() == leaps.preemptions.sum()


@settings(max_examples=60, deadline=None)
@given(rows, limits)
def test_every_request_has_one_fate_and_its_times_are_in_order(rows, limits):
    run = run_virtual(trace(rows), limits, PACE)
    ok = run.outcome == OutcomeCode.OK
    assert set(run.outcome.tolist()) <= {OutcomeCode.OK, OutcomeCode.FAILED}
    assert (run.reason.codes >= 0).tolist() == (~ok).tolist()
    times = np.column_stack((run.arrived_s, run.seen_s, run.admitted_s, run.first_token_s, run.ended_s))[ok]
    assert (np.diff(times, axis=1) >= 0).all()
    ends = np.column_stack((run.timeline.begin_s[1:], run.timeline.end_s[:-1]))
    assert (ends[:, 0] >= ends[:, 1]).all()  # intervals do not overlap


def test_why_requests_fail_is_told():
    crowd = [(0.0, 20, 40)] * 30
    full = run_virtual(trace([*crowd, (0.0, 9000, 10)]), QUICK_TO_FILL, PACE)
    assert {"overloaded", "context_length"} == set(full.reason.values()) - {None}
    patient = Limits(max_running=1, queue_timeout_s=0.5)
    assert {"timeout"} == set(run_virtual(trace(crowd), patient, PACE).reason.values()) - {None}


def test_whoever_watches_can_end_a_run_and_what_was_not_sent_is_told():
    told = []
    run = run_virtual(trace([(n / 10, 5, 5) for n in range(2000)]), Limits(), PACE, watch=told.append)
    assert 0 < (run.outcome == OutcomeCode.OK).sum() == told[0] < 2000
    assert (run.outcome == OutcomeCode.CANCELLED).sum() == 2000 - told[0]


def test_a_preempted_answer_stalls_and_the_stall_is_told():
    run = run_virtual(trace([(0.0, 20, 200), (0.01, 20, 200), (0.02, 20, 200)]), Limits(kv_blocks=30), PACE)
    calm = run_virtual(trace([(0.0, 20, 200), (0.01, 20, 200), (0.02, 20, 200)]), Limits(), PACE)
    assert (run.preemptions > 0).any()
    assert calm.gap_max_s.max() < 0.1
    assert (run.gap_max_s > 1.0).tolist() == (run.preemptions > 0).tolist()


def test_an_empty_trace_is_an_empty_run():
    run = run_virtual(trace([(0.0, 1, 1)]).take(slice(0, 0)), Limits(), PACE)
    assert len(run.ended_s) == len(run.timeline.end_s) == 0


def test_more_requests_at_once_fill_more_of_the_cache():
    peaks = [run_virtual(trace([(0.0, 20, 40)] * n), QUICK_TO_FILL, PACE).timeline.blocks.max() for n in (1, 4, 12, 30)]
    assert all(b > a for a, b in pairwise(peaks[:3]))
    assert 55 < peaks[3] <= 60
