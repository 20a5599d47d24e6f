"""Which messages were applied, and how far event time has come: agents, boots, gaps, idleness."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.sources import AGENTS_MAX, BACK_US, BOOTS_MAX, GAPS_MAX, LEAP_US, PATIENCE_US, Sources
from tests.support.service_messages import SECOND, START


class Wire:
    """Sends (agent, boot, seq, watermark) to ``Sources``."""

    def __init__(self, *, joined=False):
        self.sources = Sources(joined=joined)

    def send(self, seq, watermark=None, *, agent="a", boot="1", dropped=0, appended=None):
        if not self.sources.accept(agent, boot, seq):
            return "duplicate"
        at = None if watermark is None else START + watermark * SECOND
        when = None if appended is None else START + round(appended * SECOND)
        now = self.sources.promise(agent, boot, at, dropped, appended_at=when)
        return None if now is None else (now - START) / SECOND


@given(st.lists(st.integers(0, 60), max_size=150))
@settings(max_examples=100, deadline=None)
def test_each_seq_is_accepted_once_in_any_order(seqs):
    wire, seen = Wire(), set()
    for seq in seqs:
        assert (wire.send(seq) == "duplicate") == (seq in seen)
        seen.add(seq)
    assert wire.sources.missing == (max(seen) + 1 - len(seen) if seen else 0)


def test_event_time_is_the_least_promise_and_never_falls():
    wire = Wire()
    assert wire.send(0) is None
    assert wire.send(1, 10) == 10
    assert wire.send(0, 12, agent="b") == 10 or wire.sources.live == 2
    assert wire.send(2, 15) == 12
    assert wire.send(1, 11, agent="b") == 12
    assert wire.send(2, 20, agent="b") == 15


def test_an_agent_that_lags_too_far_does_not_hold_the_others_back():
    wire = Wire()
    wire.send(0, 0, agent="idle")
    assert wire.send(0, 30) == 0
    assert (wire.sources.live, wire.sources.idle) == (2, 0)
    assert wire.send(1, 31) == 31
    assert (wire.sources.live, wire.sources.idle) == (1, 1)
    wire.send(1, 32, agent="idle")
    assert (wire.sources.live, wire.sources.idle) == (2, 0)
    assert wire.send(2, 40) == 32


def test_a_new_boot_speaks_for_its_agent_but_holds_until_it_promises():
    wire = Wire()
    wire.send(0, 10)
    wire.send(0, 12, agent="b")
    assert wire.send(0, None, boot="2") == 10  # the new boot has not promised anything yet
    assert wire.send(1, 20, boot="1") == 10  # the old one does not count any more
    assert wire.send(1, 14, boot="2") == 12
    assert wire.send(0, 1, boot="1") == "duplicate"


def test_a_gap_keeps_the_promise_above_it_from_counting_until_it_is_filled():
    wire = Wire()
    assert wire.send(0, 10) == 10
    assert wire.send(2, 20) == 10
    assert wire.sources.missing == 1
    assert wire.send(1, 15) == 20
    assert wire.sources.missing == 0
    assert wire.send(1, 15) == "duplicate"


def test_a_gap_is_waited_for_only_so_long():
    wire = Wire()
    wire.send(0, 10)
    patience = PATIENCE_US // SECOND
    assert wire.send(2, 10 + patience) == 10
    assert wire.send(3, 11 + patience) == 11 + patience
    assert wire.send(4, 12 + patience) == 12 + patience
    assert wire.send(6, 13 + patience) == 12 + patience  # a new gap is waited for again
    assert wire.sources.missing == 2
    assert wire.send(1) != "duplicate"  # still welcome
    assert wire.sources.missing == 1


def test_a_log_that_begins_in_the_middle_is_waited_for_and_then_taken_as_it_is():
    wire = Wire()
    assert wire.send(100, 10) is None
    assert wire.send(101, 40) is None
    assert wire.send(102, 41) == 41
    assert wire.sources.missing == 100


def test_drops_are_the_sum_of_what_each_boot_last_said():
    wire = Wire()
    wire.send(0, dropped=3)
    wire.send(1, dropped=5)
    wire.send(0, boot="2", dropped=1)
    wire.send(0, agent="b", dropped=7)
    assert wire.sources.dropped == 13


def test_memory_is_bounded_and_what_is_forgotten_stays_counted():
    wire = Wire()
    for boot in range(BOOTS_MAX + 5):
        wire.send(1, boot=str(boot), dropped=1)
    for agent in range(AGENTS_MAX + 5):
        wire.send(1, 10, agent=f"x{agent}", dropped=1)
    for seq in range(0, 4 * GAPS_MAX, 2):
        wire.send(seq, agent="gappy")
    boots = BOOTS_MAX + 5 + AGENTS_MAX + 5
    assert wire.sources.dropped == boots
    assert wire.sources.missing == boots + 2 * GAPS_MAX - 1
    assert len(str(wire.sources.dump())) < 100_000
    assert wire.send(1, agent="gappy") == "duplicate"  # given up: it can no longer be told apart


HOUR = BACK_US // SECOND
FAR = 2 * LEAP_US // SECOND


def test_one_promise_of_a_broken_clock_is_not_believed():
    wire = Wire()
    wire.send(0, 10)
    assert wire.send(1, FAR) == 10
    assert wire.send(2, 11) == 11
    assert wire.send(3, FAR) == 11  # not the second in a row
    assert wire.send(4, 12) == 12
    assert wire.sources.set_back == 0


def test_a_recording_that_was_silent_for_years_goes_on_with_its_next_message():
    wire = Wire()
    wire.send(0, 10)
    assert wire.send(1, FAR) == 10
    assert wire.send(2, FAR) == FAR
    assert wire.send(3, FAR + 5) == FAR + 5
    assert wire.send(4, FAR + 5 + LEAP_US // SECOND) == FAR + 5 + LEAP_US // SECOND  # that is no leap


def test_an_agent_years_ahead_does_not_take_the_others_along_while_they_go_on():
    wire = Wire()
    wire.send(0, 0)
    for i in range(1, 200):
        wire.send(2 * i - 2, FAR + i, agent="broken")
        wire.send(2 * i - 1, FAR + i, agent="broken")
        assert wire.send(i, i) == i
    assert wire.sources.live == 1
    patience = PATIENCE_US // SECOND
    assert wire.send(398, FAR + 200, agent="broken") == 199
    assert wire.send(399, FAR + 200 + patience, agent="broken") == 199
    assert wire.send(400, FAR + 201 + patience, agent="broken") == FAR + 201 + patience  # they have stopped


def test_a_boot_whose_clock_was_set_right_sets_event_time_back_when_it_goes_on():
    wire = Wire()
    wire.send(0, 10)
    assert wire.send(1, 10 + 2 * HOUR) == 10 + 2 * HOUR
    assert wire.send(2, 12) == 10 + 2 * HOUR
    assert wire.send(3, 12 + PATIENCE_US // SECOND) == 10 + 2 * HOUR
    assert wire.sources.set_back == 0
    assert wire.send(4, 13 + PATIENCE_US // SECOND) == 13 + PATIENCE_US // SECOND
    assert wire.sources.set_back == 1
    assert wire.send(5, 14 + PATIENCE_US // SECOND) == 14 + PATIENCE_US // SECOND


def test_an_agent_restarted_with_the_right_time_sets_event_time_back():
    wire = Wire()
    assert wire.send(0, FAR) == FAR
    wire.send(0, 0, agent="b")
    assert wire.send(1, 40, agent="b") == FAR  # somebody still stands there
    wire.send(0, 40, boot="2")
    assert wire.send(2, 60, agent="b") == FAR
    assert wire.send(3, 71, agent="b") == 71 or wire.sources.live == 1
    assert wire.send(1, 72, boot="2") == 71
    assert wire.sources.set_back == 1


def test_a_single_word_from_the_past_changes_nothing():
    wire = Wire()
    wire.send(0, 3 * HOUR)
    assert wire.send(1, 1) == 3 * HOUR
    assert wire.send(2, 3 * HOUR + 1) == 3 * HOUR + 1
    assert wire.send(3, 40) == 3 * HOUR + 1
    wire.send(0, 3 * HOUR, agent="b")
    assert wire.send(5, 3 * HOUR + 2) == 3 * HOUR + 1
    assert wire.send(4, 100) == 3 * HOUR + 1  # fills a gap: an old word, not a new one
    assert (wire.sources.live, wire.sources.set_back) == (2, 0)


def test_lagging_by_less_than_the_longest_window_is_no_broken_clock():
    wire = Wire()
    wire.send(0, HOUR)
    wire.send(0, 0, boot="2")
    assert wire.send(1, 120, boot="2") == HOUR
    assert wire.sources.set_back == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from("12"),
            st.integers(0, 12),
            st.none() | st.integers(0, 90) | st.sampled_from([4000, 4031, 4040, 90_000_000]),
            st.none() | st.integers(0, 90) | st.sampled_from([500, 4000]),
        ),
        max_size=60,
    ),
    st.integers(0, 60),
)
@settings(max_examples=100, deadline=None)
def test_dumped_and_loaded_it_goes_on_the_same(messages, stop):
    one, two = Wire(), Wire()
    for i, (agent, boot, seq, watermark, appended) in enumerate(messages):
        if i == stop:
            two.sources = Sources.load(two.sources.dump())
        where = {"agent": agent, "boot": boot, "appended": appended}
        assert one.send(seq, watermark, **where) == two.send(seq, watermark, **where)
    assert one.sources.dump() == two.sources.dump()


def test_more_agents_than_fit_do_not_stop_time_and_are_not_counted_as_lossy():
    wire = Wire()
    for s in range(40):
        for agent in range(AGENTS_MAX + 1):
            wire.send(s, s, agent=f"a{agent}", appended=s)
    assert wire.send(40, 40, agent="a0", appended=40) == 39
    assert wire.sources.missing == 0


def test_agents_that_went_long_ago_are_forgotten_without_trusting_the_next_ones():
    wire = Wire()
    for agent in range(AGENTS_MAX + 5):
        wire.send(0, 60 * agent, agent=f"a{agent}")
    wire.send(3, 60 * agent, agent="late")
    assert wire.sources.missing == 3


def test_what_agents_claim_to_have_lost_stays_within_what_a_snapshot_holds():
    wire = Wire()
    for boot in range(2200):
        wire.send(2**53 - 2, boot=str(boot), dropped=2**53 - 1)
    orjson.dumps(wire.sources.dump())
    assert wire.sources.dropped > 2**62
