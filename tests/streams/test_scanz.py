"""The default burst detector: fast, quiet, one episode per burst, the same bits whatever the cut."""

from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.burst_detectors import dump_detector, load_detector, new_detector
from streams.processors.scanz import ScanZ
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND
from tests.support.traffic import KINDS, MIDNIGHT, simulate
from workload import builtin

FIRST = MIDNIGHT + 7
DAY = 86_400
SETTINGS = AnalysisSettings()
SPANS = (1, 2, 5, 10, 20, 60)


def detect(counts, config: AnalysisSettings = SETTINGS, first: int = FIRST) -> tuple[list, ScanZ]:
    detector = ScanZ("chat", config)
    return detector.feed(first, [int(c) for c in counts]), detector


def onsets(episodes) -> list:
    return [e for e in episodes if e.state == "onset"]


def second_of(us: int) -> int:
    return us // SECOND - FIRST


STARTS = [1200 + 900 * i for i in range(9)]


@pytest.mark.parametrize(
    ("kind", "rate", "factor", "within_s", "least"),
    [
        ("poisson", 5, 8, 1, 9),
        ("gamma0.5", 5, 8, 3, 9),
        ("poisson", 5, 4, 3, 9),
        ("gamma0.5", 5, 4, 5, 9),
        ("poisson", 5, 2, 15, 8),
        ("poisson", 50, 2, 3, 9),
        ("gamma0.5", 50, 2, 10, 9),
        ("gamma0.25", 50, 4, 3, 9),
        ("poisson", 0.5, 8, 8, 9),
    ],
)
def test_bursts_are_found_within_seconds_and_each_is_told_once(kind, rate, factor, within_s, least):
    """Nine bursts of a minute, 15 minutes apart: median delay from their start to the end of the deciding second."""
    counts = simulate(kind, rate, 9600, [3, int(rate * 10), factor], dict.fromkeys(STARTS, (60, factor)))
    episodes, _ = detect(counts)
    begun = onsets(episodes)
    found = {s: [e for e in begun if -20 <= second_of(e.onset) - s < 60] for s in STARTS}
    assert sum(bool(e) for e in found.values()) >= least
    assert len(begun) == sum(bool(e) for e in found.values())
    delays = sorted(second_of(e[0].detected) - s for s, e in found.items() if e)
    assert delays[len(delays) // 2] <= within_s
    late = sorted(abs(second_of(e[0].onset) - s) for s, e in found.items() if e)
    assert late[len(late) // 2] <= (2 if factor > 2 else 8)
    lasted = sorted((e.end - e.onset) // SECOND for e in episodes if e.state == "end")
    assert 50 <= lasted[len(lasted) // 2] <= 75


def test_ordinary_days_are_quiet():
    """Every kind of ordinary traffic for six hours at 0.1, 5 and 50 requests/s: 0.8 alarms expected in all."""
    sounded = {
        (kind, rate): len(onsets(detect(simulate(kind, rate, DAY // 4, [5, place, int(rate * 10)]))[0]))
        for place, kind in enumerate(KINDS)
        for rate in (0.1, 5, 50)
    }
    assert sum(sounded.values()) <= 4, sounded  # 4.5 key-days; Poisson(0.8): more than 4 once in 700 seeds


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_sixteen_ordinary_key_days_sound_at_most_once_in_three(kind):
    place = KINDS.index(kind)
    sounded = [
        len(onsets(detect(simulate(kind, rate, 4 * DAY, [6, place, int(rate * 10)]))[0])) for rate in (0.1, 0.5, 5, 50)
    ]
    assert sum(sounded) <= 16 * 0.6  # measured 0.04 (Poisson) to 0.3 (mixed, Gamma 0.25) per key and day


@pytest.mark.parametrize(("warmup_s", "seed"), [(30, 1), (30, 2), (300, 3), (300, 4), (300, 5)])
def test_every_burst_of_the_built_in_workload_is_found(warmup_s, seed):
    workload = builtin.generate(np.random.default_rng(seed), duration_s=900.0)
    times = np.array([row.submitted_us for row in workload.rows]) // SECOND
    episodes, _ = detect(np.bincount(times), AnalysisSettings(burst_warmup_s=warmup_s))
    due = [b for b in workload.bursts if b.start_s > warmup_s and b.start_s + b.duration_s < 890]
    for burst in due:
        delays = [e.detected / SECOND - FIRST - burst.start_s for e in onsets(episodes)]
        assert [d for d in delays if 0 < d <= 6], burst
    assert 7 <= len(due) <= len(onsets(episodes)) <= len(due) + 2


def test_bursts_that_come_every_minute_teach_the_baseline_nothing():
    starts = list(range(90, 1700, 75))
    counts = simulate("poisson", 5, 1800, 11, dict.fromkeys(starts, (12, 7)))
    episodes, detector = detect(counts)
    due = [s for s in starts if s >= 300]
    delays = [second_of(e.detected) - s for e, s in zip(onsets(episodes), due, strict=True)]
    assert all(0 < delay <= 3 for delay in delays)
    assert detector.status.baseline_rate == pytest.approx(5, rel=0.2)


def test_a_burst_in_the_warm_up_is_neither_told_nor_learned():
    counts = [5] * 60 + [60] * 20 + [5] * 220 + [5] * 200 + [40] * 5 + [5] * 60
    episodes, detector = detect(counts)
    assert [second_of(e.onset) for e in onsets(episodes)] == [500]
    assert episodes[0].baseline_rate == pytest.approx(5, rel=0.2)
    assert detector.status.episodes_total == 1


def test_an_episode_says_where_it_began_how_big_it_was_and_where_it_ended():
    (onset, end), _ = detect([2] * 1000 + [40] * 20 + [2] * 60)
    assert (onset.state, onset.end, onset.window_s) == ("onset", None, 1)
    assert onset.onset == end.onset == (FIRST + 1000) * SECOND
    assert onset.detected == (FIRST + 1001) * SECOND
    assert (onset.arrivals, onset.excess) == (40, pytest.approx(38))
    assert end.baseline_rate == pytest.approx(2)
    assert end.peak_rate == 40
    assert end.peak_z > onset.peak_z
    assert 1020 <= second_of(end.end) <= 1030  # the score of 10 s stays raised for up to 10 s
    assert end.arrivals == 800 + 2 * (second_of(end.end) - 1020)
    assert end.excess == pytest.approx(20 * 38, rel=0.01)


def test_a_slow_swell_begins_where_the_counts_rose():
    """Two a second, then five: no single second stands out."""
    (onset, *_), _ = detect([2] * 1000 + [5] * 60 + [2] * 60)
    assert second_of(onset.onset) == 1000
    assert second_of(onset.detected) <= 1012
    assert onset.window_s == second_of(onset.detected) - 1000


def test_the_long_window_does_not_sound_again_for_a_burst_that_ended():
    """At its end the 60-s window still holds the burst; at 5/s x2 it would sound again without its restart."""
    for seed in range(5):
        counts = simulate("poisson", 5, 3000, [9, seed], {1500: (60, 2.6)})
        assert len(onsets(detect(counts)[0])) == 1


def test_a_lasting_rise_of_a_slow_service_is_one_burst_then_the_baseline():
    sounded = 0
    for seed in range(8):
        episodes, detector = detect(simulate("poisson", 0.5, 7000, [4, seed], {2000: (5000, 4)}))
        sounded += len(onsets(episodes))
        assert detector.status.baseline_rate == pytest.approx(2, rel=0.3)
    assert sounded <= 12


def test_an_hour_of_silence_starts_the_service_anew():
    busy = [int(c) for c in simulate("poisson", 5, 1200, 4)]
    episodes, detector = detect([*busy, *[0] * 3700])
    assert detector.status.baseline_rate is None
    assert detector.status.z is None
    episodes += detector.feed(FIRST + 4900, [*busy[:250], *[80] * 20, *busy])
    assert episodes == []  # the jump fell into the new warm-up
    assert detector.status.baseline_rate == pytest.approx(5, rel=0.4)
    _, detector = detect([*busy, *[0] * 3000])
    assert detector.status.baseline_rate is not None


def test_start_over_ends_a_burst_and_takes_any_second():
    _, detector = detect([5] * 1000 + [60] * 5)
    (end,) = detector.start_over()
    assert (end.state, end.onset, end.end) == ("end", (FIRST + 1000) * SECOND, (FIRST + 1005) * SECOND)
    assert end.arrivals == 300
    assert detector.start_over() == []
    assert detector.feed(FIRST - 9000, [5] * 1000 + [60] * 5) != []
    assert detector.status.episodes_total == 2


def test_status_tells_where_it_stands():
    detector = ScanZ("chat", AnalysisSettings(burst_threshold=4.5))
    status = detector.status
    assert (status.z, status.baseline_rate, status.active, status.threshold) == (None, None, False, 4.5)
    detector.feed(FIRST, [5] * 1000)
    detector.feed(FIRST + 1000, [50] * 10)
    status = detector.status
    assert (status.active, status.rate_10s, status.episodes_total) == (True, 50.0, 1)
    assert status.onset == (FIRST + 1000) * SECOND
    assert status.z > 4.5
    detector.feed(FIRST + 1010, [5] * 60)
    assert (detector.status.active, detector.status.onset) == (False, None)


COUNTS = st.lists(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=400)
PIECES = st.lists(st.tuples(st.integers(0, 4000), COUNTS), min_size=1, max_size=4)


@given(PIECES, st.lists(st.integers(0, 1000), max_size=6), st.sampled_from([0, 60]))
@settings(max_examples=60, deadline=None)
def test_any_cut_and_any_restart_give_the_same_bits(pieces, cuts, warmup_s):
    """Stretches of traffic with silences between, long ones too, that may be fed or left out."""
    config = AnalysisSettings(burst_warmup_s=warmup_s)
    counts = [c for silence, stretch in pieces for c in [*[0] * silence, *stretch]]
    whole, detector = detect(counts, config)
    found, piece = [], ScanZ("chat", config)
    bounds = [0, *sorted(c for c in cuts if c < len(counts)), len(counts)]
    for low, high in zip(bounds, bounds[1:], strict=False):
        found += piece.feed(FIRST + low, counts[low:high])
        fresh = ScanZ("chat", config)
        fresh.load(piece.dump())
        assert fresh.status == piece.status
        piece = fresh
    assert found == whole
    assert piece.dump() == detector.dump()
    sparse, found, at = ScanZ("chat", config), [], FIRST
    for silence, stretch in pieces:
        at += silence
        found += sparse.feed(at, stretch)
        at += len(stretch)
    assert found == whole
    assert sparse.dump() == detector.dump()


def greatest_scores(counts: list[int], phase: int) -> list[float | None]:
    """The path of the greatest score as the rules define it, written down a second time; burst-free traffic only.

    What a full block teaches holds from its last second's status on.
    """
    m, phi, k, path, usable = None, 1.0, 0, [], 0
    for i in range(len(counts)):
        if (i + phase) % 10 == 9 and i >= 9:
            x, k, usable = float(sum(counts[i - 9 : i + 1])), k + 1, min(i + 2, 60)
            if m is None:
                m = max(x, 0.5)
            else:
                if k > 6:
                    x = min(x, m + 3 * sqrt(phi * max(m, 0.3)) + 1)
                    gain = max(1 - exp(-10 / 3600), 1 / (k + 1))
                    phi = max(1.0, phi + gain * ((x - m) ** 2 / max(m, 0.3) - phi))
                m += max(1 - exp(-10 / 900), 1 / (k + 1)) * (x - m)
        scores = [
            2
            * (sqrt(sum(counts[max(i - w + 1, 0) : i + 1]) + 3 / 8) - sqrt(m * w / 10 + 3 / 8))
            / sqrt(phi + 0.01 * m * w / 10)
            for w in SPANS
            if w <= usable
        ]
        path.append(max(scores) if scores else None)
    return path


def test_the_score_path_follows_the_written_rules():
    counts = [1, *(int(c) for c in simulate("poisson", 3, 2000, 8))]
    detector = ScanZ("chat", SETTINGS)
    for i, expected in enumerate(greatest_scores(counts, FIRST % 10)):
        detector.feed(FIRST + i, [counts[i]])
        assert detector.status.z == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12))


def test_another_detector_takes_over_how_many_bursts_there_were():
    ours = new_detector("chat", SETTINGS)
    ours.feed(FIRST, [5] * 1000 + [60] * 5)
    facts = dump_detector(ours, SETTINGS)
    assert load_detector(facts, "chat", SETTINGS).status == ours.status
    simple = AnalysisSettings(detector="ten-seconds")
    other = load_detector(facts, "chat", simple)
    assert (other.status.episodes_total, other.status.active) == (1, False)
    other.feed(FIRST + 1005, [5] * 1000 + [60] * 5)
    back = load_detector(dump_detector(other, simple), "chat", SETTINGS)
    assert back.status.episodes_total == 2


@pytest.mark.parametrize("harm", [{"windows": {}}, {"rate": {}}, {"windows": {"recent": [1]}}, {"burst": {"x": 1}}])
def test_a_broken_state_is_refused(harm):
    _, detector = detect([5] * 100)
    with pytest.raises((LookupError, TypeError, ValueError)):
        ScanZ("chat", SETTINGS).load(detector.dump() | harm)
