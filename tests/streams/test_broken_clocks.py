"""Broken clocks and hostile batches: one service's analysis survives them, and goes on when they are over."""

import random

from streams.processors import open_panes
from streams.processors.outputs import Episode, WindowRow
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import KEYS, SECOND, SERVICE, START, Agent, apply_all, arrival, completion


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def fresh(**kwargs) -> tuple[ServiceState, Agent]:
    return ServiceState(SERVICE, AnalysisSettings(**kwargs)), Agent()


def steady(seconds: float, per_second: int = 10, start: float = 0) -> list:
    return [arrival(at(start + 0.05 + i / per_second)) for i in range(int(seconds * per_second))]


def test_one_message_from_the_year_9000_changes_no_window():
    """Its events reach the totals; no row, no lateness, no burst is touched."""
    plain, disturbed, agent, other = ServiceState(SERVICE, AnalysisSettings()), *fresh(), Agent()
    year_9000 = 221_845_392_000 * SECOND
    expected = apply_all(plain, [agent.message(steady(30, start=s), watermark=at(s + 30)) for s in range(0, 120, 30)])
    found = apply_all(disturbed, [other.message(steady(30), watermark=at(30))])
    found += apply_all(disturbed, [other.message([arrival(year_9000)], watermark=year_9000)])
    for second in range(30, 120, 30):
        found += apply_all(disturbed, [other.message(steady(30, start=second), watermark=at(second + 30))])
    assert found == expected
    assert disturbed.ledger.late == plain.ledger.late == {"counts": 0, "ordered": 0}
    assert disturbed.ledger.set_back == 0


def test_after_a_clock_hours_ahead_was_set_right_the_windows_start_anew():
    state, agent = fresh(burst_warmup_s=0)
    apply_all(state, [agent.message(steady(60, start=s), watermark=at(s + 60)) for s in range(0, 600, 60)])
    jump = [*steady(5, per_second=200, start=605), arrival(at(90_000))]
    onset = apply_all(state, [agent.message(jump, watermark=at(610)), agent.message(watermark=at(90_000 - 1))])
    assert state.ledger.watermark == at(90_000 - 1)
    again = Agent(boot="boot-2")
    for second in range(620, 652):
        assert apply_all(state, [again.message(steady(1, start=second), watermark=at(second + 1))]) == []
    found = apply_all(state, [again.message(steady(1, start=652), watermark=at(653))])
    for second in range(653, 700):
        found += apply_all(state, [again.message(steady(1, start=second), watermark=at(second + 1))])
    rows = [r for r in found if isinstance(r, WindowRow) and r.model == "all"]
    assert [r.end for r in rows] == [at(s) for s in (660, 670, 680, 690)]
    assert rows[-1].windows[10].arrivals == 100
    assert rows[-1].windows[3600].arrivals < 400  # nothing of what was before
    assert state.ledger.set_back == 1
    assert state.ledger.late["counts"] == 320  # 30 s, and what came with the messages at both ends
    assert state.ledger.future == 1  # the one that waited in the far future
    assert sum(t.arrivals for t in state.totals.values()) == 6000 + 1000 + 1 + 800
    assert [e.state for e in onset if isinstance(e, Episode)] == ["onset", "end"]
    restored = ServiceState.restore(state.snapshot(), state.settings)
    assert restored.ledger == state.ledger


def test_a_burst_that_is_on_when_event_time_is_set_back_ends_there():
    state, agent = fresh(burst_warmup_s=0)
    apply_all(state, [agent.message(steady(60, start=s), watermark=at(s + 60)) for s in range(0, 600, 60)])
    (onset,) = [
        e
        for e in apply_all(state, [agent.message(steady(5, per_second=200, start=605), watermark=at(610))])
        if isinstance(e, Episode)
    ]
    again = Agent(boot="boot-2")
    found = apply_all(state, [again.message(watermark=at(s)) for s in range(-9000, -8960)])
    (end,) = [e for e in found if isinstance(e, Episode)]
    assert (end.state, end.onset, end.end) == ("end", onset.onset, at(610))
    assert not state.burst.active
    assert state.burst.episodes_total == 1
    assert state.latest == {}


def test_a_message_with_a_hundred_thousand_panes_is_counted_in_parts_and_no_memory(monkeypatch):
    """The same numbers as for all panes at once, whatever is dropped for want of room."""
    monkeypatch.setattr(open_panes, "OPEN_PANES_MAX", 700)
    rng = random.Random(5)
    times = [at(rng.randrange(0, 20_000)) for _ in range(3000)]
    expected = None
    for at_once in (10**9, 1, 7, 64):
        monkeypatch.setattr(open_panes, "_PANES_AT_ONCE", at_once)
        state, agent = fresh()
        apply_all(state, [agent.message([arrival(t, KEYS[i % 3]) for i, t in enumerate(times)])])
        apply_all(state, [agent.message([completion(t, KEYS[i % 3], tokens=(i, 1)) for i, t in enumerate(times)])])
        found = (state.ledger, apply_all(state, [agent.message(watermark=at(1500))]), state.totals)
        expected = expected or found
        assert found == expected
    assert expected[0].future > 1000
