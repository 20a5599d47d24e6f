"""The simple burst detector (one window of 10 s): finds what is there within seconds, keeps quiet where nothing is."""

from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.settings import AnalysisSettings
from streams.processors.ten_seconds import TenSecondScore
from tests.support.service_messages import SECOND

FIRST = 1_700_000_000
DAY = 86_400
SETTINGS = AnalysisSettings()


def traffic(rate: float, seconds: int, seed: int, bursts: dict[int, tuple[int, float]] | None = None) -> list[int]:
    """Poisson counts per second; ``bursts``: start -> (duration, factor)."""
    rates = np.full(seconds, rate)
    for start, (duration, factor) in (bursts or {}).items():
        rates[start : start + duration] *= factor
    return np.random.default_rng(seed).poisson(rates).tolist()


def detect(counts: list[int], config: AnalysisSettings = SETTINGS) -> tuple[list, TenSecondScore]:
    detector = TenSecondScore("chat", config)
    return detector.feed(FIRST, counts), detector


@pytest.mark.parametrize("rate", [0.05, 0.5, 5, 50, 1000])
def test_a_quiet_day_raises_no_alarm(rate):
    episodes, detector = detect(traffic(rate, DAY, seed=2))
    assert episodes == []
    assert detector.status.baseline_rate == pytest.approx(rate, rel=0.5)


@pytest.mark.parametrize(
    ("rate", "factor", "within_s", "least"),
    [(5, 8, 3, 12), (5, 4, 5, 12), (50, 4, 3, 12), (50, 2, 8, 12), (5, 2, 20, 7), (1, 8, 5, 12)],
)
def test_bursts_are_found_within_seconds_where_they_are(rate, factor, within_s, least):
    """Twelve bursts of 60 s, ten minutes apart: median delay and onset, each burst told once."""
    starts = [900 + 600 * i for i in range(12)]
    episodes, _ = detect(traffic(rate, 8400, 17, dict.fromkeys(starts, (60, factor))))
    onsets = [e for e in episodes if e.state == "onset"]
    ends = [e for e in episodes if e.state == "end"]
    near = {s: [e for e in onsets if -15 <= e.onset // SECOND - FIRST - s < 60] for s in starts}
    found = {s: e[0] for s, e in near.items() if e}
    assert len(found) >= least
    assert len(onsets) == len(found)
    assert [e.onset for e in onsets] == [e.onset for e in ends]
    delays = sorted(e.detected // SECOND - FIRST - s for s, e in found.items())
    assert delays[len(delays) // 2] <= within_s
    offsets = sorted(abs(e.onset // SECOND - FIRST - s) for s, e in found.items())
    assert offsets[len(offsets) // 2] <= (3 if factor > 2 else 9)
    lasted = sorted((e.end - e.onset) // SECOND for e in ends)
    assert 50 <= lasted[len(lasted) // 2] <= 75


@pytest.mark.parametrize("warmup_s", [30, 300])
def test_bursts_that_come_every_minute_do_not_teach_the_detector_to_ignore_them(warmup_s):
    starts = list(range(90, 1700, 75))
    counts = traffic(5, 1800, 11, dict.fromkeys(starts, (12, 7)))
    episodes, detector = detect(counts, AnalysisSettings(burst_warmup_s=warmup_s))
    onsets = [e for e in episodes if e.state == "onset"]
    due = [s for s in starts if s >= warmup_s]
    delays = [e.detected // SECOND - FIRST - s for e, s in zip(onsets, due, strict=True)]
    assert all(0 < delay <= 4 for delay in delays)
    assert detector.status.baseline_rate == pytest.approx(5, rel=0.2)


def test_a_burst_in_the_warm_up_is_neither_told_nor_learned():
    counts = [*traffic(5, 120, 3), *[60] * 20, *traffic(5, 400, 4), *[40] * 5, *traffic(5, 60, 5)]
    episodes, _ = detect(counts)
    assert [e.onset // SECOND - FIRST for e in episodes if e.state == "onset"] == [540]
    assert episodes[0].baseline_rate == pytest.approx(5, rel=0.2)


def test_an_episode_counts_its_arrivals_and_its_peak():
    counts = [2] * 1000 + [40] * 20 + [2] * 60
    (onset, end), _ = detect(counts)
    assert (onset.state, onset.end) == ("onset", None)
    assert onset.onset == end.onset == (FIRST + 1000) * SECOND
    assert onset.detected == (FIRST + 1001) * SECOND
    assert onset.arrivals == 40
    assert end.baseline_rate == pytest.approx(2)
    assert end.peak_rate == 40
    # The score of 10 s stays raised for up to 10 s after the last busy second.
    last = end.end // SECOND - FIRST
    assert 1020 <= last <= 1030
    assert end.arrivals == sum(counts[1000:last])
    assert end.peak_z > onset.peak_z


def test_no_alarm_while_the_baseline_is_being_learned():
    counts = [5] * 100 + [60] * 20 + [5] * 900 + [60] * 20 + [5] * 100
    episodes, _ = detect(counts)
    assert [(e.onset // SECOND - FIRST, e.state) for e in episodes] == [(1020, "onset"), (1020, "end")]


def test_an_hour_of_silence_starts_the_service_anew():
    """By then the old baseline has decayed to nothing and would only mislead: no score until a new one."""
    busy = traffic(5, 1200, seed=4)
    episodes, detector = detect([*busy, *[0] * 3700])
    assert detector.status.baseline_rate is None
    episodes += detector.feed(FIRST + 4900, [*busy[:250], *[80] * 20, *busy])
    assert episodes == []  # the jump fell into the new warm-up
    assert detector.status.baseline_rate == pytest.approx(5, rel=0.4)
    _, detector = detect([*busy, *[0] * 3000])
    assert detector.status.baseline_rate is not None


def test_a_lasting_rise_becomes_the_baseline():
    episodes, detector = detect([*traffic(5, 1800, seed=6), *traffic(10, 3600, seed=7)])
    assert [e.state for e in episodes] == ["onset", "end"]
    assert (episodes[1].end - episodes[1].onset) // SECOND < 1200
    assert detector.status.baseline_rate == pytest.approx(10, rel=0.15)


def test_status_tells_where_it_stands():
    detector = TenSecondScore("chat", SETTINGS)
    assert detector.status.z is None
    assert detector.status.baseline_rate is None
    detector.feed(FIRST, [5] * 1000)
    detector.feed(FIRST + 1000, [50] * 10)
    status = detector.status
    assert (status.active, status.rate_10s, status.episodes_total) == (True, 50.0, 1)
    assert status.onset == (FIRST + 1000) * SECOND
    assert status.z > 4
    detector.feed(FIRST + 1010, [5] * 60)
    assert (detector.status.active, detector.status.onset) == (False, None)


COUNTS = st.lists(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=400)


@given(COUNTS, st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_cut_and_any_restart_give_the_same_bits(counts, cuts):
    config = AnalysisSettings(burst_warmup_s=0)
    whole, detector = detect(counts, config)
    found, piece = [], TenSecondScore("chat", config)
    bounds = [0, *sorted(c for c in cuts if c < len(counts)), len(counts)]
    for low, high in zip(bounds, bounds[1:], strict=False):
        found += piece.feed(FIRST + low, counts[low:high])
        fresh = TenSecondScore("chat", config)
        fresh.load(piece.dump())
        piece = fresh
    assert found == whole
    assert piece.dump() == detector.dump()


@given(COUNTS)
@settings(max_examples=60, deadline=None)
def test_seconds_left_out_were_silent(counts):
    config = AnalysisSettings(burst_warmup_s=0)
    whole, detector = detect(counts, config)
    sparse, found = TenSecondScore("chat", config), []
    for i, count in enumerate(counts):
        if count:
            found += sparse.feed(FIRST + i, [count])
    found += sparse.feed(FIRST + len(counts), ())
    assert found == whole
    assert sparse.dump() == detector.dump()


def scores(counts: list[int], eps: float = 0.1) -> list[float | None]:
    """The score path as its rules define it (level.py and the head of ten_seconds.py), written down a second time."""
    m, phi, k, path = None, 1.0, 0, []
    burst, quiet = False, 0
    for i in range(len(counts)):
        n10 = sum(counts[max(i - 9, 0) : i + 1])
        if m is None:
            path.append(None)
        else:
            path.append(2 * (sqrt(n10 + 3 / 8) - sqrt(m + 3 / 8)) / sqrt(phi + eps**2 * m))
            burst = burst or (path[-1] >= 4 and k > 6)
            quiet = quiet + 1 if path[-1] < 2 else 0
            burst = burst and quiet < 30
        if (FIRST + i) % 10 == 9 and i >= 9 and burst and n10 >= 2 * m:
            m += (1 - exp(-10 / 900)) * sqrt(phi * max(m, 0.3))
        elif (FIRST + i) % 10 == 9 and i >= 9:
            k += 1
            if m is None:
                m = max(float(n10), 0.5)
                continue
            x = float(n10)
            if k > 6:
                x = min(x, m + 3 * sqrt(phi * max(m, 0.3)) + 1)
                gain = max(1 - exp(-10 / 3600), 1 / (k + 1))
                phi = max(1.0, phi + gain * ((x - m) ** 2 / max(m, 0.3) - phi))
            m += max(1 - exp(-10 / 900), 1 / (k + 1)) * (x - m)
    return path


def test_the_score_path_follows_the_written_rules():
    counts = [1, *traffic(3, 2000, seed=8, bursts={1500: (30, 5)})]
    detector = TenSecondScore("chat", SETTINGS)
    for i, expected in enumerate(scores(counts)):
        detector.feed(FIRST + i, [counts[i]])
        if expected is None:
            assert detector.status.z is None
        else:
            assert detector.status.z == pytest.approx(expected, rel=1e-9, abs=1e-12)
