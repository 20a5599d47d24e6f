"""Allan factor, burstiness, memory, misfit, peaks and thinning: brute force, scipy, and simulated truth."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from streams.stats.allan import allan_factor
from streams.stats.burn_rate import BURN_RULES, burn_rate
from streams.stats.burstiness import burstiness, kim_jo
from streams.stats.cv import squared_cv
from streams.stats.dispersion import index_of_dispersion
from streams.stats.jeffreys import jeffreys_bounds
from streams.stats.memory import memory_coefficient
from streams.stats.misfit import misfit
from streams.stats.peak import PEAK_Z_MAX, peak_to_mean, peak_z
from streams.stats.thinning import dispersion_before, squared_cv_before

counts = st.lists(st.integers(0, 50), min_size=2, max_size=60)
gaps = st.lists(st.integers(0, 10**9), min_size=3, max_size=60)


@given(counts)
def test_allan_factor_is_half_the_mean_squared_step_over_the_mean(n):
    assume(any(n))
    steps = sum((b - a) ** 2 for a, b in pairwise(n))
    expected = np.mean(np.diff(n) ** 2.0) / (2 * np.mean(n))
    assert math.isclose(allan_factor(len(n), sum(n), steps), expected, rel_tol=1e-12)


def test_a_drifting_rate_moves_the_index_of_dispersion_and_not_the_allan_factor():
    """Poisson, 5/s rising to 15/s in 20 min, in 10-s bins: the index says 9, the Allan factor 1."""
    rng = np.random.default_rng(1)
    n = rng.poisson(np.linspace(50, 150, 120), (200, 120))
    allan = [allan_factor(120, int(row.sum()), int((np.diff(row) ** 2).sum())) for row in n]
    index = [index_of_dispersion(120, int(row.sum()), int((row * row).sum())) for row in n]
    assert abs(np.mean(allan) - 1) < 0.05
    assert np.mean(index) > 8


@given(gaps)
def test_memory_is_the_correlation_of_neighbouring_gaps(x):
    products = sum(a * b for a, b in pairwise(x))
    m = memory_coefficient(len(x), sum(x), sum(v * v for v in x), products=products, ends=(x[0], x[-1]))
    if len(set(x[1:])) == 1 or len(set(x[:-1])) == 1:
        assert m is None
    else:
        assert -1 <= m <= 1
        assert math.isclose(m, stats.pearsonr(x[:-1], x[1:]).statistic, abs_tol=1e-6)


def test_memory_is_that_of_an_autoregression_and_minus_one_in_n_for_renewal_gaps():
    rng = np.random.default_rng(2)
    found = {0.0: [], 0.4: []}
    for rho, values in found.items():
        for _ in range(300):
            e = rng.normal(0, math.sqrt(1 - rho * rho), 200)
            x = np.empty(200)
            x[0] = rng.normal()
            for i in range(1, 200):
                x[i] = rho * x[i - 1] + e[i]
            us = [round(10**6 * v) for v in (x + 10).tolist()]
            products = sum(a * b for a, b in pairwise(us))
            squares = sum(v * v for v in us)
            values.append(memory_coefficient(200, sum(us), squares, products=products, ends=(us[0], us[-1])))
    assert abs(np.mean(found[0.0]) + 1 / 200) < 0.012
    assert abs(np.mean(found[0.4]) - 0.4) < 0.03


@pytest.mark.parametrize(("shape", "n"), [(0.25, 5), (0.25, 10), (0.25, 30), (0.5, 10), (2.0, 10)])
def test_burstiness_from_the_corrected_cv_has_little_bias(shape, n):
    """Medians over 2,000 samples, as the docstring's figures; less than Kim and Jo's well off Poisson."""
    truth = (1 - math.sqrt(shape)) / (1 + math.sqrt(shape))
    corrected, plain, modified = [], [], []
    for row in np.random.default_rng(3).gamma(shape, 1e6, (2000, n)).astype(np.int64).tolist():
        total, squares = sum(row), sum(v * v for v in row)
        population = n * squares / total**2 - 1
        corrected.append(burstiness(squared_cv(n, total, squares)))
        plain.append(burstiness(population))
        modified.append(kim_jo(math.sqrt(population), n))
    bias = abs(np.median(corrected) - truth)
    assert bias < 0.06
    assert bias < abs(np.median(plain) - truth)
    if shape != 0.5:
        assert bias < abs(np.median(modified) - truth)


@pytest.mark.parametrize("n", [2, 7, 100])
def test_kim_jo_has_its_three_anchors(n):
    assert kim_jo(0.0, n) == -1
    assert abs(kim_jo(math.sqrt((n - 1) / (n + 1)), n)) < 1e-12
    assert math.isclose(kim_jo(math.sqrt(n - 1), n), 1)


def test_misfit_is_signed_and_absent_without_both():
    assert misfit(2.0, 1.0) == -misfit(1.0, 2.0) == math.log(2)
    assert misfit(None, 1.0) is None
    assert misfit(1.0, None) is None


@given(counts)
def test_the_peak_to_mean_ratio_is_the_greatest_count_over_the_mean(n):
    assume(any(n))
    assert math.isclose(peak_to_mean(len(n), sum(n), max(n)), max(n) / np.mean(n), rel_tol=1e-12)


@given(st.integers(2, 4000), st.integers(1, 5000), st.data())
def test_the_peaks_deviate_has_the_tail_of_the_greatest_of_so_many_binomials(bins, total, data):
    peak = data.draw(st.integers(-(-total // bins), total))
    tail = stats.binom.sf(peak - 1, total, 1 / bins)
    expected = stats.norm.isf(-math.expm1(bins * math.log1p(-tail))) if tail < 1 else -9
    if expected > -5:
        assert math.isclose(peak_z(bins, total, peak), min(expected, PEAK_Z_MAX), rel_tol=1e-4, abs_tol=1e-6)


@pytest.mark.parametrize(("bins", "mean"), [(60, 0.5), (60, 5.0), (300, 50.0), (1200, 2.0)])
def test_the_peak_of_poisson_traffic_is_no_more_surprising_than_a_normal_deviate(bins, mean):
    n = np.random.default_rng(4).poisson(mean, (2000, bins))
    z = np.array([peak_z(bins, int(row.sum()), int(row.max())) for row in n])
    assert (z > 1.2816).mean() < 0.1 + 0.02
    assert (z > 2.326).mean() < 0.01 + 0.007


@pytest.mark.parametrize("keep", [0.5, 0.25])
@pytest.mark.parametrize("shape", [0.25, 1.0, 2.0])
def test_thinning_is_undone_in_expectation(shape, keep):
    """20 Gamma renewal streams of 40,000 events, each event kept with probability ``keep``."""
    rng = np.random.default_rng(5)
    cv2, index = [], []
    for _ in range(20):
        t = np.cumsum(rng.gamma(shape, 1 / shape, 40_000))
        t = t[rng.random(40_000) < keep]
        x = np.diff(t)
        cv2.append(squared_cv_before(x.var() / x.mean() ** 2, keep))
        n = np.bincount((t / 50).astype(int))[:-1]
        index.append(dispersion_before(n.var(ddof=1) / n.mean(), keep))
    expected = 1 / shape + (1 - 1 / shape**2) / 300
    for values, truth in ((cv2, 1 / shape), (index, expected)):
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(20)
        assert abs(np.mean(values) / truth - 1) < 0.15


def test_thinning_refuses_a_share_that_is_none():
    for keep in (0, -1, 1.5):
        with pytest.raises(ValueError, match="share of events kept"):
            dispersion_before(1.0, keep)


@given(st.integers(1, 10**6), st.data())
def test_jeffreys_bounds_are_scipys_beta_quantiles(n, data):
    k = data.draw(st.integers(0, n))
    lower, upper = jeffreys_bounds(k, n)
    assert math.isclose(lower, stats.beta.ppf(0.025, k + 0.5, n - k + 0.5) if k else 0, rel_tol=1e-7)
    assert math.isclose(upper, stats.beta.ppf(0.975, k + 0.5, n - k + 0.5) if k < n else 1, rel_tol=1e-7)
    assert lower <= k / n <= upper


def test_burn_rules_spend_the_share_of_a_30_day_budget_that_they_say():
    for rule in BURN_RULES:
        assert math.isclose(rule.factor * rule.long_s / (30 * 86_400), rule.budget_share)
        assert rule.long_s == 12 * rule.short_s
    assert burn_rate(0, 0, 0.01) is None
    with pytest.raises(ValueError, match="budget"):
        burn_rate(1, 2, 0.0)
