"""What failures are attributed to: bursts and the engines' memory, by what was known at that second and no later."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.alarms import Alarms
from streams.processors.attribution import RecentBursts, attribute
from streams.processors.episodes import FailureEpisode, PressureEvidence
from streams.processors.outputs import Episode
from streams.processors.settings import AnalysisSettings
from streams.processors.ten_seconds import TenSecondScore

SETTINGS = AnalysisSettings(burst_warmup_s=60)
SECOND = 1_000_000
T0 = 1_700_000_100


class Engines:
    """Readings by second: (KV usage, waiting, preemptions since the last)."""

    def __init__(self, readings=()):
        self.readings = dict(readings)

    def during(self, start_us, end_us):
        seen = [r for at, r in self.readings.items() if start_us <= (T0 + at) * SECOND < end_us]
        if not seen:
            return PressureEvidence()
        usage, waiting, preempted = zip(*seen, strict=True)
        return PressureEvidence(kv_usage_peak=max(usage), waiting_peak=max(waiting), preemptions=sum(preempted))


def alarms(engines=None):
    return Alarms("chat", SETTINGS, TenSecondScore("chat", SETTINGS), engines=engines or Engines())


def story(*, burst=None, failing=None, seconds=1500, seed=0):
    """Arrivals, completions, failures per second: 5/s, eight times as many in ``burst``; half fail in ``failing``."""
    rng = np.random.default_rng(seed)
    rate, ratio = np.full(seconds, 5.0), np.zeros(seconds)
    if burst:
        rate[slice(*burst)] = 40
    if failing:
        ratio[slice(*failing)] = 0.5
    arrivals = rng.poisson(rate)
    return arrivals.tolist(), arrivals.tolist(), rng.binomial(arrivals, ratio).tolist()


def told(counts, engines=None):
    """The failure episodes of a story, and the alarms after it."""
    watch = alarms(engines)
    found = watch.feed(T0, *counts)
    return [e for e in found if isinstance(e, FailureEpisode)], watch


CALM = dict.fromkeys(range(1500), (0.4, 0, 0))
FULL = CALM | dict.fromkeys(range(900, 930), (0.99, 30, 2))


def test_an_episode_ends_although_nothing_comes_for_a_year():
    found, watch = told(story(failing=(900, 930), seconds=930))
    assert [e.state for e in found] == ["onset"]
    (end,) = [e for e in watch.feed(T0 + 86_400 * 365, (), (), ()) if isinstance(e, FailureEpisode)]
    assert (end.state, end.onset) == ("end", found[0].onset)
    assert T0 + 920 <= end.end // SECOND <= T0 + 930
    assert watch.failures.idle


@pytest.mark.parametrize(
    ("burst", "readings", "label"),
    [
        ((890, 930), FULL, "burst_and_memory_pressure"),
        ((890, 930), CALM, "burst"),
        ((890, 930), {}, "burst"),
        (None, FULL, "memory_pressure"),
        (None, CALM, "neither"),
        (None, {}, "unknown"),
        ((600, 630), CALM, "neither"),  # long over
    ],
)
def test_an_episode_is_attributed_to_what_was_on_at_the_time(burst, readings, label):
    (onset, end), watch = told(story(burst=burst, failing=(900, 940)), Engines(readings))
    assert end.attribution == label
    assert (onset.state, end.state) == ("onset", "end")
    if "burst" in label:
        assert abs(end.burst_onset / SECOND - T0 - 890) <= 1
        assert abs(end.burst_lead_s - 10) <= 2
        assert end.burst_peak_rate > 30
    else:
        assert (end.burst_onset, end.burst_peak_rate, end.burst_lead_s) == (None, None, None)
    if readings is FULL:
        assert (end.kv_usage_peak, end.waiting_peak) == (0.99, 30)
        assert 1 <= onset.preemptions <= end.preemptions == 60
    assert sum(watch.attributed.values()) == end.failures
    if label != "burst_and_memory_pressure":  # there the pressure ends before the failures do
        assert watch.attributed.most_common(1)[0][0] == label


def test_the_onset_says_what_was_known_then_and_the_end_what_came_after():
    (onset, end), _ = told(story(burst=(905, 940), failing=(860, 940)), Engines(CALM))
    assert onset.attribution == "neither"
    assert end.attribution == "burst"
    assert end.burst_lead_s < 0  # the failures came first


def test_a_long_episode_remembers_how_it_began_though_the_engines_do_not():
    class Forgetful(Engines):
        now = 0

        def during(self, start_us, end_us):
            return super().during(max(start_us, (T0 + self.now - 900) * SECOND), end_us)

    readings = dict.fromkeys(range(6000), (0.4, 0, 0)) | dict.fromkeys(range(900, 930), (0.99, 30, 2))
    engines = Forgetful(readings)
    watch = alarms(engines)
    counts = story(failing=(900, 4900), seconds=6000)
    found = []
    for at in range(0, 6000, 10):
        engines.now = at
        found += watch.feed(T0 + at, *(column[at : at + 10] for column in counts))
    _, end = found
    assert (end.attribution, end.kv_usage_peak, end.preemptions) == ("memory_pressure", 0.99, 60)


def test_each_failure_counts_for_its_own_second():
    """Failing for an hour, a burst of half a minute in it: only those of its seconds are in a burst."""
    (_, end), watch = told(story(burst=(900, 930), failing=(600, 1200)), Engines(CALM))
    assert end.attribution == "burst"
    counts = story(burst=(900, 930), failing=(600, 1200))
    within = sum(counts[2][900:930])
    assert within <= watch.attributed["burst"] <= within * 1.3  # a burst ends up to 10 s after the fact
    assert sum(watch.attributed.values()) == sum(counts[2])


@given(
    st.tuples(st.integers(100, 1000), st.integers(1, 200)),
    st.tuples(st.integers(100, 1000), st.integers(1, 200)),
    st.lists(st.integers(0, 1500), max_size=12),
    st.data(),
)
@settings(max_examples=30, deadline=None)
def test_whatever_the_cut_and_wherever_restored_the_story_is_the_same(burst, failing, cuts, data):
    arrivals, ended, failed = story(burst=(burst[0], sum(burst)), failing=(failing[0], sum(failing)))
    engines = Engines(FULL)
    whole = alarms(engines)
    expected = whole.feed(T0, arrivals, ended, failed)
    part, found = alarms(engines), []
    bounds = [0, *sorted(cuts), 1500]
    for low, high in zip(bounds, bounds[1:], strict=False):
        if data.draw(st.booleans()):
            restored = alarms(engines)
            restored.bursts.load(json.loads(json.dumps(part.bursts.dump())))
            restored.load(json.loads(json.dumps(part.dump())))
            part = restored
        found += part.feed(T0 + low, arrivals[low:high], ended[low:high], failed[low:high])
    assert found == expected
    assert part.attributed == whole.attributed


@given(st.lists(st.integers(0, 1500), max_size=12))
@settings(max_examples=20, deadline=None)
def test_silence_can_be_fed_in_any_parts_or_left_out(cuts):
    arrivals, ended, failed = story(burst=(400, 430), failing=(400, 440), seconds=440)
    whole, parts = alarms(), alarms()
    expected = whole.feed(T0, arrivals, ended, failed) + whole.feed(T0 + 9000, (), (), ())
    found = parts.feed(T0, arrivals, ended, failed)
    for cut in sorted(cuts):
        found += parts.feed(T0 + 440 + cut, (), (), ())
    found += parts.feed(T0 + 9000, (), (), ())
    assert found == expected
    assert [type(e) for e in expected] == [Episode, FailureEpisode, Episode, FailureEpisode]
    assert parts.attributed == whole.attributed
    assert sum(parts.attributed.values()) == sum(failed)


def test_starting_over_ends_everything_and_explains_it():
    watch = alarms(Engines(FULL))
    counts = story(burst=(890, 930), failing=(900, 940))
    watch.feed(T0, *(column[:925] for column in counts))
    burst, failure = watch.start_over()
    assert (burst.state, failure.state, failure.attribution) == ("end", "end", "burst_and_memory_pressure")
    assert watch.start_over() == []
    assert watch.feed(T0 - 5000, [1], [2], [2])[0].state == "onset"  # earlier seconds are taken again


def burst_of(onset, end=None, peak=10.0):
    numbers = {"baseline_rate": 5.0, "peak_rate": peak, "peak_z": 9.0, "arrivals": 5, "excess": 0.0, "window_s": 10}
    return Episode(service="chat", state="end" if end else "onset", onset=onset, detected=onset + 1, end=end, **numbers)


def test_of_several_bursts_the_last_before_the_failures_counts_else_the_first_after():
    recent = RecentBursts()
    for onset, end in ((0, 10), (20, 30), (50, 60)):
        recent.note(burst_of(onset))
        recent.note(burst_of(onset, end))
    assert recent.nearest(40, 5, 70).onset == 20
    assert recent.nearest(40, 35, 70).onset == 50
    assert recent.nearest(40, 31, 49) is None
    recent.forget(30)
    assert recent.nearest(40, 5, 70).onset == 50


def test_a_day_of_bursts_does_not_grow_the_memory():
    recent = RecentBursts()
    for i in range(1000):
        recent.note(burst_of(100 * i))
        recent.note(burst_of(100 * i, 100 * i + 50))
    recent.note(burst_of(100_000))
    assert len(recent.dump()) == 64
    assert recent.active
    assert recent.nearest(10, 0, 200_000).onset == 0


@pytest.mark.parametrize(
    ("burst", "kv", "preemptions", "label"),
    [
        (True, 0.95, None, "burst_and_memory_pressure"),
        (True, 0.949, 0, "burst"),
        (False, 0.2, 1, "memory_pressure"),
        (False, None, 0, "neither"),
        (False, None, None, "unknown"),
    ],
)
def test_memory_is_pressed_by_usage_or_preemptions_and_unknown_without_either(burst, kv, preemptions, label):
    evidence = PressureEvidence(kv_usage_peak=kv, preemptions=preemptions)
    assert attribute(burst=burst, evidence=evidence) == label
