"""The log-bucket sketch against the exact quantiles of the values themselves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.stats import log_sketch
from streams.stats.log_sketch import GREATEST, RELATIVE_ERROR, ZERO, buckets, quantiles, upper_bound, value_of

tokens = st.lists(st.integers(0, 200_000), min_size=1, max_size=300)
seconds = st.lists(st.floats(1e-6, 1e5), min_size=1, max_size=300)


def exact(values, q):
    """The ceil(q n)-th smallest value, by whole numbers: q is given in thousandths."""
    return sorted(values)[max(-(-q * len(values) // 1000), 1) - 1]


def sketched(values, q):
    found, counts = np.unique(buckets(values), return_counts=True)
    return quantiles(found, counts, [q / 1000])[0]


@given(st.one_of(tokens, seconds), st.integers(1, 1000))
def test_every_quantile_is_within_the_stated_error(values, q):
    truth = exact(values, q)
    assert abs(sketched(values, q) - truth) <= truth * (RELATIVE_ERROR + 1e-9)


@given(st.lists(tokens, min_size=1, max_size=6))
def test_adding_the_counts_of_parts_gives_the_sketch_of_the_whole(parts):
    together = {}
    for part in parts:
        for bucket in buckets(part).tolist():
            together[bucket] = together.get(bucket, 0) + 1
    whole = buckets([value for part in parts for value in part]).tolist()
    assert together == {bucket: whole.count(bucket) for bucket in set(whole)}


@pytest.mark.parametrize("k", range(-30, 40))
def test_powers_of_two_are_bounds_and_the_next_value_is_beyond(k):
    power = 2.0**k
    assert buckets([power, power * (1 + 1e-9), power * (1 - 1e-9)]).tolist() == [32 * k, 32 * k + 1, 32 * k]
    assert upper_bound(32 * k) == power


def test_every_bucket_holds_exactly_the_values_between_its_bounds():
    for bucket in range(-640, 640):
        low, high = 2 ** ((bucket - 1) / 32), 2 ** (bucket / 32)
        inside = [low * (1 + 1e-9), math.sqrt(low * high), high * (1 - 1e-9)]
        assert buckets(inside).tolist() == [bucket] * 3
        assert max(abs(value_of(bucket) / low - 1), abs(value_of(bucket) / high - 1)) < 0.0109


def test_zeros_stay_zeros_and_extremes_stay_in_range():
    assert buckets([0.0, 1e-300, 1e300]).tolist() == [ZERO, ZERO + 1, GREATEST]
    assert sketched([0, 0, 0, 7], 750) == 0
    assert np.iinfo(np.int16).min <= ZERO
    assert np.iinfo(np.int16).max >= GREATEST


def test_the_stated_error_is_the_one_documented():
    assert 0.0108 < RELATIVE_ERROR < 0.011
    assert "1.1 %" in log_sketch.__doc__


def test_without_values_there_are_no_quantiles():
    assert quantiles([], [], [0.5]) is None
    assert quantiles([3, 4], [0, 0], [0.5]) is None
