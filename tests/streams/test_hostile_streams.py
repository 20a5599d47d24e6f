"""Streams nobody should send: the state stays small, goes into a snapshot, and says nothing wrong."""

import pytest

from streams.processors.episodes import PressureEpisode
from streams.processors.measures import PER_REQUEST_MAX
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, arrival, completion, reading

YEAR_10000 = 253_402_300_799 * SECOND
OCTAVES = range(-10, 10)


def test_durations_of_millennia_neither_overflow_nor_keep_the_state_out_of_a_snapshot():
    """A submission at 0 is a clock's or a gateway's fault; 80 such events used to exceed 64 bits."""
    state, agent = ServiceState(SERVICE, AnalysisSettings()), Agent()
    for _ in range(3):
        apply_all(state, [agent.message([completion(YEAR_10000, submitted_at=0) for _ in range(50)], watermark=START)])
    restored = ServiceState.restore(state.snapshot(), AnalysisSettings())
    for one in (state, restored):
        known = one.sketches.distribution("request_duration_s", OCTAVES)
        assert (known.count, known.sum) == (150, 150 * PER_REQUEST_MAX / 1e6)


def test_the_reasons_of_failures_told_too_late_are_not_kept_for_ever():
    """An agent 100 s behind the others, whose every request fails: a second each used to stay in the state."""
    state, prompt, late = ServiceState(SERVICE, AnalysisSettings()), Agent("prompt"), Agent("late")
    sizes = []
    for now in range(START, START + 1500 * SECOND, SECOND):
        failed = completion(now - 100 * SECOND, outcome="failed", reason="timeout")
        messages = [prompt.message([arrival(now)], watermark=now), late.message([failed], watermark=now - 100 * SECOND)]
        apply_all(state, messages)
        if now % (500 * SECOND) == 0:
            sizes.append(len(state._timeline.alarms.reasons.dump()["seconds"]))
    assert max(sizes) <= 1
    assert sum(totals.failures["timeout"] for totals in state.totals.values()) == 1500


def pressed(skew_s: int, *, watched: bool, broken_once: bool = False) -> tuple[list, ServiceState]:
    """Five minutes of an engine that is full, told every second; with it arrivals, or another engine's readings."""
    state, engine, other = ServiceState(SERVICE, AnalysisSettings()), Agent("engine"), Agent("other")
    found = []
    for second in range(300):
        now = START + second * SECOND
        at = now + skew_s * SECOND
        if watched:
            messages = [other.message([arrival(now)], watermark=now), engine.message([reading(at, kv=0.97)])]
        else:
            messages = [engine.message([reading(now, kv=0.97)])]
            if not broken_once or second == 5:
                messages.append(other.message([reading(at, engine="e1", kv=0.2)]))
        found += [out for out in apply_all(state, messages) if isinstance(out, PressureEpisode)]
        if second % 77 == 0:
            state = ServiceState.restore(state.snapshot(), AnalysisSettings())
    return found, state


@pytest.mark.parametrize("skew_s", [0, -20, -40, -600, 20])
def test_an_engine_whose_clock_is_behind_is_under_pressure_once_not_with_every_reading(skew_s):
    found, state = pressed(skew_s, watched=True)
    assert [episode.state for episode in found] == ["onset"]
    assert state.pressure.status[:2] == (1, 1)


@pytest.mark.parametrize("skew_s", [0, 20, 600, 86_400])
def test_engines_whose_clocks_differ_do_not_silence_each_other_where_nobody_watches_requests(skew_s):
    found, state = pressed(skew_s, watched=False)
    assert len(found) <= 3  # the first time the clocks are found apart looks like a silence
    assert state.pressure.status[:2] == (2, 1)


def test_one_reading_from_a_broken_clock_ends_no_pressure():
    found, _ = pressed(86_400, watched=False, broken_once=True)
    assert [episode.state for episode in found] == ["onset"]
