"""Agents' clocks, told by when Kafka appended their messages."""

from streams.processors.clocks import AGENTS_MAX, Clocks, Verdict
from tests.support.service_messages import SECOND, START


def hear(clocks: Clocks, agent: str, at: float, delay: float):
    return clocks.hear(agent, START + round((at - delay) * SECOND), START + round(at * SECOND))


def verdicts(delays: list[float]) -> list[Verdict]:
    """The changes of verdict of an agent that speaks once a second."""
    clocks = Clocks()
    return [clock.verdict for s, delay in enumerate(delays) if (clock := hear(clocks, "a", s, delay))]


def test_a_clock_that_is_ahead_is_known_at_once_and_said_once():
    assert verdicts([-5.0] * 200) == [Verdict.AHEAD]
    assert verdicts([-1.9, 0.1] * 100) == []


def test_one_quick_message_shows_that_an_agent_is_ahead_however_late_the_others_come():
    assert verdicts([0.5, 3, 0.2, -3, 7, 0.1]) == [Verdict.AHEAD]


def test_a_clock_set_right_is_said_to_be_sound_after_a_minute():
    assert verdicts([-5.0] * 50 + [0.2] * 30) == [Verdict.AHEAD]
    assert verdicts([-5.0] * 50 + [0.2] * 80) == [Verdict.AHEAD, Verdict.SOUND]


def test_a_backlog_is_not_called_behind_before_a_whole_span_without_a_quick_message():
    assert verdicts([600.0] * 20 + [0.1] * 200) == []
    assert verdicts([40.0] * 100) == [Verdict.BEHIND]
    assert verdicts([40.0] * 100 + [0.3]) == [Verdict.BEHIND, Verdict.SOUND]


def test_a_recording_is_not_a_broken_clock():
    assert verdicts([90_000_000.0] * 100) == [Verdict.RECORDING]


def test_the_least_delay_of_the_last_minute_is_shown_and_the_silent_go():
    clocks = Clocks()
    for s, delay in enumerate([0.4, 2.0, 0.3] + [1.5] * 70):
        hear(clocks, "a", s, delay)
    hear(clocks, "b", 72, -4)
    assert {a: c.delay_us for a, c in clocks.heard()} == {"a": 1_500_000, "b": -4_000_000}
    hear(clocks, "b", 140, -4)
    assert [agent for agent, _ in clocks.heard()] == ["b"]


def test_memory_is_bounded_and_the_longest_unheard_go_first():
    clocks = Clocks()
    for i in range(AGENTS_MAX + 50):
        hear(clocks, f"a{i}", i / 100, 0.1)
        hear(clocks, "always", i / 100, 0.1)
    names = [agent for agent, _ in clocks.heard()]
    assert len(names) == AGENTS_MAX
    assert {"always", f"a{AGENTS_MAX + 49}"} <= set(names)
    assert "a0" not in names
