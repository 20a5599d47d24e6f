"""Episodes as marks, and the step from what Grafana has to what it shall have: without any Grafana."""

import pytest

from burstwatch.annotate import marks, writing
from burstwatch.annotate.marks import Episodes, mark
from burstwatch.annotate.writing import Following, Lines, write_all
from burstwatch.wording import MALFORMED
from dashboards.grafana import annotations
from dashboards.grafana.annotations import LASTING, Marker, step, tag
from streams.processors.episodes import FailureEpisode, PressureEpisode, episode_message
from streams.processors.outputs import Episode

ONSET, DETECTED, END = 1_700_000_000_000_000, 1_700_000_002_000_000, 1_700_000_060_000_000
FAILURE = {"budget_ratio": 0.01, "failure_ratio_lower": 0.1, "peak_ratio": 0.5, "completions": 100, "failures": 40,
           "failures_by_reason": {"overloaded": 40}, "attribution": "burst"}  # fmt: skip


def burst(state: str = "end", **changes) -> dict:
    values = {"service": "chat", "state": state, "onset": ONSET, "detected": DETECTED,
              "end": END if state == "end" else None, "baseline_rate": 2.0, "peak_rate": 16.0, "peak_z": 9.0,
              "arrivals": 300, "excess": 200.0, "window_s": 10} | changes  # fmt: skip
    return episode_message(Episode(**values))


def kept(wanted, number: int = 1) -> dict:
    """As Grafana gives a mark back."""
    return {"id": number, "time": wanted.start_ms, "timeEnd": wanted.end_ms, "text": wanted.text, "tags": wanted.tags}


def test_an_episode_that_ended_is_a_region_from_onset_to_end():
    found = mark(burst())
    assert (found.start_ms, found.end_ms, found.lasting) == (ONSET // 1000, END // 1000, False)
    assert found.tags == ["burstwatch", "burst", "service:chat", found.key_tag]
    assert found.text.startswith("burst of chat: 16.0/s over 10 s against 2.0/s")
    assert "\n" not in found.text


def test_one_that_lasts_reaches_to_where_it_was_detected_and_says_so():
    found = mark(burst("onset"))
    assert (found.start_ms, found.end_ms, found.lasting) == (ONSET // 1000, DETECTED // 1000, True)
    assert found.tags[-1] == LASTING
    assert found.text.startswith("burst of chat goes on: ")
    assert found.key_tag == mark(burst()).key_tag


def test_every_kind_the_workers_tell_has_a_mark():
    common = {"service": "chat", "state": "end", "onset": ONSET, "detected": DETECTED, "end": END}
    failure = episode_message(FailureEpisode(**common, **FAILURE))
    pressure = episode_message(
        PressureEpisode(**common, node="n1", engine="e0", kv_usage_peak=1.0, waiting_peak=3, preemptions=2,
                        exhaustion_s=4.0, during_burst=True)
    )  # fmt: skip
    other = episode_message(
        PressureEpisode(**common, node="n1", engine="e1", kv_usage_peak=1.0, waiting_peak=3, preemptions=2,
                        exhaustion_s=4.0, during_burst=True)
    )  # fmt: skip
    found = [mark(message) for message in (burst(), failure, pressure, other)]
    assert [m.labels[0] for m in found] == ["burst", "failure", "pressure", "pressure"]
    assert "40 of 100 failed" in found[1].text
    assert "e0 on n1" in found[2].text
    assert len({m.key_tag for m in found}) == 4


WRONG = (
    None, [], {}, {"id": 5}, burst() | {"state": "soon"}, burst() | {"onset": "x"}, burst() | {"onset": True},
    burst() | {"end": None}, burst() | {"end": 10**30}, burst() | {"onset": -1}, burst() | {"service": ""},
    burst() | {"service": "a\nb"}, burst() | {"kind": 3}, burst() | {"peak_rate": "many"},
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_episode_is_counted_and_left_out(wrong):
    with pytest.raises(MALFORMED):
        mark(wrong)
    episodes = Episodes()
    episodes.note(wrong)
    assert (episodes.unreadable, episodes.waiting()) == (1, [])


def test_a_mark_ends_no_earlier_than_it_begins():
    assert mark(burst(end=ONSET - 5_000_000)).end_ms == ONSET // 1000


def test_names_cannot_bring_html_or_break_tags():
    hostile = mark(burst(service="<b>&a:b:c" + "x" * 119))
    assert "&lt;b&gt;&amp;a:b:c" in hostile.text
    service = hostile.tags[2]
    assert service.count(":") == 1
    assert len(service) == len("service:") + 100
    assert tag("service", "a:b") == "service:a_b"


def test_the_step_is_to_create_once_and_to_complete_once():
    begun, ended = mark(burst("onset")), mark(burst())
    assert step(begun, None) == "create"
    assert step(ended, None) == "create"
    assert step(begun, kept(begun)) == "unchanged"
    assert step(ended, kept(begun)) == "update"
    assert step(ended, kept(ended)) == "unchanged"


def test_what_has_ended_never_begins_again():
    assert step(mark(burst("onset")), kept(mark(burst()))) == "unchanged"


class Answers:
    """A Grafana that has nothing and takes everything; ``asked`` is what for."""

    def __init__(self):
        self.asked = []

    def ask(self, doing, _call, **_):
        self.asked.append(doing.split()[0])
        return [] if doing.startswith("looking") else {"id": 1}


def test_what_has_ended_is_not_looked_for_again_and_only_so_much_of_it_is_remembered(monkeypatch):
    monkeypatch.setattr(annotations, "_SETTLED_MAX", 2)
    grafana = Answers()
    marker = Marker(grafana, write=True)
    ended = [mark(burst(onset=ONSET + i * 1000)) for i in range(3)]
    for one in ended:
        assert marker.put(one).action == "create"
    assert grafana.asked == ["looking", "creating"] * 3
    assert marker.put(ended[2]).action == "unchanged"
    assert len(grafana.asked) == 6
    marker.put(ended[0])  # forgotten, and looked for
    assert len(grafana.asked) == 8


def test_told_to_stop_it_writes_no_more():
    episodes, marker = Episodes(), Marker(Answers(), write=True)
    episodes.note(burst())
    write_all(episodes, marker, Lines(written=True, as_json=False), lambda: True)
    assert len(episodes.waiting()) == 1


class Turns:
    """Instead of an event: what happens before each turn of the loop, then the end."""

    def __init__(self, *happenings):
        self.left = list(happenings)

    def wait(self, _seconds):
        return not self.left or bool(self.left.pop(0)())

    def is_set(self):
        return False


def test_followed_nothing_is_written_before_all_history_is_read_and_then_only_what_since_allows(monkeypatch):
    told, written = {}, []

    class Follower:
        def __init__(self, _kafka, _topics, _history, **on):
            told.update(on)

        def start(self):
            for hours in (0, 9, 10):
                shift = hours * 3_600_000_000
                told["on_messages"]([burst(onset=ONSET + shift, end=END + shift)])

        def stop(self):
            written.append("stopped")

    monkeypatch.setattr(writing, "TopicFollower", Follower)
    grafana = Answers()
    following = Following("k", Marker(grafana, write=True), Lines(written=True, as_json=False), 6 * 3600.0)
    turns = Turns(
        lambda: told["on_kafka"](True, False),
        lambda: written.extend(grafana.asked),
        lambda: told["on_kafka"](True, True),
    )
    assert following.run(turns) == 0
    assert written == ["stopped"]
    assert grafana.asked == ["looking", "creating"] * 2


def test_a_person_who_moved_or_rewrote_an_ended_mark_is_overruled_but_tags_may_come_in_any_order():
    ended = mark(burst())
    assert step(ended, kept(ended) | {"tags": ended.tags[::-1]}) == "unchanged"
    assert step(ended, kept(ended) | {"text": "mine"}) == "update"
    assert step(ended, kept(ended) | {"tags": None}) == "update"


@pytest.mark.parametrize("order", [("onset", "end"), ("end", "onset"), ("end", "onset", "onset"), ("end", "end")])
def test_of_an_episode_only_its_newest_state_waits_in_whatever_order_it_is_told(order):
    episodes = Episodes()
    for state in order:
        episodes.note(burst(state))
    assert [m.lasting for m in episodes.waiting()] == [False]


def test_what_is_written_waits_no_longer_unless_it_went_on_meanwhile():
    episodes = Episodes()
    episodes.note(burst("onset"))
    (begun,) = episodes.waiting()
    episodes.note(burst())
    episodes.written(begun)
    (ended,) = episodes.waiting()
    assert not ended.lasting
    episodes.written(ended)
    assert episodes.waiting() == []


def test_since_counts_back_from_the_newest_episode_not_from_today():
    episodes = Episodes()
    for hours in (0, 5, 10):
        shift = hours * 3_600_000_000
        episodes.note(burst(onset=ONSET + shift, end=END + shift))
    episodes.keep_since(6 * 3600)
    assert [m.start_ms for m in episodes.waiting()] == [(ONSET + h * 3_600_000_000) // 1000 for h in (5, 10)]
    episodes.keep_since(float("inf"))
    assert len(episodes.waiting()) == 2


def test_what_waits_is_bounded_and_the_oldest_told_goes(monkeypatch):
    monkeypatch.setattr(marks, "PENDING_MAX", 2)
    episodes = Episodes()
    for i in range(4):
        episodes.note(burst(onset=ONSET + i))
    assert (episodes.dropped, len(episodes.waiting())) == (2, 2)
