"""The estimators against scipy, against known truths, and against their own claims of bias."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from streams.stats.anscombe import burst_score
from streams.stats.cv import squared_cv
from streams.stats.dispersion import index_of_dispersion
from streams.stats.gamma import mle, moment, shape_interval, ye_chen
from streams.stats.polygamma import digamma, tetragamma, trigamma
from streams.stats.wilson import wilson_bounds


def test_polygamma_equals_scipy_over_six_decades():
    x = np.geomspace(0.01, 1e4, 300)
    for order, mine in enumerate((digamma, trigamma, tetragamma)):
        assert np.allclose(mine(x), special.polygamma(order, x), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("shape", [0.25, 0.5, 1.0, 3.0])
def test_mle_without_its_correction_maximises_the_likelihood(shape):
    gaps = np.random.default_rng(3).gamma(shape, 2.0, 60)
    a = float(mle(len(gaps), gaps.sum(), np.log(gaps).sum()))
    best, _, _ = stats.gamma.fit(gaps, floc=0)

    def corrected(a):  # Giles and Feng 2009, with scipy's functions
        p1, p2 = special.polygamma(1, a), special.polygamma(2, a)
        return a - (a * (p1 - a * p2) - 2) / (2 * len(gaps) * (a * p1 - 1) ** 2)

    assert math.isclose(corrected(best), a, rel_tol=1e-6)


@pytest.mark.parametrize("shape", [0.25, 0.5, 1.0, 2.0])
def test_corrected_shapes_are_unbiased_where_raw_ones_are_not(shape):
    """30 gaps: mean within 3.5 % of the truth (the raw Ye-Chen estimate is 8 to 10 % high)."""
    gaps = np.random.default_rng(5).gamma(shape, 1.0, (20_000, 30))
    total, logs, total_logs = gaps.sum(1), np.log(gaps).sum(1), (gaps * np.log(gaps)).sum(1)
    closed = [ye_chen(30, *sums) for sums in zip(total.tolist(), logs.tolist(), total_logs.tolist(), strict=True)]
    likely = mle(30, total, logs)
    raw = 30 * total / (30 * total_logs - logs * total)
    assert abs(np.mean(closed) / shape - 1) < 0.035
    assert abs(likely.mean() / shape - 1) < 0.02
    assert raw.mean() / shape - 1 > 0.06


@pytest.mark.parametrize(
    ("shape", "rate", "n"), [(0.25, 0.3, 1000), (0.25, 3.0, 1000), (0.5, 100.0, 1000), (1.0, 1000.0, 5000)]
)
def test_a_few_gaps_that_microseconds_cannot_tell_from_zero_do_no_harm(shape, rate, n):
    """0.05 to 2.6 % zeros: unbiased, the interval holds, and less scatter than by moments."""
    rng = np.random.default_rng(13)
    found, held, moments = [], 0, []
    for _ in range(300):
        us = np.diff(
            np.floor(np.cumsum(rng.gamma(shape, 1e6 / shape / rate, n + 1)) + rng.uniform(0, 9)).astype(np.int64)
        )
        x = us[us > 0] / 1e6
        log = np.log(x)
        found.append(ye_chen(n, x.sum(), log.sum(), (x * log).sum(), int((us == 0).sum())))
        low, high = shape_interval(found[-1], n)
        held += low <= shape <= high
        moments.append(moment(squared_cv(n, int(us.sum()), sum(v * v for v in us.tolist()))))
    assert abs(np.mean(found) / shape - 1) < 0.012
    assert 0.9 < held / 300 < 0.985
    assert np.std(found) < 0.75 * np.std(moments)


@pytest.mark.parametrize("shape", [0.5, 1.0, 4.0])
def test_the_cv_correction_rests_on_an_exact_identity(shape):
    """E[r2] = (n-1)/(n alpha + 1): the corrected CV^2 of the expected r2 is 1/alpha exactly."""
    n, unit = 12, 10**6
    gaps = np.random.default_rng(7).gamma(shape, 1.0, (40_000, n))
    r2 = n * (gaps**2).sum(1) / gaps.sum(1) ** 2 - 1
    expected = (n - 1) / (n * shape + 1)
    assert math.isclose(r2.mean(), expected, rel_tol=0.02)
    # whole gaps with exactly that r2 do not exist; put it in through total and squares instead
    total, squares = n * unit, round((expected + 1) * n * unit * unit)
    assert math.isclose(squared_cv(n, total, squares), 1 / shape, rel_tol=1e-9)


def test_clockwork_gives_a_cv_of_exactly_zero_and_no_shape():
    """1,000 gaps of 0.1 s: floating point sums would leave 1e-8 of noise here."""
    x, n = 100_000, 1000
    assert squared_cv(n, n * x, n * x * x) == 0.0
    assert moment(0.0) is None
    log = math.log(0.1)
    assert ye_chen(n, n * 0.1, n * log, n * 0.1 * log) is None
    assert np.isnan(mle(n, n * 0.1, n * log))


def test_nothing_to_estimate_gives_none():
    assert squared_cv(1, 5, 25) is None
    assert squared_cv(10, 0, 0) is None
    assert squared_cv(10, 7, 49) is None  # all of the time in one gap
    assert ye_chen(1, 1.0, 0.0, 0.0) is None
    assert index_of_dispersion(30, 0, 0) is None
    assert index_of_dispersion(1, 5, 25) is None
    assert wilson_bounds(0, 0) is None


def test_dispersion_is_the_sample_variance_over_the_mean():
    counts = np.random.default_rng(9).negative_binomial(3, 0.2, 500)
    expected = counts.var(ddof=1) / counts.mean()
    actual = index_of_dispersion(500, int(counts.sum()), int((counts**2).sum()))
    assert math.isclose(expected, actual, rel_tol=1e-12)


@pytest.mark.parametrize(("k", "n"), [(1, 2), (3, 10), (499, 500), (17, 100_000)])
def test_wilson_bounds_are_where_the_score_test_turns(k, n):
    z = stats.norm.ppf(0.975)
    lower, upper = wilson_bounds(k, n)

    def score(p):
        return (k / n - p) ** 2 - z * z * p * (1 - p) / n

    assert 0 < lower < k / n < upper < 1
    assert math.isclose(optimize.brentq(score, 1e-12, k / n, xtol=1e-15), lower, rel_tol=1e-6)
    assert math.isclose(optimize.brentq(score, k / n, 1 - 1e-12, xtol=1e-15), upper, rel_tol=1e-6)


def test_wilson_bounds_reach_the_ends_of_the_range_exactly():
    z2 = stats.norm.ppf(0.975) ** 2
    assert wilson_bounds(0, 40) == pytest.approx((0, z2 / (40 + z2)))
    assert wilson_bounds(0, 40)[0] == 0
    assert wilson_bounds(40, 40)[1] == 1


def test_the_score_is_standard_normal_in_poisson_traffic():
    counts = np.random.default_rng(11).poisson(50, 20_000)
    z = np.array([burst_score(c, 50, 1.0, 0.0) for c in counts.tolist()])
    assert abs(z.mean()) < 0.05
    assert abs(z.std() - 1) < 0.03
