"""Families in competition: the likelihoods are right (scipy), and the family the data were drawn from wins."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from streams.stats.triangular import whole_gap_shape
from workload.fit.burstiness import alpha_of
from workload.fit.candidates import best
from workload.fit.gap_families import Gaps, distance_with, gap_candidates, gap_shapes, likeliest_with
from workload.fit.length_families import length_candidates
from workload.fit.own_gaps import far, own_candidate, own_law
from workload.fit.whole_gaps import GAMMA, OTHERS, WholeGaps, family_shapes, likelihoods, whole_gap_candidates

WINDOWS, EACH = 12, 400


def drawn(family: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return gaps of mean 1."""
    if family == "exponential":
        return rng.exponential(1.0, n)
    if family == "gamma":
        return rng.gamma(0.5, 2.0, n)
    if family == "weibull":
        return rng.weibull(0.6, n) / math.gamma(1 + 1 / 0.6)
    return rng.lognormal(-0.5, 1.0, n)


def in_windows(family: str, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    means = rng.uniform(0.7, 10.0, WINDOWS)
    return drawn(family, rng, WINDOWS * EACH) * np.repeat(means, EACH), np.repeat(np.arange(WINDOWS), EACH)


@pytest.mark.parametrize("family", ["exponential", "gamma", "weibull", "lognormal"])
def test_gaps_are_given_to_the_family_they_were_drawn_from(family):
    seconds, window = in_windows(family)
    found = best(gap_candidates(Gaps(seconds, window)))
    assert found.family == family
    assert found.ks < 1.36 / math.sqrt(WINDOWS * EACH)  # the 5 % point, generous with fitted parameters


@pytest.mark.parametrize("family", ["exponential", "gamma", "weibull", "lognormal"])
def test_whole_seconds_are_given_to_the_family_they_were_cut_from(family):
    seconds, window = in_windows(family)
    rng = np.random.default_rng(2)
    stamps = [np.floor(np.cumsum(seconds[window == i]) + rng.random()) for i in range(WINDOWS)]
    whole = np.concatenate([np.diff(s, prepend=0).astype(np.int64) for s in stamps])
    assert best(whole_gap_candidates(WholeGaps.of(whole, window))).family == family


def test_likelihoods_of_gaps_are_those_of_scipy():
    x = np.random.default_rng(3).gamma(0.7, 2.0, 500)
    found = {one.family: one for one in gap_candidates(Gaps(x, np.zeros(500, np.int64)))}
    laws = {
        "exponential": stats.expon(scale=x.mean()),
        "gamma": stats.gamma(*stats.gamma.fit(x, floc=0)),
        "weibull": stats.weibull_min(*stats.weibull_min.fit(x, floc=0)),
        "lognormal": stats.lognorm(*stats.lognorm.fit(x, floc=0)),
    }
    for family, law in laws.items():
        assert found[family].log_likelihood == pytest.approx(law.logpdf(x).sum(), abs=0.02), family
        assert found[family].ks == pytest.approx(stats.kstest(x, law.cdf).statistic, abs=0.002), family


@pytest.mark.parametrize("family", [GAMMA, *OTHERS])
@pytest.mark.parametrize("shape", [0.3, 1.0, 3.0])
def test_the_chance_of_a_whole_gap_is_the_triangle_over_the_density(family, shape):
    mean = 2.5
    laws = {
        "gamma": stats.gamma(shape, scale=mean / shape),
        "weibull": stats.weibull_min(shape, scale=mean / math.gamma(1 + 1 / shape)),
        "lognormal": stats.lognorm(shape, scale=mean * math.exp(-shape * shape / 2)),
    }
    for m in (0, 1, 2, 7):
        law = laws[family.name]
        expected = (
            integrate.quad(lambda x, m=m, law=law: (1 - abs(x - m)) * law.pdf(x), max(m - 1, 0), m)[0] if m else 0.0
        )
        expected += integrate.quad(lambda x, m=m, law=law: (1 - abs(x - m)) * law.pdf(x), m, m + 1, limit=200)[0]
        one = WholeGaps(np.zeros(1, np.int64), np.array([float(m)]), np.ones(1), np.ones(1), np.array([mean]))
        found = float(likelihoods(one, family, np.array([shape]))[0])
        assert found == pytest.approx(math.log(expected), abs=3e-3), (family.name, shape, m)


def test_shapes_of_whole_gaps_agree_with_the_live_estimator():
    seconds, window = in_windows("gamma")
    rng = np.random.default_rng(4)
    stamps = [np.floor(np.cumsum(seconds[window == i]) + rng.random()) for i in range(WINDOWS)]
    wholes = [np.diff(s, prepend=0).astype(np.int64) for s in stamps]
    found = family_shapes(WholeGaps.of(np.concatenate(wholes), window), "gamma")
    live = [whole_gap_shape(*np.unique(whole, return_counts=True))[0] for whole in wholes]
    assert found == pytest.approx(live, rel=0.015)


@pytest.mark.parametrize(
    ("family", "shape", "alpha"), [("gamma", 0.5, 0.5), ("weibull", 0.5, 0.2), ("lognormal", 1.0, 0.58198)]
)
def test_alpha_is_one_over_the_squared_cv(family, shape, alpha):
    assert alpha_of(family, np.array([shape]))[0] == pytest.approx(alpha, rel=1e-4)


def test_the_family_that_is_likeliest_with_a_given_cv():
    for family, alpha in (
        ("gamma", 0.5),
        ("weibull", 1 / (math.gamma(1 + 2 / 0.6) / math.gamma(1 + 1 / 0.6) ** 2 - 1)),
    ):
        seconds, window = in_windows(family)
        assert likeliest_with(Gaps(seconds, window), alpha) == family
    seconds, window = in_windows("lognormal")
    gaps = Gaps(seconds, window)
    assert likeliest_with(gaps, 1 / math.expm1(1.0)) == "lognormal"
    assert gap_shapes(gaps, "lognormal").mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("family", ["exponential", "gamma", "weibull", "lognormal"])
def test_quantiles_do_not_beat_the_family_that_gaps_were_drawn_from(family):
    gaps = Gaps(*in_windows(family))
    found = best(gap_candidates(gaps))
    assert best([own_candidate(gaps), found]) is found
    assert not far(found.ks, WINDOWS * EACH)
    assert far(0.11, 5000)
    assert not far(0.09, 5000)
    assert not far(0.5, 900)


def test_gaps_of_two_kinds_are_likelier_by_their_own_quantiles_with_all_numbers_counted():
    rng = np.random.default_rng(6)
    clumped = np.where(rng.random(8000) < 0.5, rng.uniform(1e-4, 2e-4, 8000), rng.uniform(0.5, 1.5, 8000))
    gaps = Gaps(clumped, np.zeros(8000, np.int64))
    own = own_candidate(gaps)
    assert best([*gap_candidates(gaps), own]) is own
    assert own.ks < 0.02
    # What it says is a density: it adds up to 1 over a fine grid of gaps.
    law = own_law(gaps.scaled)
    logs = np.unique(np.log(law.values))
    assert own.free == len(law.values) + 1
    x = np.exp(np.linspace(logs[0], logs[-1], 200_001))
    chances = np.interp(np.log(x), np.log(law.values), law.probabilities)
    density = np.diff(chances) / np.diff(x)
    seen = np.clip(np.searchsorted(x, gaps.scaled) - 1, 0, len(density) - 1)
    direct = float(np.log(density[seen]).sum() - 8000 * np.log(clumped.mean()))
    assert own.log_likelihood == pytest.approx(direct, rel=1e-3)


@pytest.mark.parametrize(
    ("family", "law"),
    [
        ("gamma", stats.gamma(0.4, scale=2.5)),
        ("weibull", stats.weibull_min(0.5, scale=0.5)),
        ("lognormal", stats.lognorm(1.2, scale=math.exp(-0.72))),
    ],
)
def test_the_distance_of_a_family_with_a_given_cv_is_scipys(family, law):
    x = np.random.default_rng(7).exponential(1.0, 3000)
    expected = stats.kstest(x / x.mean(), law.cdf).statistic
    assert distance_with(Gaps(x, np.zeros(3000, np.int64)), family, 1 / law.var()) == pytest.approx(expected, abs=1e-4)


def lengths(family: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    if family == "lognormal":
        return rng.lognormal(5.5, 1.0, 6_000)
    if family == "gamma":
        return rng.gamma(1.3, 300.0, 6_000)
    if family == "zipf":
        ranks = np.arange(1, 3001)
        return rng.choice(ranks, 6_000, p=ranks**-1.1 / (ranks**-1.1).sum())
    heavy = 500 * rng.random(6_000) ** (-1 / 1.2)
    return np.where(rng.random(6_000) < 0.2, np.minimum(heavy, 2e4), rng.lognormal(4.5, 0.6, 6_000))


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen, counts = np.unique(np.maximum(np.rint(values), 1), return_counts=True)
    return seen, counts.astype(float)


@pytest.mark.parametrize("family", ["lognormal", "gamma", "zipf", "pareto+lognormal"])
def test_lengths_are_given_to_the_family_they_were_drawn_from(family):
    values, counts = histogram(lengths(family))
    found = {one.family: one for one in length_candidates(values, counts)}
    chosen = best(list(found.values()))
    # A mixture that holds the log-normal may be as likely by chance.
    assert chosen.family == family or (family == "lognormal" and chosen.aic > found[family].aic - 10)
    assert chosen.ks < 0.03


def test_likelihoods_and_distances_of_lengths_are_those_of_scipy():
    values, counts = histogram(lengths("lognormal"))
    every = np.repeat(values, counts.astype(int))
    found = {one.family: one for one in length_candidates(values, counts)}
    laws = {
        "lognormal": stats.lognorm(
            found["lognormal"].parameters["sigma"], scale=math.exp(found["lognormal"].parameters["mu"])
        ),
        "gamma": stats.gamma(found["gamma"].parameters["shape"], scale=1 / found["gamma"].parameters["rate"]),
    }
    for family, law in laws.items():
        chances = law.cdf(every + 0.5) - law.cdf(every - 0.5)
        assert found[family].log_likelihood == pytest.approx(np.log(np.maximum(chances, 1e-300)).sum(), rel=1e-3), (
            family
        )
        seen = np.cumsum(counts) / counts.sum()
        assert found[family].ks == pytest.approx(np.abs(seen - law.cdf(values + 0.5)).max(), abs=1e-3), family
    theta = found["zipf"].parameters["theta"]
    ranks = np.arange(1, values[-1] + 1)
    assert found["zipf"].log_likelihood == pytest.approx(
        float(-theta * (counts @ np.log(values)) - counts.sum() * np.log((ranks**-theta).sum())), rel=1e-6
    )


def test_lengths_that_are_all_alike_have_no_family():
    assert length_candidates(np.array([7.0]), np.array([100.0])) == []
