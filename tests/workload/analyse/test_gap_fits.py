"""Families fitted to gaps against scipy: parameters, likelihoods, KS distances; whole seconds against brute force."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from streams.stats.triangular import whole_gap_shape
from workload.analyse import cut_fits, fine_fits
from workload.analyse.cut_gaps import Histogram
from workload.analyse.log_gamma import gamma_cdf, log_gamma, normal_cdf


def sample(name, rng, n):
    return {
        "gamma": lambda: rng.gamma(0.4, 5.0, n),
        "weibull": lambda: 2.0 * rng.weibull(0.7, n),
        "lognormal": lambda: rng.lognormal(0.3, 1.2, n),
        "exponential": lambda: rng.exponential(3.0, n),
    }[name]()


def law(name, p):
    return {
        "exponential": lambda rate: stats.expon(scale=1 / rate),
        "gamma": lambda shape, rate: stats.gamma(shape, scale=1 / rate),
        "weibull": lambda shape, scale: stats.weibull_min(shape, scale=scale),
        "lognormal": lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
    }[name](*p)


def scipy_fit(name, x):
    if name == "exponential":
        return [1 / x.mean()]
    if name == "gamma":
        a, _, scale = stats.gamma.fit(x, floc=0)
        return [a, 1 / scale]
    if name == "weibull":
        k, _, scale = stats.weibull_min.fit(x, floc=0)
        return [k, scale]
    return [np.log(x).mean(), np.log(x).std()]


@pytest.mark.parametrize("truth", ["gamma", "weibull", "lognormal", "exponential"])
def test_fine_gaps_are_fitted_as_scipy_fits_them(truth):
    rng = np.random.default_rng(3)
    parts = [sample(truth, rng, n) for n in (40, 300, 31)]
    first = np.cumsum([0, 40, 300])
    fits = fine_fits.fit_all(np.concatenate(parts), first)
    for name, fit in fits.items():
        for i, x in enumerate(parts):
            np.testing.assert_allclose(fit.parameters[:, i], scipy_fit(name, x), rtol=2e-4)
            dist = law(name, fit.parameters[:, i])
            assert fit.log_likelihood[i] == pytest.approx(dist.logpdf(x).sum(), abs=1e-6 * len(x))
            assert fit.ks[i] == pytest.approx(stats.kstest(x, dist.cdf).statistic, abs=2e-6)


def test_equal_gaps_have_an_exponential_fit_and_no_other():
    fits = fine_fits.fit_all(np.full(50, 2.0), np.array([0]))
    assert np.isfinite(fits["exponential"].log_likelihood[0])
    assert all(np.isnan(fits[name].ks[0]) for name in ("gamma", "weibull", "lognormal"))


def histogram(parts):
    windows, gaps, counts = [], [], []
    for i, m in enumerate(parts):
        table = np.bincount(m, minlength=2)
        kept = np.flatnonzero((table > 0) | (np.arange(len(table)) < 2))
        windows += [i] * len(kept)
        gaps += kept.tolist()
        counts += table[kept].tolist()
    return Histogram(np.array(windows), np.array(gaps), np.array(counts), len(parts))


def cut(x, rng):
    """Return the whole-second gaps of events with true gaps ``x``."""
    return np.diff(np.floor(rng.random() + np.cumsum(x))).astype(np.int64)


def mean_cdf(dist, m):
    """The chance that a gap shows as ``m`` or less, by numerical integration."""
    return integrate.quad(dist.cdf, m, m + 1, epsabs=1e-9)[0]


def interval_log_likelihood(dist, m):
    """Sum of ln P(gap shows as m), P(m) = H(m) - H(m - 1), H(m) the integral of the distribution function."""
    values, counts = np.unique(m, return_counts=True)
    p = [mean_cdf(dist, v) - (mean_cdf(dist, v - 1) if v else 0) for v in values]
    return float(counts @ np.log(p))


@pytest.fixture(scope="module")
def whole():
    rng = np.random.default_rng(11)
    parts = [cut(sample(name, rng, 400), rng) for name in ("gamma", "weibull", "lognormal", "exponential")]
    gaps, total = (np.array([f(m) for m in parts], float) for f in (len, sum))
    return parts, cut_fits.fit_all(histogram(parts), gaps, total)


@pytest.mark.parametrize("name", ["exponential", "gamma", "weibull", "lognormal"])
def test_whole_second_gaps_have_the_interval_likelihood(whole, name):
    parts, fits = whole
    for i, m in enumerate(parts):
        dist = law(name, fits[name].parameters[:, i])
        assert fits[name].log_likelihood[i] == pytest.approx(interval_log_likelihood(dist, m), abs=0.02)
        ks = max(
            abs(np.mean(m <= v) - mean_cdf(dist, v)) for v in range(int(m.max()) + 1)
        )  # both functions change at whole seconds only
        assert fits[name].ks[i] == pytest.approx(ks, abs=2e-3)


@pytest.mark.parametrize("name", ["exponential", "weibull", "lognormal"])
def test_no_other_parameters_are_likelier(whole, name):
    parts, fits = whole
    i = 2
    at = fits[name].parameters[:, i]
    for step in (0.97, 1.03):
        for k in range(len(at)):
            moved = at.copy()
            moved[k] *= step
            assert interval_log_likelihood(law(name, moved), parts[i]) < fits[name].log_likelihood[i] + 0.02


def test_the_gamma_shape_is_that_of_the_live_analysis(whole):
    parts, fits = whole
    for i, m in enumerate(parts):
        shape, lower, upper = whole_gap_shape(*np.unique(m, return_counts=True))
        assert fits["gamma"].parameters[0, i] == pytest.approx(shape, rel=2e-3)
        half = 1.959964 / np.sqrt(fits["gamma"].curvature[i])
        assert [np.exp(-half), np.exp(half)] == pytest.approx([lower / shape, upper / shape], rel=0.02)


def test_cut_gaps_give_the_truth_back():
    rng = np.random.default_rng(5)
    shapes, ks, sigmas = [], [], []
    for _ in range(25):
        g, w, ln = (cut(sample(name, rng, 500), rng) for name in ("gamma", "weibull", "lognormal"))
        parts = [g, w, ln]
        fits = cut_fits.fit_all(histogram(parts), *(np.array([f(m) for m in parts], float) for f in (len, sum)))
        shapes.append(fits["gamma"].parameters[0, 0])
        ks.append(fits["weibull"].parameters[0, 1])
        sigmas.append(fits["lognormal"].parameters[1, 2])
    assert np.median(shapes) == pytest.approx(0.4, rel=0.06)
    assert np.median(ks) == pytest.approx(0.7, rel=0.06)
    assert np.median(sigmas) == pytest.approx(1.2, rel=0.06)


def test_gaps_that_are_all_alike_have_no_shape():
    fits = cut_fits.fit_all(histogram([np.full(60, 3)]), np.array([60.0]), np.array([180.0]))
    assert np.isnan(fits["gamma"].ks[0])
    assert np.isnan(fits["gamma"].parameters[0, 0])


def test_special_functions_are_scipys():
    rng = np.random.default_rng(0)
    a = np.exp(rng.uniform(np.log(0.02), np.log(200), 5000))
    x = a * np.exp(rng.normal(0, 1.5, 5000))
    np.testing.assert_allclose(gamma_cdf(a, x), special.gammainc(a, x), atol=1e-7)
    np.testing.assert_allclose(log_gamma(a), special.gammaln(a), atol=1e-10, rtol=1e-12)
    z = rng.normal(0, 3, 1000)
    np.testing.assert_allclose(normal_cdf(z), special.ndtr(z), atol=1e-7)
