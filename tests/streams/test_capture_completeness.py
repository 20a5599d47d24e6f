"""What a capture lacks: requests still open, and requests the engines counted that no segment has."""

from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.codec import Batch, columns_of, encode
from collector.schema.events import Kind, Resource
from streams.capture.completeness import completeness, open_requests
from streams.capture.export_summary import completeness_lines
from streams.capture.files import DiskFolder
from streams.capture.footer import rise
from streams.capture.ledger import Removed
from streams.capture.listing import list_segments
from streams.capture.rows import Listed, Only
from streams.capture.segments import SegmentBuilder, SegmentName, parse_footer
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.events import arrival, completion, events
from tests.support.fake_log import message

TOPIC = "llm.requests"


def arrivals(count: int, *, seq: int, **fields) -> bytes:
    rows = [arrival(seq * 1000 + n) for n in range(count)]
    envelope = {"agent": "a1", "boot": "b1", "key": "chat", **fields}
    return encode(Batch(**envelope, seq=seq, kind=Kind.ARRIVAL, n=count, columns=columns_of(Kind.ARRIVAL, rows)))


def reading(
    at: int, ok: int | None, failed: int | None = 0, *, engine: str = "e1", key: str = "chat", **fields
) -> bytes:
    """An engine's reading as it lies in its service's log."""
    row = Resource(
        at=at,
        engine=engine,
        service=key,
        requests_ok_total=ok,
        requests_failed_total=failed,
        source="v",
        node="n1",
        **fields,
    )
    batch = Batch(
        agent="a1",
        boot="b1",
        key=key,
        seq=10**6 + at,
        kind=Kind.RESOURCE,
        n=1,
        columns=columns_of(Kind.RESOURCE, [row]),
    )
    return encode(batch)


def done(count: int, *, seq: int, outcome: str = "ok", **fields) -> bytes:
    reason = None if outcome == "ok" else "unknown"
    return message(
        [completion(seq * 1000 + n, outcome=outcome, reason=reason) for n in range(count)], seq=seq, **fields
    )


def segments(bodies: list[bytes], cuts: set[int] = frozenset()) -> list[Listed]:
    """The bodies in one partition, cut into segments before the offsets in ``cuts``, as a folder would list them."""
    found, builder = [], None
    for offset, body in enumerate(bodies):
        if builder is None:
            builder = SegmentBuilder(TOPIC, 0, offset)
        builder.add(offset, body)
        if offset + 1 in cuts or offset + 1 == len(bodies):
            name = SegmentName(topic=TOPIC, partition=0, first=builder.first, last=offset)
            found.append(Listed(name=name, footer=parse_footer(builder.footer())))
            builder = None
    return found


def of_chat(bodies: list[bytes], cuts: set[int] = frozenset()) -> dict:
    return completeness(segments(bodies, cuts), Only())["chat"]


def test_captured_over_counted_between_the_first_reading_and_the_last():
    bodies = [done(5, seq=0), reading(1, 100), done(7, seq=1), done(2, seq=2, outcome="failed"), reading(2, 108, 2)]
    found = of_chat([*bodies, done(9, seq=3)])
    assert (found["captured_ok"], found["counted_ok"], found["counted_failed"]) == (7, 8, 2)
    assert found["ratio"] == 7 / 8


@pytest.mark.parametrize("outcome", ["cancelled", "failed"])
def test_what_an_engine_never_counts_makes_no_capture_more_than_complete(outcome):
    """Refused before the engine's counters, or gone before its end: a burst's 503s are no requests it served."""
    found = of_chat([reading(1, 0), done(3, seq=0), done(4, seq=1, outcome=outcome), reading(2, 3)])
    assert found["ratio"] == 1.0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("done"), st.integers(0, 3)),
        st.tuples(st.just("read"), st.sampled_from(["e1", "e2"])),
        st.tuples(st.just("restart"), st.sampled_from(["e1", "e2"])),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.sets(st.integers(1, 25)))
def test_when_all_is_captured_the_ratio_is_one_however_it_is_cut_and_whoever_restarts(steps, cuts):
    """Engines that count exactly what ends at them; what a restarted one counted since its last reading is lost."""
    counters, truth = {"e1": 50, "e2": 7}, 0
    bodies = [reading(1, 50, engine="e1"), reading(2, 7, engine="e2")]
    for number, (what, value) in enumerate(steps):
        engine = "e1" if number % 2 else "e2"
        if what == "done":
            counters[engine] += value
            truth += value
            bodies.append(done(value, seq=number))
        elif what == "restart":  # read just before, so that nothing is lost, and right after
            bodies += [
                reading(number * 4 + 10, counters[value], engine=value),
                reading(number * 4 + 11, 0, engine=value),
            ]
            counters[value] = 0
        else:
            bodies.append(reading(number * 4 + 10, counters[value], engine=value))
    bodies += [reading(1000, counters["e1"], engine="e1"), reading(1001, counters["e2"], engine="e2")]
    found = of_chat(bodies, cuts)
    if truth:
        assert (found["captured_ok"], found["counted_ok"], found["ratio"]) == (truth, truth, 1.0)
    else:
        assert found["ratio"] is None


def test_a_lost_segment_shows_as_a_ratio_below_one():
    bodies = [
        reading(1, 0),
        done(5, seq=0),
        reading(2, 5),
        done(5, seq=1),
        reading(3, 10),
        done(0, seq=2),
        reading(4, 10),
    ]
    whole = segments(bodies, {3, 5})
    assert completeness(whole, Only())["chat"]["ratio"] == 1.0
    assert completeness([whole[0], whole[2]], Only())["chat"]["ratio"] == 0.5


def test_the_same_reading_twice_and_late_ones_change_nothing():
    bodies = [reading(1, 0), done(5, seq=0), reading(5, 5)]
    assert of_chat([*bodies, reading(5, 5), reading(3, 2), reading(1, 0)], {3, 4})["counted_ok"] == 5


@pytest.mark.parametrize(
    ("bodies", "why"),
    [
        ([done(3, seq=0)], "no engine of this service was read"),
        ([done(3, seq=0), reading(1, 5)], "read only once"),
        ([reading(1, 5), reading(2, 5)], "did not rise"),
        ([reading(1, None, None), done(3, seq=0), reading(2, None, None)], "no engine of this service was read"),
        ([reading(1, 3, gpu="0"), reading(2, 9, gpu="0")], "no engine of this service was read"),
    ],
)
def test_where_it_cannot_be_known_it_says_why(bodies, why):
    found = of_chat(bodies)
    assert found["ratio"] is None
    assert why in found["why_unknown"]


def old(item: Listed) -> Listed:
    """The same segment as an earlier version wrote it."""
    builder = SegmentBuilder(TOPIC, 0, item.name.first)
    raw = orjson.loads(builder.footer().split(b" ", 2)[2])
    raw["last_offset"], raw["rows"], raw["streams"] = item.name.last, item.footer.rows, []
    for seen in item.footer.streams:
        stream = {name: getattr(seen, name) for name in ("agent", "boot", "key", "dropped")}
        raw["streams"].append({**stream, "seqs": [list(pair) for pair in seen.seqs]})
    del raw["services"]
    return Listed(name=item.name, footer=parse_footer(b"end 00 " + orjson.dumps(raw) + b"\n"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.lists(events(Kind.COMPLETION), max_size=12)), max_size=5))
def test_outcomes_reasons_and_models_are_counted_by_service(sends):
    (item,) = segments([message(rows, seq=n, key=key) for n, (key, rows) in enumerate(sends)] or [b"junk"])
    for key in {key for key, _ in sends}:
        seen, rows = item.footer.services[key], [row for other, part in sends if other == key for row in part]
        for found, name in ((seen.outcomes, "outcome"), (seen.reasons, "reason"), (seen.models, "model")):
            assert found == Counter(value for row in rows if (value := getattr(row, name)) is not None)
        assert seen.newest_us == max((row.submitted_at for row in rows), default=None)


def test_beyond_a_thousand_models_the_rest_is_summed():
    rows = [completion(n, model=f"m{n}") for n in range(1200)] + [completion(5000, model="m7")]
    models = segments([message(rows, seq=0)])[0].footer.services["chat"].models
    assert (len(models), sum(models.values()), models["m7"]) == (1001, 1201, 2)


def test_segments_of_an_older_version_are_read_and_only_what_they_span_is_unknown():
    bodies = [
        reading(1, 0),
        done(5, seq=0),
        reading(2, 5),
        done(5, seq=1),
        reading(3, 10),
        done(6, seq=2),
        reading(4, 16),
    ]
    first, middle, last = segments(bodies, {3, 5})
    assert "older version" in completeness([first, old(middle), last], Only())["chat"]["why_unknown"]
    assert "older version" in completeness([old(first)], Only())["chat"]["why_unknown"]
    assert completeness([old(first), middle, last], Only())["chat"]["ratio"] == 1.0
    found = open_requests([old(first), middle], Removed(), Only())
    assert (found["count"], found["exact"]) == (0, False)


def test_counters_that_fall_were_started_anew():
    assert rise((5, 1), (5, 0)) == ((5, 0), True)
    assert rise((0, 0), (0, 0)) == ((0, 0), False)


def test_requests_that_began_and_did_not_end_are_counted_by_stream():
    bodies = [
        arrivals(5, seq=0),
        done(3, seq=1),
        arrivals(4, seq=0, key="code"),
        done(4, seq=1, key="code"),
        arrivals(6, seq=0, boot="b0", key="old"),
        arrivals(1, seq=0, boot="b1", key="old"),
        done(1, seq=1, boot="b1", key="old"),
    ]
    found = open_requests(segments(bodies, {2, 3, 6}), Removed(), Only())
    assert (found["count"], found["exact"]) == (8, True)
    assert [(s["key"], s["boot"], s["open"], s["agent_restarted_since"]) for s in found["streams"]] == [
        ("chat", "b1", 2, False),
        ("old", "b0", 6, True),
    ]
    assert open_requests(segments(bodies), Removed(), Only(service="chat"))["count"] == 2


@pytest.mark.parametrize(
    ("bodies", "cuts"),
    [
        ([arrivals(5, seq=0), done(2, seq=2)], set()),  # a message is missing
        ([arrivals(5, seq=3), done(2, seq=4)], set()),  # the capture began later
        ([arrivals(5, seq=0, dropped=1), done(2, seq=1)], set()),  # the agent dropped events
        ([arrivals(5, seq=0), arrivals(5, seq=0), done(2, seq=1)], {1}),  # twice, in two segments
    ],
)
def test_where_the_count_is_not_sure_it_says_so(bodies, cuts):
    assert open_requests(segments(bodies, cuts), Removed(), Only())["exact"] is False


def test_a_message_that_came_twice_within_a_segment_counts_once():
    found = open_requests(segments([arrivals(5, seq=0), arrivals(5, seq=0), done(2, seq=1)]), Removed(), Only())
    assert (found["count"], found["exact"]) == (3, True)


def test_what_retention_removed_still_counts_among_the_open():
    """Its arrivals ended in segments that are still there."""
    whole = segments([arrivals(5, seq=0), done(1, seq=1), done(3, seq=2)], {2})
    removed = Removed().plus([(whole[0].name, whole[0].footer, 1)])
    found = open_requests(whole[1:], removed, Only())
    assert (found["count"], found["exact"]) == (1, True)


def test_the_writer_puts_it_all_into_the_last_line(tmp_path: Path):
    writer = SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation())
    for offset, body in enumerate([reading(1, 10), arrivals(4, seq=0), done(3, seq=1), reading(2, 13)]):
        writer.add(0, offset, body)
    writer.finish(0)
    listed = list_segments(tmp_path)
    assert completeness(listed, Only())["chat"]["ratio"] == 1.0
    assert open_requests(listed, Removed(), Only())["count"] == 1


def test_a_minute_in_which_only_the_engines_counters_rise_is_seen_by_an_export(tmp_path: Path):
    """Requests that reach engines past the agents show as such a minute later, not after 10,000 messages."""
    writer = SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation())
    for second in range(70):
        writer.add(0, second, reading(second * 1_000_000, ok=second))
    (listed,) = list_segments(tmp_path)
    assert listed.name.last == 60


def test_minutes_in_which_no_counter_rises_leave_no_file_each(tmp_path: Path):
    writer = SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation())
    for second in range(700):
        writer.add(0, second, reading(second * 1_000_000, ok=7))
    assert not list(tmp_path.glob("*.seg"))


def test_readings_alone_bring_a_segment_with_requests_to_its_end(tmp_path: Path):
    """The agent of the requests may be gone: the readings of another one say that time goes on."""
    writer = SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation())
    writer.add(0, 0, done(3, seq=0))
    for second in range(70):
        writer.add(0, second + 1, reading(second * 1_000_000, ok=7, key="chat"))
    (listed,) = list_segments(tmp_path)
    assert (listed.footer.rows, listed.name.last) == (3, 62)  # the first request came at 1 s


def test_a_low_completeness_says_up_to_when_and_what_it_may_mean():
    engine = {"node": "n1", "engine": "e1", "first_reading_us": 0, "last_reading_us": 60_000_000, "restarts": 0}
    found = {"captured_ok": 94, "counted_ok": 100, "counted_failed": 0, "engines": [engine]}
    first, second = completeness_lines({"chat": {**found, "ratio": 0.94}})
    assert "(94.00%) until 1970-01-01T00:01:00" in first
    assert "past the agents" in second
    assert len(completeness_lines({"chat": {**found, "ratio": 0.95}})) == 1
