"""Classes beyond the budget count as "other" until one of the others has been idle for the longest window."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.batch import Coded
from collector.schema.events import API_LOG
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.processors.totals import UNKNOWN
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, arrival, completion, rows_of

SETTINGS = AnalysisSettings(windows_s=(10, 60), classes_max=2, gaps_min=3)
OTHER = ("other", "other")


def key(name: str) -> tuple[str, str]:
    return (name, API_LOG)


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def play(state: ServiceState, agent: Agent, seconds: range, names: str) -> list:
    """One arrival a second of each class, told every second."""
    found = []
    for s in seconds:
        events = [arrival(at(s + 0.1 + i / 100), key(name)) for i, name in enumerate(names)]
        found += apply_all(state, [agent.message(events, watermark=at(s + 1))])
    return found


def test_a_class_that_was_idle_for_the_longest_window_gives_up_its_column():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    play(state, agent, range(20), "ab")
    play(state, agent, range(20, 60), "ac")
    assert set(state.totals) == {key("a"), key("b"), OTHER}  # b is still in the window
    found = play(state, agent, range(60, 120), "ac")
    assert set(state.totals) == {key("a"), key("c"), OTHER}
    assert state.totals[key("a")].arrivals == 120
    assert state.totals[key("c")].arrivals + state.totals[OTHER].arrivals == 100
    rows = rows_of(found)
    last = max(end for end, _ in rows)
    assert rows[last, ("all", "all")][60].arrivals == 120
    here = rows[last, key("c")][10]
    assert (here.arrivals, here.gaps, here.cv) == (10, 9, 0)  # nothing of b's gaps reaches in
    assert (last, key("b")) not in rows


def test_it_comes_back_when_another_has_gone():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    play(state, agent, range(10), "ab")
    play(state, agent, range(10, 100), "ac")
    play(state, agent, range(100, 190), "ab")
    assert set(state.totals) == {key("a"), key("b"), OTHER}
    assert state.totals[key("b")].arrivals < 91  # it began anew


def test_two_new_classes_of_one_message_never_share_a_column_nor_take_one_in_use():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    play(state, agent, range(10), "ab")
    apply_all(state, [agent.message(watermark=at(200))])
    # b wakes up in the very message in which c and d are new: a's column is the only one to be had
    apply_all(state, [agent.message([arrival(at(200.5), key(n)) for n in "cdb"])])
    assert state.totals[key("b")].arrivals == 11
    assert state.totals[key("c")].arrivals == 1
    assert state.totals[OTHER].arrivals == 1
    assert key("a") not in state.totals


def test_what_still_lies_ahead_of_event_time_keeps_its_column():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    play(state, agent, range(10), "a")
    apply_all(state, [agent.message([completion(at(300), key("b"))])])
    apply_all(state, [agent.message(watermark=at(200))])
    apply_all(state, [agent.message([arrival(at(200.5), key(n)) for n in "cd"])])
    assert set(state.totals) == {key("c"), key("b"), OTHER}


@given(
    st.lists(st.tuples(st.integers(0, 40), st.text("abcdef", min_size=1, max_size=4)), min_size=3, max_size=40),
    st.integers(0, 40),
)
@settings(max_examples=40, deadline=None)
def test_restored_anywhere_the_same_classes_have_the_same_columns(turns, stop):
    one, two, agent = ServiceState(SERVICE, SETTINGS), ServiceState(SERVICE, SETTINGS), Agent()
    now, sent = 0.0, 0
    for offset, (pause, names) in enumerate(turns):
        now += pause
        sent += len(names)
        message = agent.message([arrival(at(now + i / 100), key(n)) for i, n in enumerate(names)], watermark=at(now))
        if offset == stop:
            two = ServiceState.restore(two.snapshot(), SETTINGS)
        assert one.apply(message, offset) == two.apply(message, offset)
    assert one.snapshot() == two.snapshot()
    assert len(one.totals) <= SETTINGS.classes_max + 1
    assert one.latest.get(("all", "all"), None) is None or sent >= one.latest["all", "all"].windows[60].arrivals


def test_thousands_of_models_need_no_more_columns_than_the_budget():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    sizes = []
    for i in range(0, 3000, 30):
        events = [arrival(at(i + j / 100), key(f"m{i + j}")) for j in range(30)]
        apply_all(state, [agent.message(events, watermark=at(i + 1))])
        sizes.append(len(state.snapshot()))
    assert len(state.totals) == 3
    assert max(sizes) < 2 * sizes[9]


def test_a_class_called_unknown_and_one_not_named_are_the_same():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    named = agent.message([arrival(at(i), key(UNKNOWN)) for i in range(3)])
    codes = Coded([UNKNOWN], [0, -1, 0])
    for message in (replace(named, columns={**named.columns, "model": codes}), agent.message((), watermark=at(40))):
        found = apply_all(state, [message])
    assert state.totals[key(UNKNOWN)].arrivals == 3
    assert rows_of(found)[at(10), key(UNKNOWN)][10].arrivals == 3


def test_models_seen_under_the_same_dictionary_later_get_columns_of_their_own():
    state, agent = ServiceState(SERVICE, SETTINGS), Agent()
    message = agent.message([arrival(at(i), key("a")) for i in range(4)])
    for picked in ([0, 0, 0, 0], [0, 1, 1, 0], [2, 1, 0, 2]):
        columns = {**message.columns, "model": Coded(["a", "b", "c"], picked)}
        message = replace(agent.message([arrival(at(i)) for i in range(4)]), columns=columns)
        apply_all(state, [message])
    assert {name: totals.arrivals for name, totals in state.totals.items()} == {
        key("a"): 7,
        key("b"): 3,
        OTHER: 2,
    }
