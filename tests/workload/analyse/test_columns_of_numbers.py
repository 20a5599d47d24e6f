"""Tallies, laws of lengths, correlations and the relation of lengths against numpy and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from workload.analyse.compare import ks_p_value
from workload.analyse.lengths import correlations, relation
from workload.analyse.quantiles import correlation, quantiles, ranks
from workload.analyse.tallies import response_width, tallies, together
from workload.analyse.tally import Tally, merged, two_sample_ks
from workload.analyse.zipf import zipf
from workload.trace.columns import Trace

numbers = st.lists(st.integers(0, 300), min_size=1, max_size=80)


@settings(max_examples=30)
@given(numbers)
def test_a_tally_says_what_the_numbers_say(values):
    x = np.array(values)
    found = Tally.of(x).numbers(law=True, whole=True)
    assert (found.n, found.zeros, found.min, found.max) == (len(x), np.count_nonzero(x == 0), x.min(), x.max())
    assert found.mean == pytest.approx(x.mean())
    assert found.sd == (pytest.approx(x.std(ddof=1)) if len(x) > 1 else None)
    for name, value in found.quantiles.items():
        assert value == pytest.approx(np.percentile(x, float(name[1:])))
    assert sum(found.histogram["counts"]) == len(x)
    assert found.histogram["edges"] == sorted(set(found.histogram["edges"]))
    assert len(found.histogram["edges"]) == len(found.histogram["counts"]) + 1


@settings(max_examples=30)
@given(numbers, numbers)
def test_tallies_add_up_and_their_distance_is_scipys(a, b):
    both = merged([Tally.of(np.array(a)), Tally.of(np.array(b))])
    assert both.numbers() == Tally.of(np.array(a + b)).numbers()
    assert two_sample_ks(Tally.of(np.array(a)), Tally.of(np.array(b))) == pytest.approx(
        stats.ks_2samp(a, b, method="asymp").statistic
    )


@settings(max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_fractions_are_tallied_too(values):
    x = np.array(values)
    found = Tally.of(x).numbers()
    assert found.n == len(values) == sum(found.histogram["counts"])
    assert found.quantiles.get("p50") == (pytest.approx(np.median(x)) if values else None)


def test_nothing_is_said_of_no_numbers():
    found = Tally.of(np.zeros(0)).numbers(law=True)
    assert (found.n, found.mean, found.quantiles, found.zipf, found.lognormal) == (0, None, {}, None, None)


def test_the_lognormal_law_is_scipys():
    x = np.random.default_rng(1).lognormal(5, 1.2, 3000).round().astype(int) + 1
    found = Tally.of(x).lognormal()
    assert (found.mu, found.sigma) == pytest.approx((np.log(x).mean(), np.log(x).std()))
    dist = stats.lognorm(found.sigma, scale=np.exp(found.mu))
    assert found.ks == pytest.approx(stats.kstest(x, dist.cdf).statistic, abs=1e-6)
    assert found.log_likelihood == pytest.approx(dist.logpdf(x).sum())


@pytest.mark.parametrize("theta", [0.6, 1.1, 2.0])
def test_the_zipf_law_is_the_likeliest_one(theta):
    k = np.arange(1, 1025)
    p = k**-theta / (k**-theta).sum()
    x = np.random.default_rng(2).choice(k, 20_000, p=p)
    values, counts = np.unique(x, return_counts=True)
    found = zipf(values, counts)

    def cost(t):
        return float(t * counts @ np.log(values) + len(x) * np.log((np.arange(1, x.max() + 1) ** -t).sum()))

    best = optimize.minimize_scalar(cost, bounds=(0, 5), method="bounded", options={"xatol": 1e-8})
    assert found.theta == pytest.approx(best.x, abs=1e-5)
    assert found.theta == pytest.approx(theta, abs=0.03)
    assert found.log_likelihood == pytest.approx(-best.fun)
    model = np.cumsum(np.arange(1, x.max() + 1) ** -found.theta)
    model /= model[-1]
    ours = np.cumsum(np.bincount(x, minlength=x.max() + 1))[1:] / len(x)
    assert found.ks == pytest.approx(np.abs(ours - model).max())


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=60))
def test_correlations_are_scipys(pairs):
    x, y = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    pearson, spearman = correlations(x, y)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert pearson is spearman is correlation(x, y) is None
    else:
        assert pearson == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
        assert spearman == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
        assert correlation(x, y) == pytest.approx(pearson, abs=1e-9)
        assert ranks(x).tolist() == (stats.rankdata(x) - 1).tolist()


def test_great_numbers_are_correlated_by_their_places():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2**31 - 1, 200).astype(np.int32)
    y = (x // 3 + rng.integers(0, 10**8, 200)).astype(np.int32)
    assert correlations(x, y) == pytest.approx(
        (stats.pearsonr(x, y).statistic, stats.spearmanr(x, y).statistic), abs=1e-9
    )


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-1, 400), st.integers(-1, 90), st.integers(0, 2)), min_size=1, max_size=120),
    st.data(),
)
def test_response_given_request_is_that_of_each_bin(rows, data):
    request, response, outcome = (np.array(column) for column in zip(*rows, strict=True))
    trace = Trace.build(
        np.arange(len(rows)) * 1_000_000,
        request_tokens=request.astype(np.int32),
        response_tokens=response.astype(np.int32),
        outcome=outcome.astype(np.int8),
    )
    cut = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    width = response_width(trace)
    whole = tallies(trace, None, width)
    parts = together([tallies(trace, cut, width), tallies(trace, ~cut, width)])
    found = relation(whole, trace)
    assert relation(parts, trace).bins.keys() == found.bins.keys()
    good = (outcome == 0) & (request > 0) & (response > 0)
    assert found.n == good.sum()
    seen = 0
    for i, (low, high) in enumerate(
        zip(found.bins.get("from_tokens", ()), found.bins.get("to_tokens", ()), strict=True)
    ):
        inside = response[good & (request >= low) & (request < high)]
        seen += len(inside)
        assert len(inside) == found.bins["n"][i] == relation(parts, trace).bins["n"][i] >= 5
        for name, value in (("median", 50), ("q05", 5), ("q95", 95)):
            assert found.bins[name][i] == pytest.approx(np.percentile(inside, value))
            assert relation(parts, trace).bins[name][i] == found.bins[name][i]
        assert found.bins["mean"][i] == pytest.approx(inside.mean())
    assert seen <= found.n


def test_quantiles_leave_out_what_is_not_known():
    assert quantiles(np.array([np.nan, 1.0, np.inf, 3.0]), [50]) == {"p50": 2.0, "mean": 2.0}
    assert quantiles(np.array([np.nan])) == {}


def test_the_p_value_is_kolmogorovs():
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, 900), rng.normal(0.1, 1, 800)
    expected = stats.ks_2samp(a, b, method="asymp")
    assert ks_p_value(expected.statistic, 900, 800) == pytest.approx(
        stats.kstwobign.sf(expected.statistic * np.sqrt(900 * 800 / 1700)), abs=1e-9
    )
