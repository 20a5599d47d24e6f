"""Laws of tokens and latencies: percentiles within 1.1 % of the sorted values, histograms exact, whatever the way."""

import math
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.events import Completion
from streams.processors.histograms import Histograms
from streams.processors.outputs import WindowRow
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import KEYS, SECOND, SERVICE, START, Agent, apply_all

WINDOWS = (10, 60, 300)
SETTINGS = AnalysisSettings(windows_s=WINDOWS, percentile_window_s_max=60)
ERROR = 2 ** (1 / 64) - 1  # half a bucket of 32 to the octave
SPREAD = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
OCTAVES = range(-6, 12)

REQUEST = st.tuples(
    st.integers(0, 8 * SECOND),  # the gap before it
    st.sampled_from(KEYS),
    st.none() | st.integers(-2, 9 * SECOND),  # submission to first token
    st.none() | st.integers(-2, 70 * SECOND) | st.sampled_from([SECOND, 2 * SECOND]),  # submission to end
    st.sampled_from(["ok", "ok", "ok", "failed", "cancelled"]),
    st.tuples(*[st.none() | st.sampled_from([0, 1, 2, 1024]) | st.integers(0, 9000)] * 2),
)


@dataclass
class Recording:
    """Completions in order of their ends."""

    completions: list[Completion]
    end: int

    def messages(self, cuts: list[int]) -> list:
        agent, found = Agent(), []
        for low, high in pairwise([0, *sorted(min(START + cut, self.end) for cut in cuts), self.end]):
            found += agent.flush([c for c in self.completions if low < at(c) <= high], [], high)
        return found


def at(c: Completion) -> int:
    return c.submitted_at if c.ended_at is None else c.ended_at


@st.composite
def recordings(draw) -> Recording:
    time, completions = START, []
    for i, (gap, key, first, took, outcome, tokens) in enumerate(draw(st.lists(REQUEST, min_size=1, max_size=80))):
        time += gap
        completions.append(
            Completion(
                id=f"c{i}",
                submitted_at=time,
                first_token_at=None if first is None else time + first,
                ended_at=None if took is None else time + took,
                model=key[0],
                log_type=key[1],
                outcome=outcome,
                request_tokens=tokens[0],
                response_tokens=tokens[1],
                source="s",
                node="n",
            )
        )
    return Recording(completions, time + 100 * SECOND)


def contradictory(c: Completion) -> bool:
    known = [t for t in (c.submitted_at, c.first_token_at, c.ended_at) if t is not None]
    return known != sorted(known)


def values_of(c: Completion) -> dict[str, float]:
    """What one request shows, from the definitions."""
    found: dict[str, float | None] = {"request_tokens": c.request_tokens}
    if c.outcome == "ok":
        found["response_tokens"] = c.response_tokens
    if c.outcome == "ok" and not contradictory(c):
        first, ended = c.first_token_at, c.ended_at
        if first is not None:
            found["time_to_first_token_s"] = (first - c.submitted_at) / 1e6
        if ended is not None:
            found["request_duration_s"] = (ended - c.submitted_at) / 1e6
        if first is not None and ended is not None and (c.response_tokens or 0) > 1:
            found["time_per_output_token_s"] = (ended - first) / 1e6 / (c.response_tokens - 1)
    return {name: value for name, value in found.items() if value is not None}


def check_window(row: WindowRow, window_s: int, completions: list[Completion]) -> None:
    inside = [
        values_of(c)
        for c in completions
        if row.end - window_s * SECOND <= at(c) < row.end and row.model in ("all", c.model)
        if row.log_type in ("all", c.log_type)
    ]
    percentiles = row.windows[window_s].percentiles
    assert percentiles.keys() == {name for values in inside for name in values}
    for name, levels in percentiles.items():
        ordered = sorted(values[name] for values in inside if name in values)
        for level, q in SPREAD.items():
            rank = math.ceil(round(q * len(ordered), 9))
            if len(ordered) * (100 - round(100 * q)) < 100:
                assert levels[level] is None
            else:
                exact = ordered[rank - 1]
                assert math.isclose(levels[level], exact, rel_tol=ERROR * 1.001), (name, level, exact)


CUTS = st.lists(st.integers(0, 500 * SECOND), max_size=8)


@given(recordings(), CUTS)
@settings(max_examples=25, deadline=None)
def test_percentiles_are_those_of_the_sorted_values_in_the_window(recording, cuts):
    state = ServiceState(SERVICE, SETTINGS)
    rows = [row for row in apply_all(state, recording.messages(cuts)) if isinstance(row, WindowRow)]
    assert rows
    for row in rows:
        check_window(row, 10, recording.completions)
        check_window(row, 60, recording.completions)
        assert row.windows[300].percentiles == {}


@given(recordings(), CUTS, CUTS, st.data())
@settings(max_examples=20, deadline=None)
def test_any_cut_and_any_restart_gives_the_same_bits(recording, cuts, others, data):
    messages = recording.messages(cuts)
    stops = data.draw(st.sets(st.integers(0, len(messages)), max_size=3))
    plain, stopped, other = (ServiceState(SERVICE, SETTINGS) for _ in range(3))
    expected, actual = [], []
    for offset, message in enumerate(messages):
        if offset in stops:
            stopped = ServiceState.restore(stopped.snapshot(), SETTINGS)
        expected += plain.apply(message, offset)
        actual += stopped.apply(message, offset)
    assert expected == actual == apply_all(other, recording.messages(others))
    assert plain.snapshot() == stopped.snapshot()
    for state in (stopped, other):
        assert plain.sketches.negative == state.sketches.negative
        for name in ("request_tokens", "request_duration_s"):
            assert plain.sketches.distribution(name, OCTAVES) == state.sketches.distribution(name, OCTAVES)


@given(recordings(), CUTS)
@settings(max_examples=20, deadline=None)
def test_histograms_count_every_value_ever_at_each_power_of_two(recording, cuts):
    state = ServiceState(SERVICE, SETTINGS)
    apply_all(state, recording.messages(cuts))
    seen = [values_of(c) for c in recording.completions]
    for name in ("request_tokens", "response_tokens", "time_to_first_token_s", "request_duration_s"):
        values = [v[name] for v in seen if name in v]
        found = state.sketches.distribution(name, OCTAVES)
        assert list(found.counts) == [sum(value <= bound for value in values) for bound in found.bounds]
        assert found.count == len(values)
        assert math.isclose(found.sum, sum(values), abs_tol=1e-6)
    assert state.sketches.negative == sum(contradictory(c) for c in recording.completions)


def test_late_requests_reach_the_histograms_but_no_closed_window():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    first = Completion(id="a", submitted_at=START, ended_at=START, outcome="ok", request_tokens=5, source="s", node="n")
    late = Completion(id="b", submitted_at=START, ended_at=START, outcome="ok", request_tokens=7, source="s", node="n")
    out = apply_all(state, agent.flush([first], [], START + 65 * SECOND))
    out += apply_all(state, agent.flush([late], [], START + 85 * SECOND))
    assert state.ledger.late["counts"] == 1
    assert state.sketches.distribution("request_tokens", range(3)).sum == 12
    counted = [r.windows[60].percentiles["request_tokens"]["p50"] for r in out if r.windows[60].percentiles]
    assert counted == [None] * len(counted)
    assert len(counted) == 12  # the total and the class


def test_event_time_set_back_empties_the_windows_but_not_the_histograms():
    histograms = ServiceState(SERVICE, SETTINGS)
    apply_all(histograms, Recording([_plain(i) for i in range(5)], START + 20 * SECOND).messages([]))
    histograms.sketches.start_over()
    assert histograms.sketches.percentiles(START // (10 * SECOND) + 1)[0] == {}
    assert histograms.sketches.distribution("request_tokens", range(3)).count == 5


def _plain(i: int) -> Completion:
    return Completion(id=f"p{i}", submitted_at=START + i, outcome="ok", request_tokens=2, source="s", node="n")


def test_more_requests_than_are_collected_at_once_are_all_counted():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    for i in range(7):
        apply_all(state, [agent.message([_plain(1000 * i + j) for j in range(1000)])])
    assert state.sketches.distribution("request_tokens", range(2)).counts == (0, 7000)
    out = apply_all(state, [agent.message(watermark=START + 20 * SECOND)])
    assert all(math.isclose(v, 2, rel_tol=ERROR) for v in out[0].windows[10].percentiles["request_tokens"].values())


def test_zeros_and_absent_values_are_told_apart():
    histograms = Histograms()
    assert histograms.of("request_tokens", range(2)).count == 0
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    rows = [
        Completion(id=f"z{i}", submitted_at=START, outcome="ok", request_tokens=tokens, source="s", node="n")
        for i, tokens in enumerate([0, None, 0, None, 3])
    ]
    out = apply_all(state, [agent.message(rows, watermark=START + 20 * SECOND)])
    assert state.sketches.distribution("request_tokens", range(3)).counts == (2, 2, 3)
    assert out[0].windows[10].percentiles == {
        "request_tokens": {"p50": 0.0, "p90": None, "p95": None, "p99": None},
    }
