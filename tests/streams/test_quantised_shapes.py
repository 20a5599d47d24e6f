"""Whole-second stamps: the triangular likelihood, the counts' inversion, and which of them is chosen when."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from streams.stats.cv import squared_cv
from streams.stats.dispersion import index_of_dispersion, shape_of_dispersion
from streams.stats.gamma import moment
from streams.stats.gamma_fit import BinnedCounts, cut_to_seconds, fit_gaps, fit_whole_seconds
from streams.stats.triangular import SPREAD_MIN, _Cells, whole_gap_shape


def arrivals(rng, shape, rate, seconds):
    """Gamma renewal arrivals in [0, seconds), in equilibrium."""
    n = int(rate * seconds * 1.2 + 8 * math.sqrt(rate * seconds / shape) + 60 / shape)
    t = np.cumsum(rng.gamma(shape, 1 / (shape * rate), n)) - 20 / (shape * rate) - rng.uniform(0, 5 / rate)
    assert t[-1] > seconds
    return t[(t >= 0) & (t < seconds)]


def cells(stamps):
    return np.unique(np.diff(np.floor(stamps).astype(int)), return_counts=True)


def likelihood(found, shape, mean):
    """The composite likelihood from its definition, by adaptive quadrature over scipy's density."""
    density = stats.gamma(shape, scale=mean / shape).pdf
    value = 0.0
    for m, count in found.items():
        left = 0.0
        if m:  # x = u^(1/k) takes the density's pole at 0 away
            k = min(shape, 1) if m == 1 else 1
            left, _ = integrate.quad(
                lambda u, k=k, m=m: (u ** (1 / k) - m + 1) * density(u ** (1 / k)) * u ** (1 / k - 1) / k,
                (m - 1) ** k,
                m**k,
            )
        k = min(shape, 1) if m == 0 else 1
        right, _ = integrate.quad(
            lambda u, k=k, m=m: (m + 1 - u ** (1 / k)) * density(u ** (1 / k)) * u ** (1 / k - 1) / k,
            m**k,
            (m + 1) ** k,
        )
        value += count * math.log(left + right)
    return value


HISTOGRAMS = [
    ({0: 40, 1: 20, 2: 8, 5: 2}, 0.3),
    ({0: 40, 1: 20, 2: 8, 5: 2}, 2.0),
    ({3: 5, 8: 30, 9: 20, 14: 4}, 5.0),
    ({0: 500, 1: 30, 40: 3}, 0.2),
    ({1: 100, 2: 100}, 6.0),
]


@pytest.mark.parametrize(("found", "shape"), HISTOGRAMS)
def test_the_likelihood_is_the_integral_of_triangles_over_the_density(found, shape):
    gaps, counts = np.array(list(found), float), np.array(list(found.values()), float)
    mean = float(gaps @ counts / counts.sum())
    assert math.isclose(_Cells(gaps, counts, mean).likelihood(shape), likelihood(found, shape, mean), rel_tol=1e-6)


@pytest.mark.parametrize("found", [found for found, _ in HISTOGRAMS[:4]])
def test_the_shape_maximises_it(found):
    mean = sum(m * c for m, c in found.items()) / sum(found.values())
    best = optimize.minimize_scalar(lambda a: -likelihood(found, math.exp(a), mean), bounds=(-3.9, 4), method="bounded")
    assert math.isclose(whole_gap_shape(list(found), list(found.values()))[0], math.exp(best.x), rel_tol=2e-3)


# Where gaps vary by less than a few tenths of a second the sample may not tell: those samples are left out.
GRID = [(0.1, 0.25), (0.5, 0.25), (0.5, 0.5), (0.5, 1.0), (1.0, 0.5), (1.0, 2.0), (2.0, 0.5), (2.0, 1.0), (2.0, 2.0)]


@pytest.mark.parametrize(("rate", "shape"), GRID)
def test_stamps_cut_to_seconds_still_give_the_shape(rate, shape):
    """Median over 20-min windows within 5 % of the truth (7 % for 120 gaps)."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        found.append(whole_gap_shape(*cells(arrivals(rng, shape, rate, 1200)))[0])
    assert abs(np.median(found) / shape - 1) < (0.05 if rate > 0.1 else 0.07)


def test_the_same_stamps_mislead_the_other_estimators():
    """Why all this: at two a second and shape .5, jitter says 1.6 times too much, moments a fifth too little."""
    rng = np.random.default_rng(2)
    moments, jittered = [], []
    for _ in range(40):
        t = np.floor(arrivals(rng, 0.5, 2.0, 1200))
        x = np.diff(t)
        moments.append(moment(squared_cv(len(x), int(x.sum()), int((x * x).sum()))))
        x = np.diff(np.sort(t + rng.uniform(0, 1, len(t))))
        fit = fit_gaps(len(x), float(x.sum()), None, zeros=0, logs=(np.log(x).sum(), (x * np.log(x)).sum()))
        jittered.append(fit.shape)
    assert np.median(moments) / 0.5 < 0.9
    assert np.median(jittered) / 0.5 > 1.4


@pytest.mark.parametrize("rate", [10.0, 40.0])
@pytest.mark.parametrize("shape", [0.25, 0.5, 1.0, 2.0])
def test_beyond_two_events_a_second_counts_give_the_shape(rate, shape):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(30):
        n = np.bincount(arrivals(rng, shape, rate, 600).astype(int), minlength=600)
        index = index_of_dispersion(600, int(n.sum()), int((n * n).sum()))
        found.append(shape_of_dispersion(index, n.sum() / 600, 1.0))
    assert abs(np.median(found) / shape - 1) < 0.05


@pytest.mark.parametrize("shape", [0.25, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("events", [5, 20, 300])
def test_the_inversion_undoes_coxs_formula(shape, events):
    index = 1 / shape + (1 - 1 / shape**2) / (6 * events)
    if 1 / shape < 3 * events:  # the formula's turning point
        assert math.isclose(shape_of_dispersion(index, events / 10, 10.0), shape, rel_tol=1e-9)


def test_methods_are_chosen_by_rate_and_named():
    rng = np.random.default_rng(4)
    for rate, expected in ((0.3, "triangular"), (2.0, "triangular"), (2.5, "dispersion"), (20.0, "dispersion")):
        t = arrivals(rng, 0.5, rate, 1200)
        t = t[: len(t)]
        counts = [np.bincount((t // width).astype(int), minlength=1200 // width) for width in (1, 10)]
        binned = [
            BinnedCounts(width, 1200 // width, int(n.sum()), int((n * n).sum()))
            for width, n in zip((1, 10), counts, strict=True)
        ]
        fit = fit_whole_seconds(len(t) / 1200, None, histogram=cells(t), binned=binned)
        assert fit.method == expected
        assert fit.lower < fit.shape < fit.upper
        assert abs(math.log(fit.shape / 0.5)) < 0.5


def test_without_a_histogram_slow_streams_use_moments_and_say_no_interval():
    assert fit_whole_seconds(0.4, 2.0, histogram=None, binned=[]) == (0.5, None, None, "moment")
    assert fit_whole_seconds(0.6, 2.0, histogram=None, binned=[]) is None
    assert fit_whole_seconds(0.4, None, histogram=None, binned=[]) is None


def test_where_the_histogram_tells_nothing_counts_speak_and_else_nobody():
    flat = ([0, 1], [250, 250])
    clockwork = BinnedCounts(10, 100, 2000, 40_000)
    poisson = BinnedCounts(10, 100, 2000, 42_000)
    assert whole_gap_shape(*flat) is None
    assert fit_whole_seconds(2.0, 1.0, histogram=flat, binned=[clockwork]) is None
    assert fit_whole_seconds(2.0, 1.0, histogram=flat, binned=[poisson]).method == "dispersion"


def test_the_narrowest_bins_with_five_events_are_taken():
    one, ten = BinnedCounts(1, 300, 3000, 60_000), BinnedCounts(10, 30, 3000, 400_000)
    assert fit_whole_seconds(10.0, None, histogram=None, binned=[ten, one]).shape == shape_of_dispersion(
        index_of_dispersion(300, 3000, 60_000), 10.0, 1
    )
    slow = [BinnedCounts(1, 300, 900, 3600), BinnedCounts(10, 30, 900, 30_000)]
    assert fit_whole_seconds(3.0, None, histogram=None, binned=slow).shape == shape_of_dispersion(
        index_of_dispersion(30, 900, 30_000), 3.0, 10
    )


def test_whole_seconds_are_recognised_from_99_in_a_hundred_on():
    assert cut_to_seconds(101, 100)
    assert not cut_to_seconds(100, 99)
    assert not cut_to_seconds(0, 0)


@settings(max_examples=200)
@given(st.dictionaries(st.integers(0, 5000), st.integers(1, 10**6), max_size=30))
def test_any_histogram_gives_a_shape_in_range_or_none(found):
    gaps = sorted(found)
    fit = whole_gap_shape(gaps, [found[m] for m in gaps])
    if fit is not None:
        shape, lower, upper = fit
        mean = sum(m * c for m, c in found.items()) / sum(found.values())
        assert 0.02 < shape < (mean / SPREAD_MIN) ** 2
        assert 0 < lower < shape < upper


@given(
    st.floats(0, 1e4),
    st.one_of(st.none(), st.floats(0, 1e3)),
    st.integers(2, 4000),
    st.integers(0, 10**6),
    st.integers(0, 10**7),
)
def test_any_counts_give_a_fit_or_none(rate, squared, bins, total, extra):
    squares = -(-total * total // bins) + extra
    fit = fit_whole_seconds(rate, squared, histogram=None, binned=[BinnedCounts(10, bins, total, squares)])
    if fit and fit.lower is not None:
        assert 0 < fit.lower <= fit.shape <= fit.upper
