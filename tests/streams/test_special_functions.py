"""Incomplete beta and gamma functions and their quantiles against scipy."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from streams.stats.incomplete_beta import beta_quantile, incomplete_beta
from streams.stats.incomplete_gamma import gamma_quantile, incomplete_gamma

shapes = st.floats(-1.7, 4).map(lambda power: 10**power)
shares = st.floats(1e-9, 1 - 1e-9)
levels = st.one_of(st.floats(1e-6, 1 - 1e-6), st.sampled_from([0.025, 0.05, 0.5, 0.95, 0.975]))


@given(shapes, st.floats(-6, 3).map(lambda power: 10**power))
def test_incomplete_gamma_equals_scipy(a, ratio):
    mine, theirs = incomplete_gamma(a, a * ratio), special.gammainc(a, a * ratio)
    assert math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-290)
    assert math.isclose(1 - mine, special.gammaincc(a, a * ratio), rel_tol=1e-9, abs_tol=1e-14)


@given(levels, shapes)
def test_gamma_quantile_equals_scipy(p, a):
    assert math.isclose(gamma_quantile(p, a), special.gammaincinv(a, p), rel_tol=1e-8, abs_tol=1e-290)


@given(shapes, shapes, shares)
def test_incomplete_beta_equals_scipy(a, b, x):
    mine, theirs = incomplete_beta(a, b, x), special.betainc(a, b, x)
    assert math.isclose(mine, theirs, rel_tol=1e-8, abs_tol=1e-280)
    assert math.isclose(1 - mine, special.betaincc(a, b, x), rel_tol=1e-8, abs_tol=1e-13)


@settings(max_examples=200)
@given(levels, shapes, shapes)
def test_beta_quantile_is_where_the_distribution_has_that_value(p, a, b):
    x = beta_quantile(p, a, b)
    assert 0 < x < 1
    theirs = special.betaincinv(a, b, p)
    if 1e-9 < theirs < 1 - 1e-9:
        assert math.isclose(x, theirs, rel_tol=1e-7)
        assert math.isclose(1 - x, special.betainccinv(b, a, p) if theirs < 0.5 else 1 - theirs, rel_tol=1e-5)


@pytest.mark.parametrize("n", [1, 5, 30, 1000, 10**6])
@pytest.mark.parametrize("p", [0.025, 0.975])
def test_beta_quantiles_of_jeffreys_intervals_at_both_ends(n, p):
    for k in {0, 1, n // 2, n - 1, n}:
        a, b = k + 0.5, n - k + 0.5
        assert math.isclose(beta_quantile(p, a, b), special.betaincinv(a, b, p), rel_tol=1e-7)
