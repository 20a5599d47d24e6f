"""From simulated traffic to exported rows: estimates, intervals and labels are those the truth calls for.

Every stream goes through ``ServiceState`` as an agent would send it; windows that do not overlap are samples. The
quick runs catch a sum that is off or a wrong label; the slow ones, five times as long, a wrong interval.
"""

import math
from itertools import pairwise

import numpy as np
import pytest

from streams.processors.outputs import ALL, WindowRow
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support import brute_force
from tests.support.service_messages import KEYS, SECOND, SERVICE, START, Agent, apply_all, arrival, completion, rows_of

runs = pytest.mark.parametrize(
    "times", [pytest.param(1, id="quick"), pytest.param(5, id="long", marks=pytest.mark.slow)]
)
ORIGIN = -(-START // (3600 * SECOND)) * 3600 * SECOND


def analysed(seconds, window_s, *, ended=()):
    """Feed arrivals at ``seconds`` (and completions); return the total's non-overlapping windows, whole ones only."""
    times = (ORIGIN + np.round(np.asarray(seconds) * SECOND)).astype(np.int64).tolist()
    agent, state, rows = Agent(), ServiceState(SERVICE, AnalysisSettings(windows_s=(window_s,))), []
    messages = agent.flush([], ended, ORIGIN - 1) if ended else []
    for low, high in pairwise([*range(0, len(times), 500), len(times)]):
        last = high == len(times)
        promised = times[-1] + 60 * SECOND if last else times[high] - 1
        messages += agent.flush([arrival(t) for t in times[low:high]], [], promised)
    for out in apply_all(state, messages):
        if isinstance(out, WindowRow) and out.model == ALL and (out.end - ORIGIN) % (window_s * SECOND) == 0:
            rows.append(out.windows[window_s])
    return rows[: int(seconds[-1] // window_s)]


def renewal(rng, gaps, rate, seconds):
    """Arrivals in [0, seconds) with gaps drawn by ``gaps(n)`` (mean 1)."""
    t = np.cumsum(gaps(int(rate * seconds * 1.2 + 2000)) / rate) - 200 / rate - rng.uniform(0, 5 / rate)
    assert t[-1] > seconds
    return t[(t >= 0) & (t < seconds)]


def gamma_stream(rng, shape, rate, seconds):
    return renewal(rng, lambda n: rng.gamma(shape, 1 / shape, n), rate, seconds)


def two_state(rng, rates, dwell_s, seconds):
    """A Poisson process whose rate switches between two values (MMPP)."""
    t, at, state = [], 0.0, 0
    while at < seconds:
        stay = rng.exponential(dwell_s[state])
        t.append(at + np.sort(rng.uniform(0, stay, rng.poisson(rates[state] * stay))))
        at, state = at + stay, 1 - state
    t = np.concatenate(t)
    return t[t < seconds]


def coverage(rows, name, truth):
    found = [(getattr(row, f"{name}_lower"), getattr(row, f"{name}_upper")) for row in rows]
    given = [bounds for bounds in found if bounds[0] is not None]
    return np.mean([low <= truth <= high for low, high in given]), len(given)


def check(rows, name, truth, *, low=0.94, high=0.98, given=0.98):
    share, n = coverage(rows, name, truth)
    noise = 3 * math.sqrt(0.95 * 0.05 / n)
    assert n >= given * len(rows), (n, len(rows))
    assert low - noise <= share <= high + noise, share


def medians(rows, *names):
    return [np.median([value for row in rows if (value := getattr(row, name)) is not None]) for name in names]


@runs
@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_gamma_traffic_gives_its_shape_within_the_interval(shape, times):
    rows = analysed(gamma_stream(np.random.default_rng(1), shape, 12.0, 2000 * times), 10)
    assert {row.gamma_method for row in rows} <= {"ye_chen", "moment"}
    assert sum(row.gamma_method == "ye_chen" for row in rows) > 0.9 * len(rows)  # the others: too many ties
    check(rows, "gamma_shape", shape)
    alpha, cv, b, misfit = medians(rows, "gamma_shape", "cv", "burstiness", "misfit")
    assert abs(alpha / shape - 1) < 0.08
    assert abs(cv * math.sqrt(shape) - 1) < 0.08
    assert abs(b - (1 - math.sqrt(shape)) / (1 + math.sqrt(shape))) < 0.05
    assert abs(misfit) < 0.1


@runs
def test_poisson_traffic_is_called_poisson_by_every_measure(times):
    rate = 4.0
    rows = analysed(gamma_stream(np.random.default_rng(2), 1.0, rate, 6000 * times), 60)
    check(rows, "gamma_shape", 1.0)
    check(rows, "dispersion_1s", 1.0, given=0.94)
    for name, noise in (("dispersion_100ms", 0.06), ("dispersion_1s", 0.18), ("allan_100ms", 0.07), ("allan_1s", 0.22)):
        found = [getattr(row, name) for row in rows]
        assert abs(np.mean(found) - 1) < 4 * noise / math.sqrt(len(rows)), name
        assert np.std(found) < 2 * noise, name
    z = np.array([row.peak_z for row in rows])
    assert (z > 1.645).mean() < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(z))
    gaps = 60 * rate
    assert abs(np.mean([row.memory for row in rows]) + 1 / gaps) < 4 / math.sqrt(gaps * len(rows))


def test_a_ramp_is_drift_to_the_allan_factor_and_dispersion_to_the_index():
    """5/s rising to 15/s in 20 min, twice: times are the inverse of the cumulated rate."""
    t = np.cumsum(np.random.default_rng(3).exponential(1, 30_000))
    ramps = []
    for k in range(2):
        u = t[(t > k * 12_000) & (t < (k + 1) * 12_000)] - k * 12_000
        ramps.append(1200 * k + (-5 + np.sqrt(25 + 2 * u / 120)) * 120)
    rows = analysed(np.append(np.concatenate(ramps), 2400.5), 1200)
    assert len(rows) == 2
    for row in rows:
        assert row.dispersion_10s > 5
        assert abs(row.allan_10s - 1) < 0.55
        assert abs(row.allan_1s - 1) < 0.2


def test_heavy_tails_show_as_misfit_and_clustered_bursts_as_memory():
    rng = np.random.default_rng(4)
    scale = math.gamma(1 + 1 / 0.6)
    weibull = analysed(renewal(rng, lambda n: rng.weibull(0.6, n) / scale, 3.0, 6000), 1200)
    switching = analysed(two_state(rng, (1.0, 10.0), (30, 5), 6000), 1200)
    cv, misfit, memory = medians(weibull, "cv", "misfit", "memory")
    assert abs(cv - 1.758) < 0.15
    assert -0.6 < misfit < -0.2
    assert abs(memory) < 0.05
    misfit, memory, index = medians(switching, "misfit", "memory", "dispersion_10s")
    assert misfit < -0.2
    assert memory > 0.15
    assert index > 10


@runs
@pytest.mark.parametrize(
    ("rate", "shape", "method"),
    [(0.4, 0.5, "triangular"), (1.5, 1.0, "triangular"), (8.0, 0.5, "dispersion"), (8.0, 2.0, "dispersion")],
)
def test_stamps_cut_to_seconds_are_recognised_and_fitted_by_what_suits_their_rate(rate, shape, method, times):
    rows = analysed(np.floor(gamma_stream(np.random.default_rng(5), shape, rate, 7200 * times)), 300)
    assert {row.gamma_method for row in rows} == {method}
    check(rows, "gamma_shape", shape, low=0.93, high=0.99)
    assert abs(medians(rows, "gamma_shape")[0] / shape - 1) < 0.12


@runs
def test_failure_ratio_intervals_hold_the_ratio(times):
    rng = np.random.default_rng(6)
    t = np.sort(rng.uniform(0, 2000 * times, 12_000 * times))
    ended = [
        completion(int(ORIGIN + at * SECOND), outcome="failed" if failed else "ok")
        for at, failed in zip(t.tolist(), (rng.random(len(t)) < 0.07).tolist(), strict=True)
    ]
    rows = analysed(t, 10, ended=ended)
    check(rows, "failure_ratio", 0.07)
    check(rows, "failure_ratio_jeffreys", 0.07, low=0.93)


@pytest.mark.parametrize(("ties", "method"), [(0, "ye_chen"), (3, "ye_chen"), (40, "moment")])
def test_a_few_tied_stamps_are_borne_by_the_likelihood_and_many_are_not(ties, method):
    rng = np.random.default_rng(7)
    times = np.sort(ORIGIN + rng.integers(0, 300 * SECOND, 600)).tolist()
    times = sorted(times + times[100 : 100 + ties])
    agent, state = Agent(), ServiceState(SERVICE, AnalysisSettings())
    outputs = apply_all(state, agent.flush([arrival(t) for t in times], [], ORIGIN + 303 * SECOND))
    expected = brute_force.rows([(t, KEYS[0]) for t in times], [], ORIGIN + 303 * SECOND)
    brute_force.assert_same(expected, rows_of(outputs))
    assert state.latest[ALL, ALL].windows[300].gamma_method == method
