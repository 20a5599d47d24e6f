"""Arrivals along a rate: exact in number, in order, distributed as the shape says, uneven only where asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workload.model.gap_law import gap_moments
from workload.model.model import Quantiles
from workload.scale.renewal import RateCurve, arrivals, unit_gaps, weibull_shape


def rng(seed=1):
    return np.random.default_rng(seed)


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(0, 300),
    rates=st.lists(st.floats(0, 50), min_size=1, max_size=12).filter(lambda r: sum(r) > 0.01),
    alpha=st.floats(1e-4, 1e4),
    family=st.sampled_from(["gamma", "weibull", "lognormal", "exponential"]),
    seed=st.integers(0, 5),
)
def test_any_curve_gives_exactly_n_times_in_order_inside_it(n, rates, alpha, family, seed):
    m = len(rates)
    curve = RateCurve(
        edges_s=np.arange(m + 1) * 10.0, rate_per_s=np.array(rates), alpha=alpha * (1.0 + np.arange(m) % 2)
    )
    times = arrivals(rng(seed), curve, n, family)
    assert len(times) == n
    assert np.all(np.diff(times) >= 0)
    assert np.all((times >= 0) & (times < 10.0 * m))


def test_windows_get_as_many_as_their_rate_says():
    rates = rng(2).lognormal(0, 1, 50)
    curve = RateCurve(edges_s=np.arange(51) * 1200.0, rate_per_s=rates, alpha=rng(3).uniform(0.3, 2, 50))
    n = round(curve.expected)
    counts = np.histogram(arrivals(rng(4), curve, n), curve.edges_s)[0]
    assert np.abs(counts - rates * 1200 * n / curve.expected).max() <= 1 + 1e-6


def test_edges_of_windows_leave_no_mark_in_the_times():
    """Scaling each window to its number must not put a request right on every edge, nor a hole beside it."""
    curve = RateCurve(edges_s=np.arange(5001) * 20.0, rate_per_s=np.ones(5000), alpha=np.tile([0.99, 1.01], 2500))
    phase = arrivals(rng(5), curve, 100_000) % 20.0
    assert stats.kstest(phase / 20.0, "uniform").statistic < 0.006
    assert np.histogram(phase, bins=40, range=(0, 20))[0] == pytest.approx(np.full(40, 2500), rel=0.08)


def test_gaps_given_their_number_have_the_dirichlet_variance():
    """E[r^2] = (n-1)/(n alpha + 1) for n Gamma gaps over their sum (exact), here by Monte Carlo."""
    alpha, n = 0.5, 12
    curve = RateCurve.steady(float(n), 1.0, alpha)
    squares = []
    for seed in range(800):
        times = arrivals(rng(seed), curve, n - 1)
        gaps = np.diff(np.concatenate(([0.0], times, [float(n)])))
        squares.append(gaps.var() / gaps.mean() ** 2)
    assert np.mean(squares) == pytest.approx((n - 1) / (n * alpha + 1), rel=0.05)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 7.0])
def test_the_weibull_shape_has_the_asked_cv(alpha):
    law = stats.weibull_min(weibull_shape(alpha))
    assert law.var() / law.mean() ** 2 == pytest.approx(1 / alpha, rel=1e-6)


def test_gaps_of_several_shapes_come_one_stretch_after_the_other():
    gaps = unit_gaps(rng(), np.array([0.2, 5.0]), np.array([50_000, 50_000]), "gamma")
    assert gaps.mean() == pytest.approx(1.0, rel=0.03)
    assert 1 / gaps[:50_000].var() == pytest.approx(0.2, rel=0.1)
    assert 1 / gaps[50_000:].var() == pytest.approx(5.0, rel=0.05)


def test_nothing_to_follow_is_an_error():
    with pytest.raises(ValueError, match="0 everywhere"):
        arrivals(rng(), RateCurve.steady(10.0, 0.0, 1.0), 5)
    with pytest.raises(ValueError, match="unknown family"):
        arrivals(rng(), RateCurve.steady(10.0, 1.0, 1.0), 5, "pareto")


HEAVY = Quantiles(probabilities=(0.0, 0.2, 0.9, 0.999, 1.0), values=(0.0, 0.01, 0.5, 40.0, 400.0))


@pytest.mark.filterwarnings("error")
def test_gaps_that_are_nearly_nothing_are_spread_without_overflow():
    for seed in range(300):
        times = arrivals(rng(seed), RateCurve.steady(1.0, 5.0, 1e-4), 5)
        assert np.all((times >= 0) & (times < 1))


def test_moments_of_a_law_of_quantiles_are_those_of_what_is_drawn():
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    x = np.exp(np.interp(u, HEAVY.probabilities, np.log(np.maximum(HEAVY.values, 1e-9))))
    mean, squared_cv = gap_moments(HEAVY)
    assert mean == pytest.approx(x.mean(), rel=1e-5)
    assert squared_cv == pytest.approx(x.var() / x.mean() ** 2, rel=1e-3)
    drawn = unit_gaps(rng(), np.ones(1), np.array([20_000]), HEAVY)
    assert (drawn.mean(), drawn.var() / drawn.mean() ** 2) == pytest.approx((mean, squared_cv), rel=0.03)
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.03  # in an order of chance


def test_gaps_by_their_quantiles_follow_the_rate():
    curve = RateCurve(
        edges_s=np.array([0.0, 100.0, 200.0]), rate_per_s=np.array([9.0, 1.0]), alpha=np.array([1.0, 2.0])
    )
    times = arrivals(rng(), curve, 30_000, HEAVY)
    assert len(times) == 30_000
    assert np.all(np.diff(times) >= 0)
    assert np.count_nonzero(times < 100) == pytest.approx(27_000, rel=0.03)
    ticks = np.interp(times, curve.edges_s, curve.counts)
    assert np.std(np.diff(ticks)) / np.mean(np.diff(ticks)) == pytest.approx(gap_moments(HEAVY)[1] ** 0.5, rel=0.05)
