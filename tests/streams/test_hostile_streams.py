"""Streams nobody should send: the state stays small, goes into a snapshot, and says nothing wrong."""

from streams.processors.measures import PER_REQUEST_MAX
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, arrival, completion

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
