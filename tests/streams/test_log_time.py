"""The log's own time shows which clocks are ahead: they neither make others idle nor take event time along."""

import pytest

from streams.processors.sources import AHEAD_US, ALONE_US, BACK_US, PATIENCE_US
from tests.streams.test_sources import Wire
from tests.support.service_messages import SECOND

PATIENCE, ALONE = PATIENCE_US // SECOND, ALONE_US // SECOND
YEAR = 365 * 86_400


@pytest.mark.parametrize("ahead", [3, 31, 600, 7200, YEAR])
def test_an_agent_that_is_ahead_makes_nobody_idle(ahead):
    wire = Wire()
    wire.send(0, 0, agent="sound", appended=0)
    for s in range(1, 400):
        wire.send(s - 1, s + ahead, agent="ahead", appended=s)
        assert wire.send(s, s - 0.5, agent="sound", appended=s) == s - 0.5
    assert (wire.sources.live, wire.sources.idle) == (2, 0)
    assert wire.sources.set_back == 0


def test_when_the_sound_agent_stops_one_that_is_ahead_goes_on_with_the_logs_time_and_alone_with_its_own():
    wire = Wire()
    wire.send(0, 0, agent="sound", appended=0)
    seen = {s: wire.send(s - 1, s + 600, agent="ahead", appended=s) for s in range(1, ALONE + 10)}
    assert seen[PATIENCE] == 0
    assert seen[PATIENCE + 1] == PATIENCE + 1
    assert seen[ALONE] == ALONE
    assert seen[ALONE + 1] == ALONE + 601


def test_an_agent_that_was_alone_and_ahead_is_set_right_by_the_first_sound_one():
    """Ten minutes ahead from the start: before, everything of the others was late for ten minutes."""
    wire = Wire()
    assert wire.send(0, 600, agent="ahead", appended=0) == 600
    for s in range(1, 60):
        wire.send(s, 600 + s, agent="ahead", appended=s)
        wire.send(s - 1, s, agent="sound", appended=s)
    assert wire.sources.set_back == 1
    assert wire.sources.watermark == wire.sources._now
    assert (wire.sources.live, wire.sources.idle) == (2, 0)


def test_a_clock_set_right_by_less_than_an_hour_may_take_its_promise_back():
    wire = Wire()
    wire.send(0, 0, agent="sound", appended=0)
    for s in range(1, 10):
        wire.send(s - 1, s + 600, agent="mended", appended=s)
        wire.send(s, s, agent="sound", appended=s)
    assert wire.send(9, 10, agent="mended", appended=10) == 9
    assert wire.send(10, 11, agent="sound", appended=11) == 10
    assert wire.sources._promises["mended"] == wire.sources.watermark


def test_a_recording_from_the_past_is_not_judged():
    wire = Wire()
    for i, s in enumerate((0, 10, 5000, 5000 + 3 * BACK_US // SECOND)):
        assert wire.send(i, s, appended=YEAR + i) == s


def test_a_recording_dated_in_the_future_plays_when_it_is_alone():
    wire = Wire()
    for i, s in enumerate((YEAR, YEAR + 10, YEAR + 5000)):
        assert wire.send(i, s, appended=i) == s


def test_a_little_ahead_is_no_broken_clock():
    wire = Wire()
    assert wire.send(0, AHEAD_US / SECOND, appended=0) == AHEAD_US / SECOND
    assert not wire.sources._ahead
    wire.send(1, AHEAD_US / SECOND + 1.001, appended=1)
    assert wire.sources._ahead == {"a"}


def test_agents_joined_in_the_middle_of_their_numbering_miss_nothing():
    wire = Wire(joined=True)
    assert wire.send(500, 10) == 10
    assert wire.sources.missing == 0
    assert wire.send(499, 9) == "duplicate"  # was somebody else's
    assert wire.send(502, 12) == 10
    assert wire.sources.missing == 1
    assert wire.send(0, 20, boot="2") == 20
    assert wire.send(2, 30, boot="2") == 20
