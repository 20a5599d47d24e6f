"""By model the source's burstiness is kept at any rate; a sweep changes nothing but burstiness."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.shared_data import shared
from tests.support.workload_traces import own_rate, pairs, renewal, rng, trace_of
from workload.scale.measure import measure
from workload.scale.proof import ks_distance
from workload.scale.remodel import remodel
from workload.scale.renewal import RateCurve, arrivals
from workload.scale.shapes import curve_of
from workload.scale.sweep import sweep
from workload.trace.columns import OutcomeCode
from workload.trace.read import read_trace


def varying(seed=1):
    """An hour of quiet Poisson traffic and an hour of fast bursts, three times."""
    curve = RateCurve(
        edges_s=np.arange(7) * 3600.0, rate_per_s=np.array([1.0, 6.0] * 3), alpha=np.array([1.0, 0.25] * 3)
    )
    return trace_of((arrivals(rng(seed), curve, round(curve.expected)) * 1e6).astype(np.int64))


def test_alpha_and_beta_are_found_window_by_window():
    curve = curve_of(varying().submitted_us, 21_600.0, 1200.0)
    assert len(curve.alpha) == 18
    fast = curve.rate_per_s > 3
    assert curve.rate_per_s[fast] == pytest.approx(np.full(9, 6.0), rel=0.15)
    assert np.median(curve.alpha[fast]) == pytest.approx(0.25, rel=0.1)
    assert np.median(curve.alpha[~fast]) == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("ratio", [0.3, 2.5])
def test_by_model_keeps_cv_alpha_dispersion_and_the_profile_at_another_rate(ratio):
    trace = varying()
    made = remodel(trace, rng(), rate_per_s=ratio * own_rate(trace))
    assert len(made.trace) == round(ratio * own_rate(trace) * made.duration_s)
    before, after = measure(trace.submitted_us), measure(made.trace.submitted_us)
    assert after.cv == pytest.approx(before.cv, rel=0.1)
    assert after.stats.alpha == pytest.approx(before.stats.alpha, rel=0.1)
    assert after.dispersion[10] == pytest.approx(before.dispersion[10], rel=0.15)
    by_hour = [np.bincount((t.submitted_us // 3_600_000_000).astype(int), minlength=6) for t in (trace, made.trace)]
    assert by_hour[1] == pytest.approx(by_hour[0] * ratio, rel=0.05)


def test_by_model_keeps_who_comes_at_what_time():
    trace = varying()
    fast = (trace.submitted_us // 3_600_000_000) % 2 == 1
    trace = replace(trace, request_tokens=np.where(fast, 1000, 10).astype(np.int32))
    made = remodel(trace, rng(), rate_per_s=1.7 * own_rate(trace)).trace
    fast = (made.submitted_us // 3_600_000_000) % 2 == 1
    assert np.mean(made.request_tokens[fast] == 1000) > 0.995  # the clock begins with the first request
    assert np.mean(made.request_tokens[~fast] == 10) > 0.995


def test_gaps_that_come_in_groups_keep_their_order_and_their_distribution():
    """Long runs of 20-ms gaps between pauses: each window's Gamma would mix them up, its own gaps do not."""
    runs = [np.concatenate(([pause], np.full(30, 0.02))) for pause in rng(5).exponential(20, 300)]
    trace = trace_of((np.cumsum(np.concatenate(runs)) * 1e6).astype(np.int64))
    made = remodel(trace, rng(), rate_per_s=2.3 * own_rate(trace))
    assert made.gaps == "own"
    before, after = measure(trace.submitted_us), measure(made.trace.submitted_us)
    for m in (10, 100):
        assert after.dispersion[m] == pytest.approx(before.dispersion[m], rel=0.15)
    gaps = [np.diff(t.submitted_us) / np.diff(t.submitted_us).mean() for t in (trace, made.trace)]
    assert np.quantile(gaps[1], [0.5, 0.99]) == pytest.approx(np.quantile(gaps[0], [0.5, 0.99]), rel=0.15)


def test_by_model_repeats_every_request_equally_often_and_keeps_pairs():
    trace = renewal(n=2000)
    made = remodel(trace, rng(), rate_per_s=2.5 * own_rate(trace)).trace
    known, times = np.unique(made.request_tokens, return_counts=True)
    assert len(known) == 2000
    assert set(times.tolist()) <= {2, 3}
    assert set(pairs(made)) == set(pairs(trace))


def test_by_model_keeps_sessions_whole_with_their_think_times():
    begins = np.sort(rng(2).uniform(0, 3e9, 300)).astype(np.int64)
    times = np.concatenate([begins, begins + 7_000_000, begins + 20_000_000])
    order = np.argsort(times, kind="stable")
    names = [f"s{i % 300}" for i in range(900)]
    trace = trace_of(times[order], [names[i] for i in order])
    made = remodel(trace, rng(), rate_per_s=2 * own_rate(trace)).trace
    assert len(made) == 1800
    gaps = []
    for code in range(len(made.session.names)):
        gaps += np.diff(made.submitted_us[made.session.codes == code]).tolist()
    usual = np.isin(np.round(np.array(gaps) / 1e6), [7, 13])
    assert np.mean(usual) > 0.97  # but for sessions cut by the end
    assert len(gaps) > 1100


def test_traces_that_are_no_gamma_process_keep_their_own_gaps():
    trace = read_trace(shared("azure/AzureLLMInferenceTrace_code.csv"))
    made = remodel(trace, rng(), rate_per_s=2 * own_rate(trace))
    assert made.gaps == "own"
    before, after = measure(trace.submitted_us), measure(made.trace.submitted_us)
    assert after.cv == pytest.approx(before.cv, rel=0.1)
    assert after.stats.alpha == pytest.approx(before.stats.alpha, rel=0.05)
    assert after.dispersion[100] == pytest.approx(before.dispersion[100], rel=0.15)
    assert ks_distance(trace.request_tokens, made.trace.request_tokens) < 0.01


def test_a_sweep_has_equal_rates_and_identical_requests_and_the_asked_cvs():
    source = renewal(n=1000)
    made = sweep(source, rng(), cvs=(0.5, 1, 2, 4, 8), rate_per_s=5.0, duration_s=600.0)
    first = made[0][1]
    for cv, trace in made:
        assert len(trace) == 3000
        assert 0 <= trace.submitted_us[0]
        assert trace.submitted_us[-1] < 600e6
        assert np.all(np.diff(trace.submitted_us) >= 0)
        assert measure(trace.submitted_us).cv == pytest.approx(cv, rel=0.05)
        assert np.array_equal(trace.request_tokens, first.request_tokens)
        assert np.array_equal(trace.response_tokens, first.response_tokens)
    assert set(pairs(first)) == set(pairs(source))
    assert np.unique(first.request_tokens, return_counts=True)[1].tolist() == [3] * 1000
    assert first.request_tokens[:1000].tolist() != sorted(first.request_tokens[:1000].tolist())


def test_a_cv_has_the_same_trace_whatever_else_is_swept():
    source = renewal(n=500)

    def of(cvs):
        return dict(sweep(source, rng(4), cvs=cvs, rate_per_s=2.0, duration_s=200.0))[4.0].submitted_us.tolist()

    assert of((4.0,)) == of((1.0, 4.0, 8.0))


def test_a_sweep_takes_served_requests_without_their_sessions():
    trace = trace_of(np.arange(100) * 1000, [f"s{i % 7}" for i in range(100)])
    outcome = trace.outcome.copy()
    outcome[:50] = OutcomeCode.FAILED
    trace.request_tokens[99] = -1
    made = sweep(replace(trace, outcome=outcome), rng(), cvs=(1.0,), rate_per_s=1.0, duration_s=49.0)[0][1]
    assert sorted(made.request_tokens.tolist()) == list(range(51, 100))
    assert not np.any(made.session.codes >= 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cvs": (0.0,)}, "must be 0.01 to 100, not 0"),
        ({"cvs": (float("nan"),)}, "must be 0.01 to 100"),
        ({"rate_per_s": 0.001}, "2 are needed"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        sweep(renewal(n=100), rng(), **{"cvs": (1.0,), "rate_per_s": 1.0, "duration_s": 60.0, **options})
