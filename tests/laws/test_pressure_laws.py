"""Laws of memory pressure: it is a function of the readings, whatever the cut, the order, re-sends or restarts."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.engine_track import EngineTrack, Reading
from streams.processors.episodes import PressureEpisode
from streams.processors.outputs import EngineMemory, ServiceMemory, WindowRow
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, arrival, reading

SETTINGS = AnalysisSettings(windows_s=(10, 300), burst_warmup_s=30)
SPAN_S = 150

LEVEL = st.sampled_from([0.0, 0.3, 0.62, 0.7, 0.81, 0.85, 0.9, 0.94, 0.95, 1.0])
# What an engine does for some seconds: climbs from one level to another, its queue and counters beside it.
STRETCH = st.tuples(st.integers(1, 40), LEVEL, LEVEL, st.integers(0, 30), st.sampled_from([0, 0, 0, 1, -5]))


@st.composite
def engines(draw) -> list:
    """The readings of up to three engines, about one a second, with pauses and restarts of their counters."""
    found = []
    for name in range(draw(st.integers(1, 3))):
        at, preempted, finished = START + draw(st.integers(0, SECOND)), 0, 0
        for seconds, low, high, waiting, preempts in draw(st.lists(STRETCH, min_size=1, max_size=6)):
            step = draw(st.sampled_from([SECOND, SECOND, SECOND, SECOND + 1, SECOND // 10]))
            for i in range(seconds):
                at += step
                preempted, finished = max(0, preempted + preempts), finished + 3
                kv = low + (high - low) * i / seconds
                counters = {"preemptions_total": preempted, "requests_ok_total": finished}
                found.append(reading(at, engine=f"e{name}", kv=kv, waiting=waiting * i // seconds, **counters))
            at += draw(st.sampled_from([0, 0, 40])) * SECOND
    return sorted(found, key=lambda r: r.at)


BURSTS = st.integers(40, SPAN_S)


def load(burst: int) -> list:
    """Arrivals at 5 a second, with a burst at second ``burst``."""
    times = [START + i * SECOND // 5 for i in range(SPAN_S * 5)]
    times += [START + burst * SECOND + i * SECOND // 40 for i in range(400)]
    return [arrival(at) for at in sorted(times)]


CUTS = st.lists(st.integers(0, SPAN_S * SECOND), max_size=8)


def messages_of(readings: list, arrivals: list, cuts: list[int]) -> list:
    """Flushes as an agent makes them: readings first, the promise with the last message of the flush."""
    agent = Agent()
    end = max(START + SPAN_S * SECOND, readings[-1].at) + 100 * SECOND
    messages = []
    for low, high in pairwise([START - 1, *sorted(START + cut for cut in cuts), end]):
        told = [r for r in readings if low < r.at <= high]
        if told:
            messages.append(agent.message(told))
        messages.append(agent.message([a for a in arrivals if low < a.submitted_at <= high], watermark=high))
    return messages


def episodes(outputs: list) -> list:
    return [out for out in outputs if isinstance(out, PressureEpisode)]


@given(engines(), BURSTS, CUTS, CUTS)
@settings(max_examples=12, deadline=None)
def test_two_cuts_agree_to_the_last_bit(readings, burst, cuts, others):
    first, second = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS)
    arrivals = load(burst)
    told, other = (messages_of(readings, arrivals, some) for some in (cuts, others))
    assert apply_all(first, told) == apply_all(second, other)
    assert list(first.pressure.outlooks()) == list(second.pressure.outlooks())
    assert (first.pressure.status, first.pressure.capacity) == (second.pressure.status, second.pressure.capacity)


@given(engines(), BURSTS, CUTS, st.data())
@settings(max_examples=12, deadline=None)
def test_restored_anywhere_it_goes_on_as_if_never_stopped(readings, burst, cuts, data):
    messages = messages_of(readings, load(burst), cuts)
    stops = data.draw(st.sets(st.integers(0, len(messages)), max_size=3))
    undisturbed, stopped = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS)
    expected, actual = [], []
    for offset, message in enumerate(messages):
        if offset in stops:
            stopped = ServiceState.restore(stopped.snapshot(), SETTINGS)
        expected += undisturbed.apply(message, offset)
        actual += stopped.apply(message, offset)
    assert expected == actual
    assert undisturbed.snapshot() == stopped.snapshot()
    assert list(undisturbed.pressure.outlooks()) == list(stopped.pressure.outlooks())


@given(engines(), CUTS, st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_readings_told_again_by_another_agent_change_nothing(readings, cuts, random):
    """Two agents scrape the same engines, or one repeats itself in new messages: each reading counts once."""
    messages = messages_of(readings, [], cuts)
    other = Agent("other")
    again = []
    for message, old in zip(messages, [[], *messages], strict=False):
        again.append(message)
        known = [r for r in readings if START <= r.at <= (old.watermark or 0)] if old else []
        if known:
            again.append(other.message(random.choices(known, k=5)))
    once, twice = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS)
    told, told_twice = episodes(apply_all(once, messages)), episodes(apply_all(twice, again))
    for name in {r.engine for r in readings}:
        # Among engines the order may differ: another agent's message in the midst of a flush that spans more than
        # 30 s has what is overdue judged before the flush's own promise comes.
        assert [e for e in told if e.engine == name] == [e for e in told_twice if e.engine == name]
    assert once.pressure.capacity == twice.pressure.capacity


@given(engines(), CUTS)
@settings(max_examples=12, deadline=None)
def test_episodes_of_an_engine_alternate_and_do_not_overlap(readings, cuts):
    state = ServiceState(SERVICE, SETTINGS)
    found = episodes(apply_all(state, messages_of(readings, [], cuts)))
    for name in {r.engine for r in readings}:
        told = [e for e in found if e.engine == name]
        assert [e.state for e in told] == ["onset", "end"] * (len(told) // 2)  # all over 30 s after the last reading
        spans = [(e.onset, e.end) for e in told if e.state == "end"]
        assert all(onset <= end for onset, end in spans)
        assert all(end < onset for (_, end), (onset, _) in pairwise(spans))
    assert state.pressure.status.episodes_total == len(found) // 2
    hard = {r.engine for r in readings if r.kv_cache_usage_ratio >= 0.95}
    assert hard <= {e.engine for e in found}


@given(engines(), CUTS, st.integers(-20, SPAN_S), st.integers(1, 200))
@settings(max_examples=20, deadline=None)
def test_evidence_is_what_the_readings_of_those_seconds_said(readings, cuts, start_s, length_s):
    state = ServiceState(SERVICE, SETTINGS)
    apply_all(state, messages_of(readings, [], cuts))
    low, high = START // SECOND + start_s, START // SECOND + start_s + length_s
    said = [r for r in readings if low <= r.at // SECOND < high]
    found = state.pressure.during(low * SECOND, high * SECOND)
    assert found.kv_usage_peak == max((r.kv_cache_usage_ratio for r in said), default=None)
    assert found.waiting_peak == max((r.waiting for r in said), default=None)
    assert found.preemptions == preempted_in(readings, low * SECOND, high * SECOND)


def preempted_in(readings: list, low: int, high: int) -> int | None:
    """Requests preempted by the readings of [low, high) (us); None without any. ``readings``: of all engines."""
    found = None
    for name in {r.engine for r in readings}:
        mine = [r for r in readings if r.engine == name]
        for before, now in pairwise([None, *mine]):
            if low <= now.at < high:
                rose = 0 if before is None else now.preemptions_total - before.preemptions_total
                found = (found or 0) + max(0, rose)
    return found


def memory_of(readings: list, end: int) -> ServiceMemory | None:
    """What the row of the boundary ``end`` must say, by brute force from all readings."""
    final = end + SETTINGS.hold_s * SECOND
    said = [r for r in readings if end - 10 * SECOND <= r.at < end]
    found = []
    for name in {r.engine for r in readings}:
        told = [r for r in readings if r.engine == name and r.at <= final]
        if told and told[-1].at >= final - 30 * SECOND:
            found.append(_engine([_reading(r) for r in told]))
    if not found and not said:
        return None
    return ServiceMemory(
        kv_usage_peak=max((r.kv_cache_usage_ratio for r in said), default=None),
        waiting_peak=max((r.waiting for r in said), default=None),
        preemptions=preempted_in(readings, end - 10 * SECOND, end),
        engines=tuple(sorted(found, key=lambda e: (-e.kv_cache_usage_ratio, e.node, e.engine))),
    )


def _reading(r) -> Reading:
    levels = (r.kv_cache_usage_ratio, r.running, r.waiting)
    return Reading(r.at, r.node, r.engine, *levels, r.preemptions_total, r.requests_ok_total)


def _engine(told: list[Reading]) -> EngineMemory:
    track = EngineTrack(SERVICE, told[0])
    for one in told[1:]:
        track.take(one, doubtful=False)
    full, last = track.outlook().exhaustion, told[-1]
    return EngineMemory(
        node=last.node,
        engine=last.engine,
        kv_cache_usage_ratio=last.kv_usage,
        running=last.running,
        waiting=last.waiting,
        kv_exhaustion_lower_s=full and full.lower_s,
        kv_exhaustion_estimate_s=full and full.estimate_s,
    )


@given(engines(), CUTS, st.data())
@settings(max_examples=20, deadline=None)
def test_a_rows_memory_equals_brute_force_whatever_the_cut_and_wherever_it_is_restored(readings, cuts, data):
    keys = [("small", "API log"), ("large", "API log")]
    arrivals = [arrival(START + i * SECOND, keys[i % 2]) for i in range(SPAN_S)]
    messages = messages_of(readings, arrivals, cuts)
    stop = data.draw(st.integers(0, len(messages)))
    state, rows = ServiceState(SERVICE, SETTINGS), []
    for offset, message in enumerate(messages):
        if offset == stop:
            state = ServiceState.restore(state.snapshot(), SETTINGS)
        rows += [out for out in state.apply(message, offset) if isinstance(out, WindowRow)]
    totals = [row for row in rows if row.model == "all"]
    assert {row.end: row.memory for row in totals} == {row.end: memory_of(readings, row.end) for row in totals}
    assert any(row.memory for row in totals)
    assert {row.memory for row in rows if row.model != "all"} == {None}


@given(engines(), st.integers(1, 10))
@settings(max_examples=10, deadline=None)
def test_without_any_promise_the_readings_speak_for_themselves(readings, per_message):
    """Nobody watches the requests: what is judged is the same as with promises, a reading or two later."""
    agent = Agent()
    last = [reading(max(r.at for r in readings) + s * SECOND, engine="z", kv=0.1) for s in (40, 80, 120)]
    told = [readings[i : i + per_message] for i in range(0, len(readings), per_message)]
    alone = ServiceState(SERVICE, SETTINGS)
    found = apply_all(alone, [agent.message(some) for some in [*told, *([r] for r in last)]])
    watched = ServiceState(SERVICE, SETTINGS)
    assert alone.ledger.watermark is None
    assert episodes(found) == episodes(apply_all(watched, messages_of(readings, [], [])))
