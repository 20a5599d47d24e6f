"""Growth, exhaustion and demand against brute force, an independent library, and simulation."""

import random
from math import sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from streams.stats.demand import count_quantiles
from streams.stats.exhaustion import exhaustion
from streams.stats.slope import Z95, Drift, drift


@given(st.floats(0.01, 5_000), st.floats(1.001, 300), st.floats(0.01, 0.999))
def test_demand_is_the_quantile_of_the_negative_binomial(mean, dispersion, quantile):
    assume(sqrt(mean * dispersion) < 1900)
    count = count_quantiles(mean, dispersion, [quantile])[0]
    told = stats.nbinom(mean / (dispersion - 1), 1 / dispersion)
    # Where a count's chance equals the quantile to the last digits either neighbour may be right.
    assert told.cdf(count) >= quantile - 1e-9
    assert count == 0 or told.cdf(count - 1) <= quantile + 1e-9


@given(st.floats(0.01, 100_000), st.floats(0, 1), st.floats(0.01, 0.999))
def test_without_over_dispersion_it_is_that_of_poisson(mean, dispersion, quantile):
    count = count_quantiles(mean, dispersion, [quantile])[0]
    assert stats.poisson.cdf(count, mean) >= quantile - 1e-9
    assert count == 0 or stats.poisson.cdf(count - 1, mean) <= quantile + 1e-9


@pytest.mark.parametrize(("mean", "dispersion"), [(1e5, 50), (1e7, 3), (1e6, 1)])
def test_very_large_demand_is_near_the_exact_one(mean, dispersion):
    exact = stats.poisson(mean) if dispersion == 1 else stats.nbinom(mean / (dispersion - 1), 1 / dispersion)
    for quantile, count in zip((0.5, 0.99), count_quantiles(mean, dispersion, (0.5, 0.99)), strict=True):
        assert count == pytest.approx(exact.ppf(quantile), rel=1e-3)


@given(st.floats(0, 1), st.floats(1e-4, 1), st.floats(1e-9, 1), st.floats(1, 60))
def test_the_bound_is_where_the_upper_line_meets_the_room_and_comes_before_the_estimate(room, rate, noise, span_s):
    found = exhaustion(room, Drift(rate, noise, span_s))
    if found is None:
        assert rate <= Z95 * sqrt(noise / span_s)
        return
    t = found.lower_s
    assert 0 <= t <= found.estimate_s == room / rate
    reach = rate * t + Z95 * sqrt(noise * (t + t * t / span_s))
    assert reach == pytest.approx(room, abs=1e-6)


@given(st.integers(0, 2**32), st.integers(11, 64), st.sampled_from([0.5, 1.0, 15.0]))
def test_a_level_and_its_shift_grow_alike_and_a_line_grows_by_its_slope(seed, n, step_s):
    rng = random.Random(seed)
    times = [i * step_s for i in range(n)]
    levels = [rng.random() for _ in times]
    found, moved = drift(times, levels, span_s=5), drift([t + 1e6 for t in times], [u + 3 for u in levels], span_s=5)
    assert (found.rate, found.noise) == pytest.approx((moved.rate, moved.noise), rel=1e-6, abs=1e-12)
    line = drift(times, [0.01 * t for t in times], span_s=5)
    assert line.rate == pytest.approx(0.01)
    assert line.growing
    assert drift(times[:10], levels[:10], span_s=5) is None


def test_a_random_walk_keeps_to_the_bound_at_least_as_often_as_it_says():
    """Discrete walks with drift from 0: predictions of the bound after 60 steps, when the level clearly grows."""
    rng, kept = random.Random(7), []
    while len(kept) < 1_500:
        rate, noise = rng.uniform(0, 0.05), rng.uniform(0.001, 0.03)
        level, levels = 0.0, [0.0]
        for _ in range(60):
            level += rng.gauss(rate, noise)
            levels.append(level)
        found = exhaustion(1.0, drift(range(61), levels, span_s=5))
        if found is None:
            continue
        steps, rest = 0, 1.0
        while rest > 0 and steps < found.lower_s:
            rest -= rng.gauss(rate, noise)
            steps += 1
        kept.append(rest > 0 or steps >= found.lower_s)
    # 95 % for a rate known to be above 0; choosing the moments at which it seems to grow costs some of that.
    assert sum(kept) / len(kept) >= 0.9
