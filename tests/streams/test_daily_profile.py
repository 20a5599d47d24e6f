"""The time of day: a morning that comes every day is no burst, and nothing else is hidden."""

import json

import numpy as np
import pytest

from streams.processors.daily_profile import BIN_S, DAY_S, DailyProfile
from streams.processors.scanz import ScanZ
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND
from tests.support.traffic import MIDNIGHT

HOUR = 3600
DAYS = 5
SUDDEN = {3 * HOUR + 1020: (60, 6.0), 22 * HOUR: (30, 8.0)}  # second of the day: duration, factor


def learned(values, days: int = 3, days_min: int = 3) -> DailyProfile:
    """A profile that saw ``values(second of the day)`` arrivals per block for so many days."""
    profile = DailyProfile(days_min)
    for second in range(MIDNIGHT, MIDNIGHT + days * DAY_S + 1000, 10):
        profile.add(second, values(second % DAY_S))
    return profile


def test_nothing_is_said_before_enough_days_are_known():
    assert not learned(lambda _: 50, days=2).ready
    assert learned(lambda _: 50, days=3).ready
    assert not learned(lambda _: 50, days=5, days_min=0).ready


def test_what_came_each_day_is_expected_at_its_time_and_interpolated():
    profile = learned(lambda second: 100 if 9 * HOUR <= second < 18 * HOUR else 10)
    assert profile.at(MIDNIGHT + 12 * HOUR) == pytest.approx(100, rel=0.01)
    assert profile.at(MIDNIGHT + 20 * HOUR) == pytest.approx(10, rel=0.1)
    assert profile.at(MIDNIGHT + 9 * HOUR) == pytest.approx(55, rel=0.05)
    assert profile.highest(MIDNIGHT + 9 * HOUR - 151) == pytest.approx(100, rel=0.01)
    assert profile.highest(MIDNIGHT + 9 * HOUR - 460) < 11
    assert profile.at(MIDNIGHT + 7 * DAY_S) == profile.at(MIDNIGHT)


@pytest.mark.parametrize("at", [0, 40, 150, 4000, 86_399])
def test_highest_is_the_greatest_within_a_bin_to_both_sides(at):
    profile = learned(lambda second: 40 + (second // 300 * 37) % 50)
    brute = max(profile.at(MIDNIGHT + at + d) for d in range(-BIN_S, BIN_S + 1))
    assert profile.highest(MIDNIGHT + at) == pytest.approx(brute, rel=1e-3)


def test_a_silent_night_counts_as_zeros_and_a_silent_weekend_as_nothing():
    profile = DailyProfile(1)
    for day in (0, 1, 2, 3, 6):
        for second in range(8 * HOUR, 19 * HOUR, 10):
            profile.add(MIDNIGHT + day * DAY_S + second, 100)
    assert profile.ready
    assert profile.at(MIDNIGHT + 3 * HOUR) < 2
    assert profile.at(MIDNIGHT + 12 * HOUR) == pytest.approx(100, rel=0.01)


def test_a_week_is_remembered():
    profile = learned(lambda _: 100, days=10)
    for second in range(MIDNIGHT + 10 * DAY_S + 1000, MIDNIGHT + 17 * DAY_S, 10):
        profile.add(second, 200)
    assert profile.at(MIDNIGHT) == pytest.approx(200 - 100 * (6 / 7) ** 7, rel=0.05)


def office_days(rng: np.random.Generator, *, low: float = 0.5, high: float = 5.0, sudden: bool = True) -> list[int]:
    """Five days that jump from 0.5/s to 5/s at nine, give or take a minute, with the bursts of ``SUDDEN``."""
    days = []
    for _ in range(DAYS):
        rate = np.full(DAY_S, low)
        rate[int(9 * HOUR + rng.normal(0, 60)) : int(18 * HOUR + rng.normal(0, 60))] = high
        for start, (duration, factor) in SUDDEN.items() if sudden else ():
            rate[start : start + duration] *= factor
        days.append(rng.poisson(rate * np.exp(rng.normal(0, 0.15))))
    return [int(count) for count in np.concatenate(days)]


def told(counts: list[int], days_min: int) -> tuple[list[tuple[int, int]], ScanZ]:
    """Return (day, second of the day) of each burst told."""
    detector = ScanZ("chat", AnalysisSettings(burst_profile_days=days_min))
    episodes = detector.feed(MIDNIGHT, counts)
    at = [e.onset // SECOND - MIDNIGHT for e in episodes if e.state == "onset"]
    return [divmod(second, DAY_S) for second in at], detector


def test_the_start_of_work_is_a_burst_for_three_days_and_then_expected_while_real_bursts_are_found_every_day():
    counts = office_days(np.random.default_rng(1))
    plain, _ = told(counts, 0)
    found, _ = told(counts, 3)
    mornings = [day for day, second in plain if 8.9 * HOUR < second < 9.5 * HOUR]
    assert set(mornings) == set(range(DAYS))
    assert [b for b in found if b[0] < 3] == [b for b in plain if b[0] < 3]  # the first days: not a bit different
    assert not [day for day, second in found if day >= 3 and 8.5 * HOUR < second < 10 * HOUR]
    for start, (duration, _) in SUDDEN.items():
        days = [day for day, second in found if start - 5 <= second < start + duration]
        assert days == list(range(DAYS)), start
    assert len(found) <= len(plain)


def test_a_day_on_which_nobody_comes_to_work_stays_quiet():
    """Sunday: the profile expects a morning and an evening; the traffic knows neither."""
    rng = np.random.default_rng(2)
    counts = [*office_days(rng, sudden=False), *(int(c) for c in rng.poisson(1.5, DAY_S))]
    found, detector = told(counts, 3)
    assert [b for b in found if b[0] == DAYS and b[1] > HOUR] == []  # at midnight it jumps from 0.5/s to 1.5/s
    assert detector.status.baseline_rate == pytest.approx(1.5, rel=0.4)  # bins learned today and not yet differ


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5.0, 50.0])
@pytest.mark.parametrize("shape", ["step", "half-hour", "from-a-trickle", "smooth"])
def test_false_alarms_on_mornings_after_the_first_three_days(shape, rate):
    """With Gamma(0.5) gaps over six days at 5/s and 50/s (plain -> profile): 18 -> 2, 33 -> 2, 12 -> 4, 1 -> 1."""
    rng = np.random.default_rng(5)
    second = np.arange(DAY_S)
    day = {
        "step": np.where((second >= 9 * HOUR) & (second < 18 * HOUR), 1.0, 0.1),
        "half-hour": 0.1
        + 0.9 * np.clip((second - 8 * HOUR) / 1800, 0, 1) * np.clip((second - 18 * HOUR) / -1800, 0, 1),
        "from-a-trickle": np.where((second >= 9 * HOUR) & (second < 18 * HOUR), 1.0, 0.01),
        "smooth": np.exp(1.25 * np.cos(2 * np.pi * (second / HOUR - 14) / 24)) / 3,
    }[shape]
    counts = [
        int(c)
        for _ in range(8)
        for c in rng.poisson(rate * np.roll(day, int(rng.normal(0, 60))) * np.exp(rng.normal(0, 0.2)))
    ]
    plain, found = (len([b for b in told(counts, n)[0] if b[0] >= 3]) for n in (0, 3))
    assert found <= max(1, plain / 3), (plain, found)


def test_a_restart_at_any_hour_changes_nothing_and_the_profile_is_small():
    counts = office_days(np.random.default_rng(3))[: 4 * DAY_S]
    whole, detector = told(counts, 2)
    settings = AnalysisSettings(burst_profile_days=2)
    piece, found = ScanZ("chat", settings), []
    for low in range(0, len(counts), 7 * HOUR + 13):
        found += piece.feed(MIDNIGHT + low, counts[low : low + 7 * HOUR + 13])
        fresh = ScanZ("chat", settings)
        fresh.load(json.loads(json.dumps(piece.dump())))
        piece = fresh
    onsets = [divmod(e.onset // SECOND - MIDNIGHT, DAY_S) for e in found if e.state == "onset"]
    assert onsets == whole
    assert piece.dump() == detector.dump()
    assert piece.status == detector.status
    assert len(json.dumps(piece.dump()["rate"], separators=(",", ":"))) < 2500


@pytest.mark.parametrize("harm", [{"bins": [1, 2]}, {"bins": ["x"] * 288}, {"open": {"1": [1]}}])
def test_a_broken_profile_is_refused(harm):
    profile = learned(lambda _: 50)
    with pytest.raises((LookupError, TypeError, ValueError)):
        DailyProfile(3).load(profile.dump() | harm)
