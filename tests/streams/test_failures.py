"""The failure detector: by its definition, by simulation with known truth, and in its corners."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.errors import OperatorError
from streams.processors.failures import FailureDetector
from streams.processors.settings import AnalysisSettings
from tests.support.failure_seconds import shown

SETTINGS = AnalysisSettings()
SECOND = 1_000_000
T0 = 1_700_000_000
BUDGET = 0.01


def fed(ended, failed, reasons=None, detector=None, start=T0):
    """A detector that has seen the counts, and the episodes it found."""
    detector = detector or FailureDetector("chat", SETTINGS)
    return detector, shown(detector, start, list(ended), list(failed), reasons)


def outage(*, rate, ratio, seconds=600, before=1800, after=900, base=0.005, seed=1):
    """Completions and failures per second: the budget is kept, then not for a while, then again."""
    rng = np.random.default_rng(seed)
    ended = rng.poisson(rate, before + seconds + after)
    p = np.full(len(ended), base)
    p[before : before + seconds] = ratio
    return ended.tolist(), rng.binomial(ended, p).tolist(), before


def lower(k, n, z):
    """Wilson's lower bound as the smaller root of (p - k/n)^2 = z^2 p(1-p)/n."""
    a, b, c = 1 + z * z / n, -(2 * k / n + z * z / n), (k / n) ** 2
    return (-b - math.sqrt(max(b * b - 4 * a * c, 0))) / (2 * a)


def first_alarm(ended, failed, budget):
    """Seconds until the rule is met for the first time, straight from its words; None if never."""
    for i in range(len(ended)):
        n1, k1 = sum(ended[max(i - 59, 0) : i + 1]), sum(failed[max(i - 59, 0) : i + 1])
        n5, k5 = sum(ended[max(i - 299, 0) : i + 1]), sum(failed[max(i - 299, 0) : i + 1])
        if failed[i] and k1 >= 2 and lower(k1, n1, 1.6448536) > budget and lower(k5, n5, 1.9599640) > 3 * budget:
            return i
    return None


COUNTS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.integers(0, 1)),
        st.tuples(st.integers(0, 400), st.integers(0, 12)),
        st.tuples(st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=500,
).map(lambda pairs: [(max(n, k), k) for n, k in pairs])


@given(COUNTS, st.sampled_from([0.001, 0.01, 0.05, 0.2]))
@settings(max_examples=60, deadline=None)
def test_an_episode_is_detected_in_the_very_second_the_rule_says(counts, budget):
    ended, failed = [n for n, _ in counts], [k for _, k in counts]
    _, found = fed(ended, failed, detector=FailureDetector("chat", AnalysisSettings(failure_budget_ratio=budget)))
    at = first_alarm(ended, failed, budget)
    assert bool(found) == (at is not None)
    if found:
        assert (found[0].state, found[0].detected) == ("onset", (T0 + at + 1) * SECOND)


@given(COUNTS, st.lists(st.integers(0, 500), max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_cut_and_wherever_restored_the_episodes_are_the_same(counts, cuts, data):
    ended, failed = [n for n, _ in counts], [k for _, k in counts]
    reasons = {T0 + i: {"timeout": 1, "overloaded": k - 1} if k > 1 else {"timeout": k} for i, k in enumerate(failed)}
    whole, expected = fed(ended, failed, reasons)
    part, found = FailureDetector("chat", SETTINGS), []
    bounds = [0, *sorted(min(cut, len(ended)) for cut in cuts), len(ended)]
    for low, high in zip(bounds, bounds[1:], strict=False):
        if data.draw(st.booleans()):
            restored = FailureDetector("chat", SETTINGS)
            restored.load(json.loads(json.dumps(part.dump())))
            part = restored
        found += shown(part, T0 + low, ended[low:high], failed[low:high], reasons)
    assert found == expected
    assert json.dumps(part.dump()) == json.dumps(whole.dump())


@given(COUNTS)
@settings(max_examples=60, deadline=None)
def test_an_episode_counts_what_ended_from_its_onset_to_its_end_and_why(counts):
    quiet = 400
    ended = [n for n, _ in counts] + [5] * quiet
    failed = [k for _, k in counts] + [0] * quiet
    reasons = {T0 + i: {"timeout" if i % 2 else "overloaded": k} for i, k in enumerate(failed) if k}
    _, found = fed(ended, failed, reasons)
    assert [e.state for e in found] == ["onset", "end"] * (len(found) // 2)
    for end in found[1::2]:
        low, high = end.onset // SECOND - T0, end.end // SECOND - T0
        assert (end.completions, end.failures) == (sum(ended[low:high]), sum(failed[low:high]))
        odd, even = (sum(failed[i] for i in range(low, high) if i % 2 == side) for side in (1, 0))
        assert end.failures_by_reason == {name: k for name, k in (("overloaded", even), ("timeout", odd)) if k}
        assert failed[low]
        assert failed[high - 1]


def test_one_failure_never_sounds_and_two_of_two_do():
    assert fed([1], [1])[1] == []
    assert [e.state for e in fed([1, 1], [1, 1])[1]] == ["onset"]
    assert fed([1, *[0] * 70, 1], [1, *[0] * 70, 1])[1] == []  # never two within a minute


def test_a_service_that_has_just_begun_sounds_no_more_often_than_an_old_one():
    """No warm-up is needed: over 2,000 cold starts at the whole budget, few sound in their first five minutes."""
    rng = np.random.default_rng(5)
    sounded = 0
    for _ in range(2000):
        ended = rng.poisson(0.5, 300)
        sounded += bool(fed(ended.tolist(), rng.binomial(ended, BUDGET).tolist())[1])
    assert sounded <= 40  # 2 %; at half the budget, see below, none in days


@pytest.mark.parametrize("rate", [0.02, 0.5, 5.0])
def test_a_service_within_its_budget_sounds_at_most_once_in_a_week(rate):
    ended, failed, _ = outage(rate=rate, ratio=0.005, before=2 * 86_400, seed=11)
    assert len(fed(ended, failed)[1]) <= 1


@pytest.mark.parametrize(
    ("rate", "ratio", "delay_s", "off_s"),
    [(0.5, 0.5, 60, 8), (5.0, 0.2, 80, 4), (5.0, 1.0, 14, 1), (50.0, 0.05, 250, 4)],
)
def test_an_outage_is_one_episode_seen_in_time_with_its_true_beginning_and_end(rate, ratio, delay_s, off_s):
    """Medians over nine outages; the bounds are the measured ones (bench) with room for the seed."""
    delays, begins, ends, episodes = [], [], [], []
    for seed in range(9):
        ended, failed, start = outage(rate=rate, ratio=ratio, seed=seed)
        _, found = fed(ended, failed)
        mine = [e for e in found if e.state == "end" and e.detected > (T0 + start) * SECOND]
        episodes.append(len(mine))
        delays.append(mine[0].detected / SECOND - T0 - start)
        begins.append(abs(mine[0].onset / SECOND - T0 - start))
        ends.append(abs(mine[-1].end / SECOND - T0 - start - 600))
        assert mine[0].failure_ratio_lower > 3 * BUDGET
        assert mine[0].peak_ratio >= ratio / 2
    medians = [sorted(values)[4] for values in (delays, begins, ends, episodes)]
    assert all(value <= most for value, most in zip(medians, (delay_s, off_s, off_s, 1), strict=True)), medians


def test_failing_again_within_the_minute_is_the_same_episode_and_after_five_another():
    bad, good = ([5] * 60, [3] * 60), ([5] * 40, [0] * 40)
    again = [bad[i] + good[i] + bad[i] + [5, 5] * 200 * (i == 0) + [0, 0] * 200 * (i == 1) for i in (0, 1)]
    assert [e.state for e in fed(*again)[1]] == ["onset", "end"]
    apart = [bad[i] + [[5], [0]][i] * 300 + bad[i] + [[5], [0]][i] * 300 for i in (0, 1)]
    _, found = fed(*apart)
    assert [e.state for e in found] == ["onset", "end"] * 2
    assert [(e.onset // SECOND - T0, e.end // SECOND - T0) for e in found[1::2]] == [(0, 60), (360, 420)]
    assert [e.failures for e in found[1::2]] == [180, 180]


def test_an_episode_ends_although_nothing_comes_any_more():
    detector, found = fed([4] * 30, [4] * 30)
    assert [e.state for e in found] == ["onset"]
    assert detector.status.active
    assert detector.status.onset == T0 * SECOND
    (end,) = shown(detector, T0 + 30, [0] * 600, [0] * 600)
    assert end.end == (T0 + 30) * SECOND
    assert detector.idle
    assert detector.status.episodes_total == 1


def test_starting_over_ends_what_was_on_and_takes_earlier_seconds():
    detector, _ = fed([4] * 30, [4] * 30)
    (end,) = detector.start_over()
    assert (end.state, end.end) == ("end", (T0 + 30) * SECOND)
    assert detector.start_over() == []
    assert [e.state for e in fed([2], [2], detector=detector, start=T0 - 500)[1]] == ["onset"]


def test_every_service_can_have_a_budget_of_its_own():
    own = AnalysisSettings(failure_budget_ratio=0.02, failure_budgets={"batch": 0.2})
    assert (own.failure_budget_of("chat"), own.failure_budget_of("batch")) == (0.02, 0.2)
    counts = ([10] * 60, [2] * 60)
    assert fed(*counts, detector=FailureDetector("chat", own))[1][0].budget_ratio == 0.02
    assert fed(*counts, detector=FailureDetector("batch", own))[1] == []


@pytest.mark.parametrize("bad", [0.0, -0.1, 0.3, float("nan"), float("inf")])
def test_a_budget_nothing_could_exceed_is_refused(bad):
    with pytest.raises(OperatorError, match="failure budget"):
        AnalysisSettings(failure_budget_ratio=bad)
    with pytest.raises(OperatorError, match="failure budget"):
        AnalysisSettings(failure_budgets={"chat": bad})


@pytest.mark.parametrize(
    "broken", [{}, {"ended": [1]}, {"episode": {"service": "x"}}, {"reasons": [3]}, {"pending_reasons": 4}]
)
def test_a_broken_state_is_refused(broken):
    facts = FailureDetector("chat", SETTINGS).dump()
    with pytest.raises((KeyError, TypeError, ValueError)):
        FailureDetector("chat", SETTINGS).load((facts | broken) if broken else {})
