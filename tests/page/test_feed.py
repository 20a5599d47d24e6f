"""What the page knows: a function of the set of messages, bounded, and the same as a whole or in pieces."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.page import feed as feed_module
from burstwatch.page.feed import EPISODES_MAX, SERVICES_MAX, SET_BACK_ROWS, Feed, note_all
from burstwatch.page.messages import POINT_FIELDS
from tests.support.page_messages import END, US, burst, failure, memory, pressure, row, window

HISTORY_S = 60

rows = st.builds(
    lambda service, step, model: row(service, END + step * 10 * US, seed=step, model=model, memory=memory(step / 20)),
    st.sampled_from(["chat", "code", "a|b"]),
    st.integers(0, 20),
    st.sampled_from(["all", "all", "all", "GPT-4"]),
)
episodes = st.builds(
    lambda make, service, at, lasts: make(service, END + at * US, None if lasts is None else END + (at + lasts) * US),
    st.sampled_from([burst, failure, pressure]),
    st.sampled_from(["chat", "code"]),
    st.integers(0, 5),
    st.one_of(st.none(), st.just(30)),
)
junk = st.one_of(
    st.none(), st.integers(), st.text(), st.lists(st.integers()), st.just({}), st.just({"windows": {}}),
    st.just(row("two words", END)), st.just(row("chat", 2**70)), st.just(row("chat", -1)),
    st.just(row("chat", END, windows={"60": window(1, rate=float("nan"))})),
    st.just(row("chat", END, windows={"minute": window(1)})), st.just(row("chat", END, windows={"60": 7})),
    st.just(row("chat", END, memory={"engines": [{"node": 1, "engine": "e"}]})), st.just(row("chat", True)),
    st.just(burst("chat", END, state="paused")), st.just(burst("chat", END, detected="now")),
    st.just(burst(None, END)),
    st.just({**burst("chat", END), "peak_rate": "high"}),
)  # fmt: skip


def brute_force(messages):
    """The state from the whole list at once."""
    services, told = {}, {}
    for message in messages:
        if "windows" in message and message["model"] == "all":
            services.setdefault(message["service"], {})[message["end"]] = message
        elif "kind" in message:
            key = (message["service"], message["kind"], message["onset"])
            if key not in told or message["state"] == "end":
                told[key] = message["end"]
    points = {}
    for name, own in services.items():
        newest = max(own)
        kept = sorted(end for end in own if end > newest - HISTORY_S * US)
        points[name] = [
            (end, own[end]["windows"]["10"]["rate"], own[end]["windows"]["60"]["failure_ratio"]) for end in kept
        ]
    last = {}
    for service, kind, onset in told:
        last[service, kind] = max(onset, last.get((service, kind), 0))
    open_ones = {key for key, end in told.items() if end is None and key[2] == last[key[:2]]}
    return points, told, open_ones


def seen(snapshot):
    points = {name: [tuple(p[:3]) for p in s["points"]] for name, s in snapshot["services"].items()}
    told = {(e["service"], e["kind"], e["onset"]): e["end"] for e in snapshot["episodes"]}
    open_ones = {
        (e["service"], e["kind"], e["onset"]) for e in snapshot["episodes"] if e["end"] is None and not e["superseded"]
    }
    return points, told, open_ones


@given(st.lists(st.one_of(rows, episodes), max_size=60), st.lists(junk, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_order_any_number_of_times_and_rubbish_between_give_what_brute_force_gives(messages, rubbish, random):
    feed = Feed(HISTORY_S)
    told = messages + random.sample(messages, len(messages) // 2) + rubbish
    random.shuffle(told)
    note_all(feed, told)
    assert seen(feed.snapshot()) == brute_force(messages)
    assert feed.malformed == len(rubbish)
    newest = {name: s["now"]["end"] for name, s in feed.snapshot()["services"].items()}
    assert newest == {name: points[-1][0] for name, points in brute_force(messages)[0].items()}


class Reader:
    """A page: takes a snapshot, then what changed, as `state.js` does."""

    def __init__(self):
        self.version, self.points, self.now, self.episodes = -1, {}, {}, {}

    def read(self, feed):
        message = json.loads(json.dumps(feed.snapshot() if self.version < 0 else feed.since(self.version)))
        if message["type"] == "snapshot":
            self.points, self.now, self.episodes = {}, {}, {}
        self.version = message["version"]
        for name, news in message["services"].items():
            own = self.points.setdefault(name, {})
            own.update({p[0]: p for p in news["points"]})
            self.now[name] = news["now"]
            oldest = news["now"]["end"] - HISTORY_S * US
            self.points[name] = {end: p for end, p in own.items() if end > oldest}
        self.episodes.update({e["id"]: e for e in message["episodes"]})


@given(st.lists(st.one_of(rows, episodes, st.none()), max_size=80))
@settings(max_examples=150, deadline=None)
def test_a_reader_that_comes_now_and_then_knows_what_a_snapshot_says(steps):
    feed, reader = Feed(HISTORY_S), Reader()
    for step in [*steps, None]:
        if step is None:
            reader.read(feed)
        else:
            feed.note(step)
    whole = json.loads(json.dumps(feed.snapshot()))
    assert {name: sorted(points.values()) for name, points in reader.points.items()} == {
        name: s["points"] for name, s in whole["services"].items()
    }
    assert reader.now == {name: s["now"] for name, s in whole["services"].items()}
    assert sorted(reader.episodes) == sorted(e["id"] for e in whole["episodes"])
    assert reader.episodes == {e["id"]: e for e in whole["episodes"]}


def test_a_point_has_the_rate_of_10_s_the_failures_of_a_minute_and_the_fullest_engine():
    feed = Feed(HISTORY_S)
    feed.note(row("chat", END, seed=8, memory=memory(0.75, waiting=6)))
    (point,) = feed.snapshot()["services"]["chat"]["points"]
    short, minute = window(8), window(15)
    assert dict(zip(POINT_FIELDS, point, strict=True)) == {
        "end": END,
        "rate": short["rate"],
        "failure_ratio": minute["failure_ratio"],
        "failure_ratio_lower": minute["failure_ratio_lower"],
        "failure_ratio_upper": minute["failure_ratio_upper"],
        "kv_usage_peak": 0.75,
        "waiting_peak": 6,
    }


def test_other_windows_than_the_usual_are_drawn_by_the_nearest_and_said():
    feed = Feed(HISTORY_S)
    feed.note(row("chat", END, windows={"30": window(1), "300": window(2)}))
    service = feed.snapshot()["services"]["chat"]
    assert service["now"]["drawn"] == {"rate_s": 30, "failure_s": 30}
    assert service["points"][0][1] == window(1)["rate"]


def test_what_is_missing_stays_missing():
    feed = Feed(HISTORY_S)
    feed.note(row("chat", END, windows={"60": {"arrivals": 0, "rate": 0.0, "percentiles": {}}}))
    service = feed.snapshot()["services"]["chat"]
    assert service["points"] == [(END, 0.0, None, None, None, None, None)]
    assert service["now"]["memory"] is None
    assert service["now"]["windows"]["60"]["cv"] is None
    assert service["now"]["windows"]["60"]["time_to_first_token_s_p95"] is None


def test_told_again_is_no_news():
    feed = Feed(HISTORY_S)
    messages = [row("chat", END), row("chat", END + 10 * US), burst("chat", END), burst("chat", END, END + US)]
    note_all(feed, messages)
    version = feed.version
    note_all(feed, messages)
    assert feed.version == version


def test_services_episodes_and_points_are_bounded_and_what_is_left_out_is_said():
    feed = Feed(3600)
    for i in range(SERVICES_MAX + 10):
        feed.note(row(f"s{i:03}", END))
    for i in range(EPISODES_MAX + 50):
        feed.note(burst("s000", END + i * 60 * US, END + (i * 60 + 30) * US))
    whole = feed.snapshot()
    assert len(whole["services"]) == SERVICES_MAX
    assert whole["services_hidden"] == 10
    assert len(whole["episodes"]) == EPISODES_MAX
    assert whole["episodes"][0]["onset"] == END + 50 * 60 * US  # the oldest gave way
    for i in range(feed_module.POINTS_MAX + 100):
        feed.note(row("s000", END + i))
    assert len(feed.snapshot()["services"]["s000"]["points"]) == feed_module.POINTS_MAX


def test_a_service_silent_for_the_whole_history_gives_its_place_to_a_new_one_and_readers_start_afresh():
    feed, reader = Feed(HISTORY_S), Reader()
    for i in range(SERVICES_MAX):
        feed.note(row(f"s{i:03}", END))
    reader.read(feed)
    feed.note(row("new", END + 3600 * US))
    reader.read(feed)
    assert "new" in reader.points
    assert sorted(reader.points) == sorted(feed.snapshot()["services"])
    assert len(reader.points) == SERVICES_MAX


def test_the_episodes_of_a_service_that_lost_its_place_go_with_it():
    feed = Feed(HISTORY_S)
    note_all(feed, [burst("s000", END), *(row(f"s{i:03}", END) for i in range(SERVICES_MAX)), burst("s001", END)])
    feed.note(row("new", END + 3600 * US))
    assert [e["service"] for e in feed.snapshot()["episodes"]] == ["s001"]


@pytest.mark.parametrize("history_s", [60, 6 * 3600])
def test_event_time_that_is_set_back_is_followed_with_all_its_readers(history_s):
    feed, reader = Feed(history_s), Reader()
    ahead = END + 2 * 3600 * US
    note_all(feed, [row("chat", ahead), row("chat", ahead + 10 * US), burst("chat", ahead), burst("code", ahead)])
    reader.read(feed)
    rows = [row("chat", END + i * 10 * US, seed=i) for i in range(SET_BACK_ROWS + 2)]
    note_all(feed, [rows[0], rows[0], rows[1]])  # told again, and once more: not yet
    assert feed.snapshot()["services"]["chat"]["now"]["end"] == ahead + 10 * US
    note_all(feed, rows[2:])
    note_all(feed, [burst("chat", rows[-1]["end"])])
    reader.read(feed)
    assert reader.now["chat"]["end"] == rows[-1]["end"]
    assert max(reader.points["chat"]) == rows[-1]["end"]
    assert {(e["service"], e["onset"], e["superseded"]) for e in reader.episodes.values()} == {
        ("chat", rows[-1]["end"], False),
        ("code", ahead, False),
    }


def test_rows_of_long_ago_told_again_between_new_ones_set_nothing_back():
    feed = Feed(HISTORY_S)
    for i in range(5):
        note_all(feed, [row("chat", END + (7200 + i) * US), row("chat", END + i * US)])
    assert feed.snapshot()["services"]["chat"]["now"]["end"] == END + 7204 * US


def test_an_episode_that_was_never_ended_is_over_when_a_later_one_begins_at_its_place():
    feed = Feed(HISTORY_S)
    note_all(feed, [pressure("chat", END + 60 * US, engine="e1"), burst("chat", END), burst("chat", END + 90 * US)])
    note_all(feed, [pressure("chat", END, engine="e0")])  # another engine's goes on
    superseded = {e["id"]: e["superseded"] for e in feed.snapshot()["episodes"]}
    assert superseded == {
        f"chat burst {END}": True,
        f"chat burst {END + 90 * US}": False,
        f"chat pressure n1 e0 {END}": False,
        f"chat pressure n1 e1 {END + 60 * US}": False,
    }
    version = feed.version
    feed.note(burst("chat", END, END + 30 * US))  # its end comes late
    (late,) = feed.since(version)["episodes"]
    assert (late["end"], late["superseded"]) == (END + 30 * US, False)


def test_words_are_the_terminals_and_never_more_than_printable():
    feed = Feed(HISTORY_S)
    hostile = failure("chat", END)
    hostile["failures_by_reason"] = {"<img src=x onerror=alert(1)>\u202e\x00" + "x" * 500: 9}
    note_all(feed, [burst("chat", END), hostile])
    words = {e["kind"]: e["words"] for e in feed.snapshot()["episodes"]}
    assert words["burst"] == "300 requests in 2 s against 2.0/s expected = 75.0x, z 9.0"
    assert words["failure"].isascii()
    assert words["failure"].isprintable()
    assert len(words["failure"]) == 300


@pytest.mark.parametrize(
    ("message", "over_s"),
    [
        (burst("chat", END), 2),
        (burst("chat", END, arrivals=None), 10),  # told without its requests
        (burst("chat", END, detected=END), 10),
        (burst("chat", END, END + 30 * US), 10),
        (burst("chat", END, END + 30 * US, peak_rate=1.0), 30),
    ],
)
def test_the_rate_told_of_a_burst_is_the_one_in_its_words(message, over_s):
    feed = Feed(HISTORY_S)
    feed.note(message)
    (told,) = feed.snapshot()["episodes"]
    assert f"{message['baseline_rate']:.1f}/s" in told["words"]
    assert f" = {told['told_rate'] / 2.0:.1f}x, " in told["words"]
    assert told["told_s"] == over_s


def test_a_row_told_again_with_other_numbers_is_the_one_that_counts_and_only_that_is_news():
    feed = Feed(HISTORY_S)
    note_all(feed, [row("code", END), row("chat", END - 10 * US), row("chat", END)])
    version = feed.version
    feed.note(row("chat", END, seed=8))
    news = feed.since(version)
    assert [point[:2] for point in news["services"]["chat"]["points"]] == [(END, 3.0)]
    assert news["services"]["chat"]["now"]["windows"]["10"]["rate"] == 3.0
    assert list(news["services"]) == ["chat"]
