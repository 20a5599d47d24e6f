"""Windows, dispersion and descriptions of arrivals against loops over lists."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stats import gamma
from streams.stats.cv import squared_cv
from workload.analyse.arrivals import Arrivals
from workload.analyse.burstiness import GAPS_MIN, burstiness
from workload.analyse.counts import SCALES_MS, scales_of
from workload.analyse.interarrival import describe
from workload.analyse.windows import gap_windows

WHOLE = 1_000_000
times = st.lists(st.integers(0, 50), min_size=1, max_size=60).map(sorted)


def of(seconds, unit=WHOLE):
    return Arrivals.of(np.array(seconds, np.int64) * unit, unit)


@settings(max_examples=30)
@given(times, st.integers(1, 20), st.integers(0, 10**9), st.sampled_from([1, WHOLE]))
def test_windows_are_those_of_a_loop(seconds, window, shift, unit):
    at = [s + shift for s in seconds]
    found, gaps = gap_windows(of(at, unit), window)
    by_window = {}
    for t in at:
        by_window.setdefault(t // window, []).append(t)
    assert found.index.tolist() == sorted(by_window)
    for i, rows in enumerate(by_window[w] for w in sorted(by_window)):
        steps = np.diff(rows)
        assert found.n[i] == len(rows)
        assert found.zeros[i] == np.count_nonzero(steps == 0)
        assert found.total[i] == sum(steps)
        assert found.squares[i] == sum(steps**2)
        expected = squared_cv(len(steps), int(sum(steps)), int(sum(steps**2)))
        got = found.squared_cv()[i]
        assert (expected is None and np.isnan(got)) or got == pytest.approx(expected, abs=1e-9)
    assert int(gaps.sum()) == int(found.total.sum())


@settings(max_examples=30)
@given(times)
def test_dispersion_at_every_scale_is_that_of_full_counts(seconds):
    at = np.array(seconds) * 100 + 17  # so that there are bins enough at several scales
    found = scales_of(of(at.tolist()))
    span = int(at[-1] - at[0]) + 1
    expected = [s for s in SCALES_MS if s >= 1000 and span // (s // 1000) >= 30]
    assert found["scale_s"] == [s / 1000 for s in expected]
    for scale, bins, mean, idc, allan in zip(*found.values(), strict=True):
        counts = np.bincount((at - at[0]) // int(scale), minlength=bins)[:bins]
        assert (bins, mean) == (span // int(scale), pytest.approx(counts.mean()))
        assert idc == pytest.approx(counts.var(ddof=1) / counts.mean())
        assert allan == pytest.approx(np.mean(np.diff(counts) ** 2) / 2 / counts.mean())


@settings(max_examples=30)
@given(times)
def test_a_description_holds_what_exact_sums_say(seconds):
    found = describe(np.array(seconds, np.int64) * WHOLE, WHOLE)
    steps = np.diff(seconds).tolist()
    c2 = squared_cv(len(steps), sum(steps), sum(s * s for s in steps))
    assert (found.n, found.gaps) == (len(seconds), len(steps))
    assert found.cv == (None if c2 is None else pytest.approx(c2**0.5))
    if sum(steps):
        assert found.rate_per_s == pytest.approx(float(Fraction(len(steps), sum(steps))))
        assert found.zero_ratio == steps.count(0) / len(steps)
    else:
        assert found.rate_per_s is found.alpha is found.method is None


def test_fine_stamps_have_the_corrected_maximum_likelihood_shape():
    rng = np.random.default_rng(1)
    t = np.cumsum(np.maximum(rng.gamma(0.7, 1e6, 500), 1)).astype(np.int64)
    x = np.diff(t) / 1e6
    found = describe(t)
    assert found.method == "mle"
    assert found.alpha == pytest.approx(float(gamma.mle(len(x), x.sum(), np.log(x).sum())))
    assert found.beta == pytest.approx(found.alpha / x.mean())
    assert found.alpha_lower < found.alpha < found.alpha_upper
    assert describe(rng.permutation(t)) == found


@pytest.mark.parametrize(
    ("rate", "unit", "method"), [(0.5, WHOLE, "triangular"), (20.0, WHOLE, "dispersion"), (5.0, 1, "mle")]
)
@pytest.mark.parametrize("shape", [0.5, 1.0])
def test_each_clock_gets_the_estimator_that_suits_it(rate, unit, method, shape):
    rng = np.random.default_rng(2)
    t = np.cumsum(rng.gamma(shape, 1e6 / rate / shape, 60_000)).astype(np.int64) // unit * unit
    t = t[np.concatenate([[True], np.diff(t) > 0])] if unit == 1 else t  # no two at one microsecond
    found = burstiness(Arrivals.of(t, unit), window_s=1200)
    assert describe(t, unit).method == method
    known = found.windows["method"][found.windows["gaps"] > 100]
    assert set(known) <= {method, None}
    assert np.mean(known == method) > 0.9
    np.testing.assert_allclose(found.quantiles["alpha"]["p50"], shape, rtol=0.1)
    np.testing.assert_allclose(found.quantiles["beta"]["p50"], shape * rate, rtol=0.1)
    assert found.overall.alpha == pytest.approx(shape, rel=0.05)


def test_windows_below_the_gate_have_a_rate_and_no_shape():
    t = np.arange(GAPS_MIN) * 1_100_000
    found = burstiness(Arrivals.of(t, 1), window_s=1200)
    assert found.windows["n"].tolist() == [GAPS_MIN]
    assert found.windows["rate_per_s"].tolist() == [pytest.approx(1 / 1.1)]
    assert np.isnan(found.windows["cv"]).all()
    assert found.windows["best"].tolist() == [None]
    assert (found.fitted, found.wins) == (0, {})


def test_ties_beyond_chance_are_left_to_the_moments():
    rng = np.random.default_rng(4)
    t = np.repeat(np.cumsum(rng.exponential(5e6, 400)).astype(np.int64), 2)
    found = burstiness(Arrivals.of(t, 1), window_s=1200)
    assert set(found.windows["method"]) == {"moment"}
    assert found.fitted == 0


def test_the_family_that_made_the_gaps_wins():
    rng = np.random.default_rng(6)
    made = {
        "gamma": rng.gamma(0.5, 4.0, 30_000),
        "lognormal": rng.lognormal(0, 1.0, 30_000) * 1.2,
        "weibull": rng.weibull(0.6, 30_000) * 1.4,
    }
    for family, gaps in made.items():
        t = (np.cumsum(gaps) * 1e6).astype(np.int64)
        for unit in (1, WHOLE):
            found = burstiness(Arrivals.of(t // unit * unit, unit), window_s=1200)
            assert max(found.wins, key=found.wins.get) == family
            assert found.likelihood == ("density" if unit == 1 else "interval")
            assert sum(found.wins.values()) == pytest.approx(1)
