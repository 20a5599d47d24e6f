"""Compressing, superposing, thinning: an exact rate, whole sessions, and burstiness does what was predicted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.workload_traces import own_rate, pairs, renewal, rng, trace_of
from workload.scale.measure import measure
from workload.scale.methods import SUPERPOSE, THIN, compress, superpose, thin
from workload.scale.predict import predict, superposed_cv, thinned_cv
from workload.scale.renewal import RateCurve
from workload.scale.units import carried_round, some_of, units_of


@st.composite
def traces(draw):
    gaps = draw(st.lists(st.integers(0, 5_000_000), min_size=3, max_size=60).filter(lambda g: any(g[1:])))
    names = draw(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=len(gaps), max_size=len(gaps)))
    return trace_of(np.cumsum(gaps) + 17_000_000, names)


@settings(max_examples=15, deadline=None)
@given(trace=traces(), ratio=st.floats(0.2, 6), seed=st.integers(0, 3))
def test_whatever_the_trace_the_rate_is_exact_times_are_inside_and_requests_the_sources(trace, ratio, seed):
    rate = ratio * own_rate(trace)
    ways = [compress(trace, rate_per_s=rate), superpose(trace, rng(seed), rate_per_s=rate)]
    if ratio < 1:
        ways.append(thin(trace, rng(seed), rate_per_s=rate))
    known = set(pairs(trace))
    for made in ways:
        assert abs(len(made.trace) / made.duration_s - rate) <= 0.5 / made.duration_s + 1e-6
        times = made.trace.submitted_us
        assert np.all(np.diff(times) >= 0)
        assert not len(times) or (times[0] >= 0 and times[-1] <= made.duration_s * 1e6)
        assert set(pairs(made.trace)) <= known
        had = dict(zip(trace.request_tokens.tolist(), trace.session.values(), strict=True))
        for request, session in zip(made.trace.request_tokens.tolist(), made.trace.session.values(), strict=True):
            assert (session is None) == (had[request] is None)


def test_compressing_divides_every_time_and_keeps_cv_and_alpha():
    trace = renewal()
    made = compress(trace, rate_per_s=3 * own_rate(trace))
    assert made.factor == pytest.approx(3)
    before, after = measure(trace.submitted_us), measure(made.trace.submitted_us)
    assert after.cv == pytest.approx(before.cv, rel=1e-5)
    assert after.stats.alpha == pytest.approx(before.stats.alpha, rel=1e-3)
    assert after.dispersion[10] == pytest.approx(before.dispersion[10], rel=0.01)
    assert pairs(made.trace) == pairs(trace)


def test_compressing_to_a_duration_takes_as_many_rows_as_it_needs():
    trace = renewal(n=5000)
    made = compress(trace, rate_per_s=8.0, duration_s=100.0)
    assert len(made.trace) == 800
    assert made.trace.request_tokens.tolist() == list(range(1, 801))
    with pytest.raises(ValueError, match="has 5000 requests there; 5600 are needed"):
        compress(trace, rate_per_s=8.0, duration_s=700.0)


def test_whole_seconds_are_whole_again_on_the_sources_clock():
    times = np.sort(rng().integers(0, 2000, 900)) * 1_000_000
    trace = trace_of(times)
    made = compress(trace, rate_per_s=own_rate(trace) * 7.3)
    back = measure(made.trace.submitted_us, 1_000_000, stretch=made.factor)
    assert back.stats == measure(times - times[0], 1_000_000).stats


@pytest.mark.parametrize(("alpha", "copies"), [(0.25, 3), (0.25, 8), (4.0, 3), (1.0, 5)])
def test_superposed_renewal_streams_have_the_predicted_cv_and_keep_dispersion_per_second(alpha, copies):
    trace = renewal(alpha=alpha)
    made = superpose(trace, rng(), rate_per_s=copies * own_rate(trace))
    assert made.copies == copies
    cv, dispersion = predict(trace, SUPERPOSE, copies=copies)
    after = measure(made.trace.submitted_us)
    assert after.cv == pytest.approx(cv, rel=0.04)
    assert after.dispersion[100] == pytest.approx(dispersion[100], rel=0.15)
    same_seconds = measure(made.trace.submitted_us).stats.idc["10"]
    assert same_seconds == pytest.approx(measure(trace.submitted_us).stats.idc["10"], rel=0.15)


def test_three_copies_of_cv_2_have_cv_1_76():
    """A published simulation of superposed Gamma streams; here by the formula."""
    assert superposed_cv(rng().gamma(0.25, 4.0, 400_000), 3) == pytest.approx(1.76, abs=0.01)
    assert superposed_cv(rng().gamma(0.25, 4.0, 400_000), 1) == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize(("alpha", "keep"), [(0.25, 1 / 3), (0.25, 0.05), (4.0, 0.5)])
def test_thinned_renewal_streams_have_the_predicted_cv_and_dispersion(alpha, keep):
    trace = renewal(n=120_000, alpha=alpha)
    made = thin(trace, rng(), rate_per_s=keep * own_rate(trace))
    cv, dispersion = predict(trace, THIN, keep=keep)
    after = measure(made.trace.submitted_us)
    assert cv == pytest.approx(thinned_cv(1 / np.sqrt(alpha), keep), rel=0.02)
    assert after.cv == pytest.approx(cv, rel=0.05)
    assert after.dispersion[10] == pytest.approx(dispersion[10], rel=0.1)


def test_thinning_leaves_sessions_whole_and_cannot_add_requests():
    names = [f"s{i // 4}" for i in range(4000)]
    trace = trace_of(np.cumsum(rng().integers(1, 900_000, 4000)), names)
    made = thin(trace, rng(2), rate_per_s=own_rate(trace) / 2).trace
    turns = np.unique(made.session.codes, return_counts=True)[1]
    assert np.count_nonzero(turns != 4) <= 1
    with pytest.raises(ValueError, match="thinning cannot make it more"):
        thin(trace, rng(), rate_per_s=own_rate(trace) * 2)


def test_copies_of_a_session_are_sessions_of_their_own_in_the_order_of_their_turns():
    trace = trace_of(np.arange(0, 40_000_000, 1_000_000), [f"s{i // 4}" for i in range(40)])
    made = superpose(trace, rng(5), rate_per_s=3 * own_rate(trace)).trace
    by_session = {}
    for name, request in zip(made.session.values(), made.request_tokens.tolist(), strict=True):
        by_session.setdefault(name, []).append(request)
    assert len(by_session) >= 30
    for requests in by_session.values():
        assert requests == sorted(requests)
        assert len({(r - 1) // 4 for r in requests}) == 1
        assert len(set(requests)) == len(requests)
    assert made.resolution_us == 1_000_000  # shifts are whole seconds


@settings(max_examples=15, deadline=None)
@given(traces())
def test_units_hold_every_row_once_sessions_together_in_time_order(trace):
    units = units_of(trace)
    assert sorted(units.rows.tolist()) == list(range(len(trace)))
    assert int(units.sizes.sum()) == len(trace)
    names = trace.session.values()
    for u in range(len(units)):
        rows, _ = units.rows_of(np.array([u]))
        assert rows.tolist() == sorted(rows.tolist())
        assert len({names[r] or r for r in rows}) == 1
    firsts = units.rows[units.heads]
    assert np.all(np.diff(firsts) > 0)
    assert len(units) == len({name for name in names if name}) + names.count(None)


@settings(max_examples=15, deadline=None)
@given(traces(), st.integers(0, 70))
def test_some_of_a_trace_are_as_many_as_asked_for(trace, n):
    made = some_of(rng(), trace, n)
    assert len(made) == min(n, len(trace))
    assert len(set(made.request_tokens.tolist())) == len(made)


def test_what_goes_beyond_the_end_goes_on_at_the_beginning_under_another_name():
    times, session = carried_round(
        np.array([1.0, 12.0, 8.0, 9.0, 34.0]), np.array([0, 2]), RateCurve.steady(10.0, 1.0, 1.0)
    )
    assert times.tolist() == [1.0, 2.0, 8.0, 9.0, 4.0]
    assert session.tolist() == [0, 1, 2, 2, 3]


@pytest.mark.parametrize("n", [0, 1])
def test_too_short_a_trace_is_an_error(n):
    trace = replace(trace_of(np.arange(3)).take(slice(0, n)))
    for way in (
        lambda: compress(trace, rate_per_s=1.0),
        lambda: superpose(trace, rng(), rate_per_s=1.0),
        lambda: thin(trace, rng(), rate_per_s=1.0),
    ):
        with pytest.raises(ValueError, match="2 are needed"):
            way()
