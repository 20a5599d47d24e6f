"""The memory of a service in its rows: what a boundary sees of the engines, and what it does not."""

import time
from itertools import pairwise

import orjson
import pytest

from streams.processors.outputs import WindowRow, window_message
from streams.processors.service import ServiceState
from streams.processors.service_memory import ENGINES_SHOWN
from streams.processors.settings import AnalysisSettings
from streams.snapshot import decode, encode
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, arrival, reading

SETTINGS = AnalysisSettings(windows_s=(10, 300))


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def told(readings: list, *, until: float, arrivals_until: float = 100.0) -> list[dict]:
    """The messages of llm.windows for a request a second and ``readings``, each sent within its second."""
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    messages = []
    for low, high in pairwise([START - 1, *(at(s) for s in range(1, int(until) + 1))]):
        if said := [r for r in readings if low < r.at <= high]:
            messages.append(agent.message(said))
        requests = [arrival(high)] if high <= at(arrivals_until) else []
        messages.append(agent.message(requests, watermark=high))
    rows = [out for out in apply_all(state, messages) if isinstance(out, WindowRow)]
    return [orjson.loads(orjson.dumps(window_message(row))) for row in rows]


def memory_at(messages: list[dict], seconds: int) -> dict | None:
    [found] = [m["memory"] for m in messages if (m["model"], m["end"]) == ("all", at(seconds))]
    return found


def test_a_totals_row_says_how_the_engines_stand():
    climbing = [reading(at(s), kv=0.02 * s, running=s, waiting=s // 2, preemptions_total=s // 8) for s in range(40)]
    quiet = [reading(at(s + 0.5), engine="e1", node="m", running=1) for s in range(40)]
    messages = told(climbing + quiet, until=35)
    memory = memory_at(messages, 20)
    assert list(memory) == ["kv_usage_peak", "waiting_peak", "preemptions", "engines"]
    # up to the boundary: the readings at 10 s to 19 s; of the engines, those by which it became final: up to 22 s
    assert (memory["kv_usage_peak"], memory["waiting_peak"], memory["preemptions"]) == (0.38, 9, 1)
    first, second = memory["engines"]
    assert first == {
        "node": "n",
        "engine": "e0",
        "kv_cache_usage_ratio": 0.44,
        "running": 22,
        "waiting": 11,
        "kv_exhaustion_lower_s": first["kv_exhaustion_lower_s"],
        "kv_exhaustion_estimate_s": pytest.approx((1 - 0.44) / 0.02),
    }
    assert 0 < first["kv_exhaustion_lower_s"] <= first["kv_exhaustion_estimate_s"]
    unknown = ("kv_cache_usage_ratio", "waiting", "kv_exhaustion_lower_s", "kv_exhaustion_estimate_s")
    assert second == {"node": "m", "engine": "e1", "running": 1, **dict.fromkeys(unknown)}


def test_a_class_has_no_memory_of_its_own():
    messages = told([reading(at(s), kv=0.5) for s in range(30)], until=25)
    assert {m["memory"] for m in messages if m["model"] != "all"} == {None}
    assert all(m["memory"] for m in messages if m["model"] == "all")


def test_without_an_engine_there_is_no_memory():
    assert {m["memory"] for m in told([], until=35)} == {None}


def test_engines_unheard_for_thirty_seconds_are_gone():
    readings = [reading(at(s), kv=0.9, waiting=3) for s in range(20)]  # the last at 19 s: forgotten after 49 s
    messages = told(readings, until=65)
    silent = memory_at(messages, 40)
    assert [silent[name] for name in ("kv_usage_peak", "waiting_peak", "preemptions")] == [None] * 3
    assert [engine["kv_cache_usage_ratio"] for engine in silent["engines"]] == [0.9]
    assert memory_at(messages, 50) is None


def test_the_fullest_engines_are_shown_and_those_that_do_not_tell_come_last():
    count = ENGINES_SHOWN + 10
    readings = [reading(at(s), engine=f"e{n:02}", kv=(n * 7 % count) / count) for s in (5, 11) for n in range(count)]
    readings += [reading(at(11), engine="mute", running=1)]
    messages = told(readings, until=13)
    levels = [engine["kv_cache_usage_ratio"] for engine in memory_at(messages, 10)["engines"]]
    assert levels == [n / count for n in range(count - 1, 9, -1)]
    few = [reading(at(11), engine="unused", kv=0.0), *(r for r in readings if r.engine in ("e01", "e02", "mute"))]
    shown = [engine["engine"] for engine in memory_at(told(few, until=13), 10)["engines"]]
    assert shown == ["e02", "e01", "unused", "mute"]


def test_a_reading_from_the_boundarys_future_is_not_in_its_row():
    """The watchers fall silent, so readings are judged ahead of event time; then they speak again."""
    state, agent, engines = ServiceState(SERVICE, SETTINGS), Agent(), Agent("engines")
    apply_all(state, [agent.message([arrival(at(1))], watermark=at(5))])
    apply_all(state, [engines.message([reading(at(s), kv=s / 100)]) for s in range(6, 90)])
    rows = [out for out in apply_all(state, [agent.message(watermark=at(95))]) if isinstance(out, WindowRow)]
    memory = {row.end: row.memory for row in rows if row.model == "all"}
    # judged when the one 30 s newer had come: at 20 s the engine was known as of 58 s, which is nobody's past
    assert (memory[at(20)].kv_usage_peak, memory[at(20)].engines) == (0.19, ())
    [engine] = memory[at(90)].engines
    assert engine.kv_cache_usage_ratio == 0.89


def test_a_snapshot_from_before_there_was_memory_goes_on():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    messages = [agent.message([reading(at(5), kv=0.5)]), agent.message([arrival(at(1))], watermark=at(12))]
    apply_all(state, messages)
    facts, arrays = decode(state.snapshot())
    assert {row.pop("memory") for row in facts["latest"]} == {None}  # only rows on their way to llm.windows have it
    old = ServiceState.restore(encode(facts, arrays), SETTINGS)
    assert {row.memory for row in old.latest.values()} == {None}
    [row, *_] = old.apply(agent.message(watermark=at(22)), state.offset + 1)
    assert row.memory.engines[0].kv_cache_usage_ratio == 0.5


def test_what_memory_adds_to_a_boundary_is_small():
    """Printed, not asserted: run with -s. Counted instead: only the engines shown are looked at closely."""
    for count in (0, 1, 8, 50, 1000):
        state, agent = ServiceState(SERVICE, SETTINGS), Agent()
        names = [f"e{n}" for n in range(count)]
        for s in range(12):
            apply_all(state, [agent.message([reading(at(s), engine=e, kv=0.01 * s)]) for e in names])
            apply_all(state, [agent.message([arrival(at(s))], watermark=at(s))])
        tracks = state.pressure._tracks.values()
        for track in tracks:
            track._kv_outlook = None
        began = time.perf_counter()
        memory = state.pressure.memory(at(10))
        spent_us = (time.perf_counter() - began) * 1e6
        assert sum(track._kv_outlook is not None for track in tracks) == min(count, ENGINES_SHOWN)
        assert (memory is None) == (count == 0)
        print(f"{count} engines: {spent_us:.0f} us a boundary")
