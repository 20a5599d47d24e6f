"""Engines that misbehave: broken clocks, restarts, floods, names by the thousand; good readings are kept."""

import time

import pytest

from collector.schema.codec import decode, encode
from collector.schema.errors import BadMessage
from streams.processors import engine_track, pressure
from streams.processors.engine_track import EngineTrack, Reading
from streams.processors.episodes import PressureEpisode
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, reading

SETTINGS = AnalysisSettings()


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def fed(readings: list, *, until: float, at_once: int = 5) -> tuple[ServiceState, list]:
    """A service told the readings in the order given, ``at_once`` to a message, and event time at ``until``."""
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    told = [readings[i : i + at_once] for i in range(0, len(readings), at_once)]
    messages = [agent.message(some, watermark=START) for some in told]
    outputs = apply_all(state, [*messages, agent.message(watermark=at(until))])
    return state, [out for out in outputs if isinstance(out, PressureEpisode)]


def spans(episodes: list) -> list:
    return [(e.engine, e.state, (e.onset - START) / SECOND, e.end and (e.end - START) / SECOND) for e in episodes]


def test_a_full_cache_is_told_at_once_and_its_end_after_thirty_calm_seconds():
    levels = [0.5] * 20 + [0.96] * 5 + [0.92] * 5 + [0.5] * 60
    _, found = fed([reading(at(s), kv=kv, waiting=2) for s, kv in enumerate(levels)], until=100)
    assert spans(found) == [("e0", "onset", 20, None), ("e0", "end", 20, 30)]
    assert (found[0].kv_usage_peak, found[1].kv_usage_peak, found[1].waiting_peak) == (0.96, 0.96, 2)


def test_a_preemption_is_pressure_whatever_the_usage_says():
    readings = [reading(at(s), waiting=0, preemptions_total=7 + (s >= 20)) for s in range(30)]
    _, found = fed(readings, until=40)
    assert spans(found) == [("e0", "onset", 20, None)]
    assert (found[0].kv_usage_peak, found[0].preemptions, found[0].exhaustion_s) == (None, 1, None)


def test_a_queue_that_grows_keeps_the_episode_open():
    readings = [reading(at(s), kv=0.96 if s < 20 else 0.5, waiting=s) for s in range(100)]
    _, found = fed(readings, until=101)
    assert [e.state for e in found] == ["onset"]


def test_an_engine_that_falls_silent_is_under_pressure_no_more():
    readings = [reading(at(s), kv=0.97) for s in range(10)] + [reading(at(s), engine="e1", kv=0.1) for s in range(60)]
    state, found = fed(readings, until=60)
    assert spans(found) == [("e0", "onset", 0, None), ("e0", "end", 0, 9)]
    assert state.pressure.status.engines == 1


def test_counters_that_fall_are_a_restart_and_conclude_nothing():
    counts = [100 + s for s in range(20)] + [0] * 5 + [1] * 5
    readings = [reading(at(s), kv=0.3, preemptions_total=n, requests_ok_total=n) for s, n in enumerate(counts)]
    state, found = fed(readings, until=40)
    assert found[0].onset == at(1)
    assert found[0].preemptions == 1
    # 19 before the restart and 1 after it; the fall itself counts for nothing
    assert state.pressure.during(at(0), at(40)).preemptions == 20


@pytest.mark.parametrize("ahead_s", [100, 86_400, 10**9])
def test_one_reading_from_the_future_does_not_silence_an_engine(ahead_s):
    readings = [reading(at(s), kv=0.5) for s in range(20)]
    readings.insert(10, reading(at(10 + ahead_s), kv=0.99))
    readings += [reading(at(s), kv=0.97) for s in range(20, 30)]
    _, found = fed(readings, until=35)
    assert spans(found) == [("e0", "onset", 20, None)]


def test_a_clock_that_was_set_back_is_believed_after_ten_readings():
    track = EngineTrack(SERVICE, Reading(at(3600), "n", "e0", 0.5, 1, 0, 0, 0))
    for second in range(10):
        assert track.last.at == at(3600)
        track.take(Reading(at(second), "n", "e0", 0.5, 1, 0, 0, 0), doubtful=True)
    assert track.last.at == at(9)
    for second in range(9):  # an agent's backlog is no clock that was set back
        track.take(Reading(at(second), "n", "e0", 0.5, 1, 0, 0, 0), doubtful=False)
    assert track.last.at == at(9)


def test_a_flood_from_a_broken_clock_displaces_only_itself(monkeypatch):
    monkeypatch.setattr(pressure, "PENDING_MAX", 100)
    flood = [reading(at(10**6 + s), engine="broken", kv=0.5) for s in range(300)]
    good = [reading(at(s), kv=0.5 if s < 20 else 0.97) for s in range(30)]
    state, found = fed(flood + good, until=35)
    assert spans(found) == [("e0", "onset", 20, None)]
    assert state.pressure.status.ignored >= 200


def test_engines_beyond_the_budget_are_counted_and_silent_ones_make_room(monkeypatch):
    monkeypatch.setattr(pressure, "ENGINES_MAX", 3)
    names = [reading(at(s), engine=f"e{n}", kv=0.97) for s in range(5) for n in range(5)]
    state, found = fed(names, until=10)
    assert {e.engine for e in found} == {"e0", "e1", "e2"}
    assert (state.pressure.status.engines, state.pressure.status.ignored) == (3, 10)
    _, found = fed([*names, *(reading(at(100 + s), engine="late", kv=0.97) for s in range(5))], until=110)
    assert "late" in {e.engine for e in found}


def test_a_thousand_engines_stay_cheap_and_bounded():
    readings = [
        reading(at(s), engine=f"e{n}", kv=0.5 + 0.001 * (n * 7 % 100), waiting=1, preemptions_total=0)
        for s in range(12)
        for n in range(1_050)
    ]
    began = time.process_time()
    state, _ = fed(readings, until=15, at_once=1000)
    spent_s = time.process_time() - began
    assert state.pressure.status.engines == pressure.ENGINES_MAX
    restored = ServiceState.restore(state.snapshot(), SETTINGS)
    assert restored.snapshot() == state.snapshot()
    assert len(state.snapshot()) < 2_000_000
    assert len(list(state.pressure.outlooks())) == 1_000
    print(f"{spent_s / len(readings) * 1e6:.0f} us a reading, {len(state.snapshot())} bytes")


def test_history_and_evidence_are_bounded():
    state, _ = fed([reading(at(s / 10), kv=0.5, waiting=0) for s in range(10_000)], until=1001, at_once=100)
    [track] = state.pressure._tracks.values()
    assert len(track._history) <= engine_track.HISTORY
    assert len(state.pressure._evidence._seconds) <= 960


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1e9])
def test_what_is_no_ratio_is_refused_before_it_comes_here(value):
    body = encode(Agent().message([reading(at(0), kv=0.5)])).replace(
        b"0.5", repr(value).encode().replace(b"inf", b"1e999")
    )
    with pytest.raises(BadMessage):
        decode(body)


def test_readings_of_devices_are_not_taken_for_engines():
    state, _ = fed([reading(at(0), gpu="0", gpu_used_bytes=5), reading(at(1))], until=5)
    assert not state.pressure.seen
