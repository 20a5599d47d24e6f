"""Laws of the analysis: whatever the cut, order, re-sends or restarts, the windows are those of the file."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.episodes import FailureEpisode
from streams.processors.outputs import WindowRow
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support import brute_force
from tests.support.service_messages import (
    KEYS,
    SECOND,
    SERVICE,
    START,
    Agent,
    apply_all,
    arrival,
    completion,
    rows_of,
)

WINDOWS = (10, 60, 300)
GATES = {"gaps_min": 3, "bins_min": 6}
SETTINGS = AnalysisSettings(windows_s=WINDOWS, burst_warmup_s=0, **GATES)

GAPS = st.one_of(
    st.sampled_from([0, 1, 1000, 500_000, SECOND, 10 * SECOND, 1000 * SECOND]),
    st.integers(0, 20_000),
    st.integers(0, 30 * SECOND),
)
EVENT = st.tuples(
    GAPS,
    st.sampled_from(KEYS),
    st.integers(0, 90 * SECOND),  # how long the request takes
    st.sampled_from(["ok", "ok", "failed", "cancelled"]),
    st.sampled_from([None, "timeout", "overloaded"]),
    st.tuples(st.integers(0, 9000), st.integers(0, 9000)),
)


@dataclass
class Recording:
    """A stream with its completions, and the windows it must give."""

    arrivals: list
    completions: list
    end: int

    def flushes(self, cuts: list[int]) -> list[tuple[list, list, int]]:
        """Cut by event time: each flush holds what happened since the last, and says so."""
        bounds = [START - 1, *sorted(START + cut for cut in cuts), self.end]
        found = []
        for low, high in pairwise(bounds):
            arrivals = [a for a in self.arrivals if low < a.submitted_at <= high]
            completions = [c for c in self.completions if low < (c.ended_at or c.submitted_at) <= high]
            found.append((arrivals, completions, high))
        return found

    def expected(self) -> dict:
        return brute_force.rows(
            [(a.submitted_at, (a.model, a.log_type)) for a in self.arrivals],
            [
                brute_force.Ended(
                    c.ended_at or c.submitted_at,
                    (c.model, c.log_type),
                    c.outcome,
                    c.request_tokens,
                    c.response_tokens,
                    None if c.ended_at is None else c.ended_at - c.submitted_at,
                    c.reason,
                )
                for c in self.completions
            ],
            self.end,
            windows=WINDOWS,
            **GATES,
        )


@st.composite
def recordings(draw) -> Recording:
    """Up to 60 requests with gaps from nothing to a thousand seconds."""
    at, arrivals, completions = START + draw(st.integers(0, 12 * SECOND)), [], []
    for gap, key, took, outcome, reason, tokens in draw(st.lists(EVENT, min_size=1, max_size=60)):
        at += gap
        arrivals.append(arrival(at, key))
        completions.append(completion(at + took, key, outcome=outcome, reason=reason, tokens=tokens, submitted_at=at))
    return Recording(arrivals, completions, at + 400 * SECOND)


CUTS = st.lists(st.integers(0, 400 * SECOND), max_size=8)


def messages_of(recording: Recording, cuts: list[int]) -> list:
    agent = Agent()
    return [m for flush in recording.flushes(cuts) for m in agent.flush(*flush)]


@given(recordings(), CUTS)
@settings(max_examples=30, deadline=None)
def test_every_window_equals_brute_force_whatever_the_cut(recording, cuts):
    state = ServiceState(SERVICE, SETTINGS)
    outputs = apply_all(state, messages_of(recording, cuts))
    brute_force.assert_same(recording.expected(), rows_of(outputs))


@given(recordings(), CUTS, CUTS)
@settings(max_examples=25, deadline=None)
def test_two_cuts_of_one_stream_agree_to_the_last_bit(recording, cuts, others):
    first, second = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS)
    assert apply_all(first, messages_of(recording, cuts)) == apply_all(second, messages_of(recording, others))
    assert first.totals == second.totals
    assert first.latest == second.latest
    assert first.burst == second.burst
    assert first.failure == second.failure
    assert first.attributed == second.attributed


@given(recordings(), CUTS)
@settings(max_examples=30, deadline=None)
def test_every_failure_is_attributed_once_and_an_episode_counts_its_own(recording, cuts):
    state = ServiceState(SERVICE, SETTINGS)
    found = [e for e in apply_all(state, messages_of(recording, cuts)) if isinstance(e, FailureEpisode)]
    failed = [
        (c.ended_at or c.submitted_at, c.reason or "unknown") for c in recording.completions if c.outcome == "failed"
    ]
    assert sum(state.attributed.values()) == len(failed)
    assert [e.state for e in found] == ["onset", "end"] * (len(found) // 2)
    for end in found[1::2]:
        assert end.failures_by_reason == Counter(reason for at, reason in failed if end.onset <= at < end.end)
        assert end.failures == sum(end.failures_by_reason.values())


@given(recordings(), CUTS, st.data())
@settings(max_examples=30, deadline=None)
def test_restored_anywhere_it_goes_on_as_if_never_stopped(recording, cuts, data):
    messages = messages_of(recording, cuts)
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
    assert undisturbed.ledger == stopped.ledger
    assert undisturbed.latest == stopped.latest
    assert undisturbed.totals == stopped.totals


@given(recordings(), CUTS, st.data())
@settings(max_examples=25, deadline=None)
def test_messages_sent_again_change_only_their_counter(recording, cuts, data):
    messages = messages_of(recording, cuts)
    again = []
    for i, message in enumerate(messages):
        again.append(message)
        again += data.draw(st.lists(st.sampled_from(messages[: i + 1]), max_size=2))
    once, twice = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS)
    assert apply_all(once, messages) == apply_all(twice, again)
    assert once.totals == twice.totals
    assert twice.ledger.duplicates == len(again) - len(messages)
    assert (twice.ledger.missing, twice.ledger.late) == (0, {"counts": 0, "ordered": 0})


@given(recordings(), CUTS, st.data())
@settings(max_examples=25, deadline=None)
def test_read_again_from_any_offset_nothing_changes(recording, cuts, data):
    messages = messages_of(recording, cuts)
    state = ServiceState(SERVICE, SETTINGS)
    apply_all(state, messages)
    before = state.snapshot()
    start = data.draw(st.integers(0, len(messages) - 1))
    assert apply_all(state, messages[start:], offset=start) == []
    assert state.snapshot() == before
    assert state.ledger.replayed == len(messages) - start


@given(recordings(), st.data())
@settings(max_examples=25, deadline=None)
def test_a_message_that_comes_late_fills_its_gap_and_is_not_late(recording, data):
    """Flushes a second apart, two neighbours swapped: the promise above the gap waits for what is missing."""
    agent = Agent()
    messages = [m for flush in recording.flushes([i * SECOND for i in range(60)]) for m in agent.flush(*flush)]
    swap = data.draw(st.integers(0, 50))
    swapped = [*messages[:swap], messages[swap + 1], messages[swap], *messages[swap + 2 :]]
    state, other = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS)
    assert apply_all(state, messages) == apply_all(other, swapped)
    assert other.ledger.missing == 0
    assert other.ledger.late == {"counts": 0, "ordered": 0}


@given(recordings(), CUTS, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_order_within_the_hold_does_not_matter_for_windows(recording, cuts, random):
    """Events come up to the hold behind the promise, in any order: windows are the same."""
    agent, messages = Agent(), []
    hold = SETTINGS.hold_s * SECOND
    carried: list = []
    for arrivals, completions, watermark in recording.flushes(cuts):
        due = carried + arrivals
        # Only what lies within the hold may be sent after the promise was made.
        keep = [a for a in due if a.submitted_at > watermark - hold and random.random() < 0.5]
        sent = [a for a in due if a not in keep]
        random.shuffle(sent)
        shuffled = random.sample(completions, len(completions))
        messages += agent.flush(sent, shuffled, watermark)
        carried = keep
        if random.random() < 0.7 or watermark == recording.end:
            messages.append(agent.message(carried))
            carried = []
    state = ServiceState(SERVICE, SETTINGS)
    outputs = apply_all(state, messages)
    brute_force.assert_same(recording.expected(), rows_of(outputs))
    assert state.ledger.late == {"counts": 0, "ordered": 0}


@given(recordings(), CUTS, st.sampled_from([20, 60, 120]))
@settings(max_examples=25, deadline=None)
def test_fewer_rows_are_the_same_rows(recording, cuts, rows_every_s):
    messages = messages_of(recording, cuts)
    all_rows = apply_all(ServiceState(SERVICE, SETTINGS), messages)
    fewer = apply_all(ServiceState(SERVICE, replace(SETTINGS, rows_every_s=rows_every_s)), messages)
    assert fewer == [r for r in all_rows if not isinstance(r, WindowRow) or r.end % (rows_every_s * SECOND) == 0]
