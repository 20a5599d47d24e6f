"""What a benchmark concludes: searches, the objective, intervals, the verdict and its words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from workload.bench.figures import figures, student_95
from workload.bench.kv_demand import CalmSpeeds, needed_tokens, offered_tokens
from workload.bench.measured import Measured, Watched, met
from workload.bench.search import Bracket, highest
from workload.bench.verdict import verdict
from workload.trace.columns import Labels, OutcomeCode, Trace

SLO = {"ttft_s": 2.0, "tpot_s": 0.2, "latency_s": None, "share": 0.99, "failed_ratio_max": 0.01}


def measured(ttft_s, *, failed=0, tokens=11, decode_s=1.0, kv=None, **over):
    """A run of answers with these first tokens, then so many failures."""
    n = len(ttft_s) + failed
    ok = np.arange(n) < len(ttft_s)
    ttft_s = np.concatenate((ttft_s, np.full(failed, np.nan)))
    tpot_s = np.where(ok & (tokens > 1), decode_s / max(tokens - 1, 1), np.nan)
    watched = None
    if kv is not None:
        t_s, zeros = np.arange(len(kv)) / 2, np.zeros(len(kv))
        watched = Watched(t_s=t_s, kv=np.asarray(kv), running=zeros, waiting=zeros, preemptions=zeros)
    columns = dict(
        due_s=np.arange(n) / 4.0,
        late_s=np.zeros(n),
        ttft_s=ttft_s,
        latency_s=ttft_s + decode_s,
        tpot_s=tpot_s,
        itl_s=tpot_s,
        stall_s=tpot_s,
        response_tokens=np.where(ok, tokens, 0).astype(np.int32),
        outcome=np.where(ok, OutcomeCode.OK, OutcomeCode.FAILED).astype(np.int8),
        reason=Labels.of([None] * len(ok[ok]) + ["overloaded"] * failed),
        took_s=n / 4.0,
        asked_s=n / 4.0,
        watched=watched,
    )
    return Measured(**{**columns, **over})


def point(cv, good, bad=0, *, rate=4.0, failed=0):
    """A run of which ``good`` met the objective, ``bad`` were too slow."""
    return figures([measured([0.1] * good + [5.0] * bad, failed=failed)], SLO, cv=cv, rate_per_s=rate) | {"cv": cv}


@given(st.floats(0.02, 50.0), st.floats(0.1, 10.0), st.floats(1.02, 1.5))
def test_a_search_ends_in_a_bracket_as_tight_as_asked_around_the_truth(truth, start, ratio):
    calls = []

    def holds(x):
        calls.append(x)
        return x <= truth

    found = highest(holds, start, bounds=(0.01, 100.0), ratio=ratio)
    assert found.low <= truth < found.high
    assert found.high / found.low <= ratio
    assert len(calls) < 25
    assert all(0.01 <= x <= 100.0 for x in calls)


def test_what_never_or_always_holds_is_told_as_that():
    assert Bracket(None, 0.5) == highest(lambda _: False, 2.0, bounds=(0.5, 8.0))
    assert Bracket(8.0, None) == highest(lambda _: True, 2.0, bounds=(0.5, 8.0))


def test_an_answer_meets_the_objective_only_if_every_time_asked_for_is_kept():
    run = measured([0.5, 2.0, 2.1], failed=1)
    assert [True, True, False, False] == met(run, SLO).tolist()
    assert not met(measured([0.5], decode_s=2.1), SLO).any()  # 0.21 s a token
    assert met(measured([0.5], tokens=1), SLO).all()  # one token has no time per token
    assert not met(measured([0.5]), {**SLO, "latency_s": 1.4}).any()
    assert met(measured([99.0]), {**SLO, "ttft_s": None}).all()


def test_figures_of_repeats_are_of_all_their_requests():
    run = figures([measured([0.1] * 30), measured([0.1] * 10, failed=10)], SLO, cv=2.0, rate_per_s=4.0)
    assert (50, 40, 10, 2) == (run["requests"], run["ok"], run["failed"], run["repeats"])
    assert {"overloaded": 10} == run["failures"]
    assert run["slo_ok_ratio"] == pytest.approx(0.8)
    assert run["failed_ratio"] == pytest.approx(0.2)
    # Of 30 answers, one a quarter second, the last 4 ended after the 7.5 s of sending.
    assert run["goodput_per_s"] == pytest.approx((26 + 10) / 12.5)
    assert run["rate_per_s"] == pytest.approx(4.0)
    # Repeats this unlike widen the interval beyond Wilson's 0.67 to 0.89.
    assert run["slo_ok_low"] == 0.0
    assert run["slo_ok_high"] == 1.0


def test_throughput_is_what_leaves_while_requests_are_sent():
    """Four answers of 11 tokens, one a quarter second, each from 0.1 s to 1.1 s after it was due; sending takes 1 s."""
    run = figures([measured([0.1] * 4)], SLO, cv=1.0, rate_per_s=4.0)
    assert run["throughput_tokens_per_s"] == pytest.approx(11 * (0.9 + 0.65 + 0.4 + 0.15))
    assert run["throughput_per_s"] == run["goodput_per_s"] == 0.0
    assert run["slo_ok_ratio"] == 1.0


@given(st.lists(st.floats(0.0, 9.0), min_size=1, max_size=30), st.sampled_from([None, 2.0]))
def test_goodput_is_a_part_of_throughput_and_is_all_of_it_where_nothing_is_asked(ttft_s, bound):
    """A server that takes twice what it can serve does not gain by an objective that asks for nothing."""
    slo = {**SLO, "ttft_s": bound, "tpot_s": None}
    run = figures([measured(ttft_s)], slo, cv=1.0, rate_per_s=4.0)
    assert run["goodput_per_s"] <= run["throughput_per_s"] <= run["rate_per_s"]
    assert bound is not None or run["goodput_per_s"] == run["throughput_per_s"]


def test_an_interrupted_run_is_told_by_what_was_due_until_then():
    """Every 0.25 s for 2 s, then a long silence and more that never left."""
    due_s = np.concatenate((np.arange(8) / 4.0, 50.0 + np.arange(8)))
    outcome = np.where(due_s < 2.0, OutcomeCode.OK, OutcomeCode.CANCELLED).astype(np.int8)
    outcome[7] = OutcomeCode.CANCELLED  # sent, but open at the end
    cut = measured([0.1] * 16, due_s=due_s, outcome=outcome, took_s=2.0, asked_s=60.0, interrupted=True)
    run = figures([cut], SLO, cv=1.0, rate_per_s=4.0)
    assert (run["requests"], run["rate_per_s"], run["cv"]) == (7, pytest.approx(4.0), pytest.approx(0.0))


def test_the_engines_state_is_told_only_where_it_was_seen():
    blind = figures([measured([0.1] * 4)], SLO, cv=1.0, rate_per_s=4.0)
    assert (None, None, None) == (blind["kv_usage_peak"], blind["preemptions"], blind["kv_time_full_ratio"])
    assert blind["series"]["t_s"] == []
    seen = figures([measured([0.1] * 4, kv=[0.1, 0.98, np.nan, 0.5])], SLO, cv=1.0, rate_per_s=4.0)
    assert seen["kv_usage_peak"] == 0.98
    assert seen["kv_time_full_ratio"] == pytest.approx(1 / 3)
    assert seen["series"]["kv"] == [0.1, 0.98, None, 0.5]
    assert sum(seen["series"]["rate"]) * 0.5 == pytest.approx(4)


def test_a_preemption_counter_that_restarts_counts_on():
    run = measured([0.1] * 4, kv=[0.0] * 5)
    counter = np.array([100.0, 103.0, np.nan, 2.0, 4.0])
    watched = Watched(t_s=run.watched.t_s, kv=counter, running=counter, waiting=counter, preemptions=counter)
    restarted = measured([0.1] * 4, watched=watched)
    assert figures([restarted], SLO, cv=1.0, rate_per_s=4.0)["preemptions"] == 3 + 2 + 2


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 30])
def test_students_quantile_agrees_with_scipy(freedom):
    assert student_95(freedom) == pytest.approx(oracle.t.ppf(0.975, freedom), rel=1e-6)


def test_the_verdict_names_the_burstiness_that_fails_and_the_one_that_surely_does():
    runs = [point(0.5, 500), point(1.0, 500), point(2.0, 493, 7), point(4.0, 400, 80, failed=20)]
    found = verdict(runs, SLO)
    assert (2.0, 4.0) == (found["fails_from_cv"], found["surely_fails_from_cv"])
    assert found["rates"][0]["holds_to_cv"] == 1.0
    first, second = found["sentences"][:2]
    assert "holds up to CV 1 and fails from CV 2" in first
    assert "98.6 % of 500 requests" in first
    assert "from CV 4" in first
    assert "Beyond chance (95 %, were the requests of a burst independent)" in first
    repeated = verdict([run | {"repeats": 5} for run in runs], SLO)["sentences"][0]
    assert "Beyond chance (95 %) from CV 4" in repeated
    assert "failed 0 % -> 4" in second


def test_where_everything_holds_the_verdict_says_so():
    found = verdict([point(1.0, 500), point(8.0, 500)], SLO)
    assert found["fails_from_cv"] is None
    assert "holds at every burstiness tried, up to CV 8" in found["sentences"][0]
    assert verdict([], SLO)["sentences"] == ["Nothing was measured."]


def test_failures_above_the_bound_fail_an_objective_that_is_otherwise_met():
    run = point(1.0, 980, failed=20)
    lax = {**SLO, "share": 0.9}
    assert verdict([run], lax)["fails_from_cv"] == 1.0
    assert verdict([run], {**lax, "failed_ratio_max": 0.05})["fails_from_cv"] is None


def test_headroom_is_told_from_the_rates_that_were_swept():
    runs = [point(1.0, 500, rate=r) for r in (2.0, 4.0, 8.0)]
    runs += [point(4.0, 500, rate=2.0), point(4.0, 450, 50, rate=4.0), point(4.0, 100, 400, rate=8.0)]
    calm, wild = verdict(runs, SLO)["rate_headroom"]
    assert (8.0, None) == (calm["low_per_s"], calm["high_per_s"])
    assert (2.0, 4.0) == (wild["low_per_s"], wild["high_per_s"])
    assert [4.0, 1.0] == [calm["of_rate"], wild["of_rate"]]


lengths = st.tuples(st.integers(0, 50), st.integers(1, 500), st.integers(1, 300))


@given(st.lists(lengths, min_size=1, max_size=20), st.floats(0.01, 2.0), st.floats(0.005, 0.1))
def test_offered_demand_is_the_sum_over_requests(rows, ttft_s, tpot_s):
    at, asked, answered = (np.array(column) for column in zip(*sorted(rows), strict=True))
    trace = Trace.build(
        (at * 1_000_000).astype(np.int64),
        request_tokens=asked.astype(np.int32),
        response_tokens=answered.astype(np.int32),
    )
    times = np.linspace(0.001, 60.0, 37)
    first = at - at[0] + ttft_s
    end = first + (answered - 1) * tpot_s
    brute = [
        sum(
            p + 1 + 7.5 + max(t - f, 0) / tpot_s
            for a, p, f, e in zip(at - at[0], asked, first, end, strict=True)
            if a <= t < e
        )
        for t in times
    ]
    found = offered_tokens(trace, CalmSpeeds(ttft_s=ttft_s, tpot_s=tpot_s), at_s=times, block_tokens=16)
    assert found == pytest.approx(brute, rel=1e-6, abs=1e-3)


def test_a_burst_needs_the_memory_of_all_its_requests():
    speeds = CalmSpeeds(ttft_s=0.1, tpot_s=0.02)
    sizes = dict(request_tokens=np.full(100, 300, np.int32), response_tokens=np.full(100, 50, np.int32))
    apart = Trace.build(np.arange(100) * 10_000_000, **sizes)
    at_once = Trace.build(np.arange(100) * 1_000, **sizes)
    assert needed_tokens(apart, speeds, share=0.99) == pytest.approx(301)
    assert needed_tokens(at_once, speeds, share=0.99) == pytest.approx(99 * 301, rel=0.01)
