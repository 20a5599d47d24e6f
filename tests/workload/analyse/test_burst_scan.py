"""Bursts of a whole trace are those the live detector tells, second by second."""

import numpy as np
import pytest

from streams.processors.daily_profile import DailyProfile
from streams.processors.expected_rate import Block, ExpectedRate
from streams.processors.scanz import ScanZ
from streams.processors.settings import AnalysisSettings
from workload.analyse.arrivals import Arrivals
from workload.analyse.burst_episodes import bursts
from workload.analyse.burst_scan import episodes
from workload.analyse.quiet_rate import BIN_S, BLOCK_S, BLOCKS, LEAD_S, QuietRate

DAY_S = 86_400


def traffic(seed, days, base, wave):
    """Counts per second: a daily wave, bursts of all sizes, hours of silence."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(days * DAY_S))
    rate = base * (1 + wave * np.sin(t / DAY_S * 2 * np.pi))
    for _ in range(15):
        at = rng.integers(0, len(t))
        rate[at : at + int(rng.integers(5, 900))] *= rng.choice([3, 6, 10])
    for _ in range(2):
        at = rng.integers(0, len(t))
        rate[at : at + int(rng.integers(1000, 20_000))] = 0
    return rng.poisson(rate)


def live(counts, first, settings):
    found = ScanZ("", settings).feed(first, counts)
    return [e for e in found if e.state == "end"] + [e for e in found[-1:] if e.state == "onset"]


@pytest.mark.parametrize(
    ("seed", "days", "base", "wave", "unit", "profile_days"),
    [(0, 1.5, 1.0, 0.8, 1_000_000, 1), (1, 0.5, 5.0, 0.0, 1, 0), (2, 1.5, 0.05, 0.8, 1_000_000, 1)],
)
def test_the_scan_finds_what_the_live_detector_tells(seed, days, base, wave, unit, profile_days):  # noqa: PLR0917
    counts = traffic(seed, days, base, wave)
    start = 1000 + 37 * seed
    settings = AnalysisSettings(burst_profile_days=profile_days)
    busy = np.flatnonzero(counts)
    expected = live(counts[busy[0] : busy[-1] + 1].tolist(), int(busy[0]) + start, settings)
    times = (np.repeat(np.arange(len(counts)), counts) + start) * 1_000_000
    found = episodes(Arrivals.of(times, unit), settings)
    assert len(expected) > 0
    assert [(e.onset, e.end, e.arrivals, e.state) for e in found] == [
        (e.onset, e.end, e.arrivals, e.state) for e in expected
    ]
    for name in ("baseline_rate", "peak_rate", "peak_z", "excess"):
        np.testing.assert_allclose([getattr(e, name) for e in found], [getattr(e, name) for e in expected], rtol=1e-9)


@pytest.mark.parametrize("days_min", [0, 1])
def test_the_quiet_rate_is_the_expected_rate(days_min):
    counts = np.add.reduceat(traffic(3, 2, 0.6, 0.7), np.arange(0, 2 * DAY_S, BLOCK_S)).tolist()
    rate = ExpectedRate(DailyProfile(days_min))
    lead = LEAD_S // BLOCK_S
    for i, x in enumerate(counts[:lead]):
        rate.learn(Block(i * BLOCK_S, x, None))
    quiet = QuietRate(rate.dump(), days_min)
    followed, live = [], []
    for start in range(lead, len(counts) - BLOCKS, BLOCKS):
        group = counts[start : start + BLOCKS]
        means, spreads = quiet.learn(start * BLOCK_S, group)
        for i, x in enumerate(group):
            rate.learn(Block((start + i) * BLOCK_S, x, None))
            live.append((rate.expected, rate.level.dispersion))
        followed += zip(means, spreads, strict=True)
    np.testing.assert_allclose(followed, live, rtol=1e-9)
    assert quiet.dump()["profile"] == rate.dump()["profile"]
    assert start * BLOCK_S % BIN_S == LEAD_S


def test_what_is_told_of_bursts_adds_up():
    counts = traffic(0, 1, 1.0, 0.0)
    times = np.repeat(np.arange(len(counts)), counts) * 1_000_000
    found = bursts(Arrivals.of(times, 1_000_000))
    columns = found.episodes
    assert found.n == len(columns["onset_s"]) > 0
    assert np.all(np.diff(columns["onset_s"]) > 0)
    np.testing.assert_allclose(columns["factor"], columns["peak_per_s"] / columns["baseline_per_s"])
    assert found.arrivals_ratio == pytest.approx(columns["arrivals"].sum() / len(times))
    for onset, duration, arrivals in zip(columns["onset_s"], columns["duration_s"], columns["arrivals"], strict=True):
        if np.isfinite(duration):
            assert counts[int(onset) : int(onset + duration)].sum() == arrivals
