"""Segment files: exact round trips, every damage noticed, everything counted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.codec import Batch, columns_of, decode, encode
from collector.schema.events import Kind
from streams.capture.files import last_line
from streams.capture.segments import (
    BadSegment,
    SegmentBuilder,
    SegmentName,
    parse_footer,
    parse_name,
    read_segment,
    temporary_name,
)
from streams.capture.seqs import SeqRanges
from tests.support.events import arrival, batches, completion
from tests.support.fake_log import heartbeat, message

NUMBERS = st.lists(st.integers(0, 60), max_size=60)


@given(NUMBERS)
def test_ranges_hold_what_a_set_would_hold(numbers):
    seqs, model = SeqRanges(), set()
    for number in numbers:
        assert seqs.add(number) == (number not in model)
        model.add(number)
    assert {n for low, high in seqs.ranges() for n in range(low, high + 1)} == model
    assert len(seqs) == len(model)
    assert all((n in seqs) == (n in model) for n in range(62))
    between = set(range(min(model, default=0), max(model, default=0))) - model
    assert {n for low, high in seqs.holes() for n in range(low, high + 1)} == between


@given(NUMBERS, NUMBERS)
def test_adding_another_sets_ranges_is_their_union(one, other):
    seqs, added = SeqRanges((n, n) for n in one), SeqRanges((n, n) for n in other)
    for low, high in added.ranges():
        seqs.add_range(low, high)
    assert seqs.ranges() == SeqRanges((n, n) for n in set(one) | set(other)).ranges()


@given(
    st.from_regex(r"[a-zA-Z0-9._-]{1,40}", fullmatch=True),
    st.integers(0, 9999),
    st.integers(0, 10**15),
    st.integers(0, 10**6),
)
def test_a_name_says_topic_partition_and_offsets_whatever_the_topic_is_called(topic, partition, first, length):
    name = SegmentName(topic=topic, partition=partition, first=first, last=first + length)
    assert parse_name(str(name)) == name
    assert parse_name(temporary_name(topic, partition, first)) is None


def test_names_sort_by_offset_as_text():
    names = [SegmentName(topic="t", partition=0, first=n, last=n + 1) for n in (9, 10, 100, 99_999)]
    assert sorted(map(str, names)) == [str(name) for name in sorted(names)]


def build(bodies: list[bytes], first: int = 5) -> tuple[SegmentName, bytes]:
    builder = SegmentBuilder("llm.requests", 2, first)
    lines = [builder.header()]
    lines += [builder.add(first + i, body) for i, body in enumerate(bodies)]
    lines.append(builder.footer())
    name = SegmentName(topic="llm.requests", partition=2, first=first, last=builder.last)
    return name, b"".join(lines)


@given(st.lists(batches().map(lambda pair: pair[0]), min_size=1, max_size=6))
def test_completion_batches_come_back_as_they_were_and_the_rest_is_counted(sent):
    name, data = build([encode(batch) for batch in sent])
    segment = read_segment(name, data.splitlines(keepends=True))
    kept = [(5 + i, b) for i, b in enumerate(sent) if b.kind is Kind.COMPLETION and b.n]
    assert segment.batches == kept
    assert segment.footer.messages == len(sent)
    assert sum(segment.footer.kinds.values()) == len(sent)
    assert segment.footer.rows == sum(b.n for _, b in kept)
    seen = {(s.agent, s.boot, s.key): s for s in segment.footer.streams}
    assert seen.keys() == {(b.agent, b.boot, b.key) for b in sent}
    for batch in sent:
        stream = seen[batch.agent, batch.boot, batch.key]
        assert any(low <= batch.seq <= high for low, high in stream.seqs)
        assert stream.dropped >= batch.dropped


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=10))
def test_garbage_is_counted_by_reason_and_never_stored(bodies):
    name, data = build([*bodies, message([completion(1)], seq=0)])
    segment = read_segment(name, data.splitlines(keepends=True))
    assert len(segment.batches) == 1
    assert sum(segment.footer.bad.values()) == len(bodies)
    assert data.count(b"\n") == 3


def test_a_body_printed_over_several_lines_is_kept_on_one():
    body = message([completion(1)], seq=0)
    name, data = build([body.replace(b",", b",\r\n ").replace(b"{", b"{\n")])
    assert read_segment(name, data.splitlines(keepends=True)).batches == [(5, decode(body))]


SOUND = build([message([completion(i), completion(i + 1)], seq=i) for i in range(3)] + [heartbeat(seq=3, watermark=9)])


@given(st.data())
def test_any_changed_cut_or_added_byte_is_noticed(data):
    name, sound = SOUND
    place = data.draw(st.integers(0, len(sound) - 1))
    damage = data.draw(st.sampled_from(["flip", "cut", "insert"]))
    if damage == "flip":
        damaged = sound[:place] + bytes([sound[place] ^ data.draw(st.integers(1, 255))]) + sound[place + 1 :]
    elif damage == "cut":
        damaged = sound[:place]
    else:
        damaged = sound[:place] + data.draw(st.binary(min_size=1, max_size=3)) + sound[place:]
    with pytest.raises(BadSegment):
        read_segment(name, damaged.splitlines(keepends=True))


def test_a_segment_under_another_segments_name_is_refused():
    name, data = SOUND
    wrong = SegmentName(topic=name.topic, partition=name.partition, first=name.first + 1, last=name.last)
    with pytest.raises(BadSegment, match="does not match its name"):
        read_segment(wrong, data.splitlines(keepends=True))
    longer = SegmentName(topic=name.topic, partition=name.partition, first=name.first, last=name.last + 1)
    with pytest.raises(BadSegment, match="its name says"):
        read_segment(longer, data.splitlines(keepends=True))


@pytest.mark.parametrize("streams", [1, 3000])
def test_the_last_line_is_found_from_the_end_of_the_file(tmp_path: Path, streams):
    beats = [heartbeat(seq=0, watermark=1, boot=f"boot-{i}") for i in range(streams)]
    name, data = build(beats)
    path = tmp_path / str(name)
    path.write_bytes(data)
    footer = parse_footer(last_line(path))
    assert footer == read_segment(name, data.splitlines(keepends=True)).footer
    assert len(footer.streams) == streams


def test_event_time_is_the_agents_own_watermark_or_else_its_newest_submission():
    builder = SegmentBuilder("t", 0, 0)
    builder.add(0, message([completion(100)], seq=0, watermark=1_000))
    builder.add(1, message([completion(50)], seq=0, key="other", watermark=900_000))
    assert builder.span_us() == 0  # two clocks far apart are not a span
    builder.add(2, heartbeat(seq=1, watermark=61_000))
    assert builder.span_us() == 60_000
    builder.add(3, message([completion(10)], seq=0, agent="a2"))
    builder.add(4, message([completion(200_010)], seq=1, agent="a2"))
    assert builder.span_us() == 200_000


def test_an_arrival_batch_moves_only_the_offset():
    builder = SegmentBuilder("t", 0, 0)
    body = encode(
        Batch(
            agent="a", boot="b", key="k", seq=7, kind=Kind.ARRIVAL, n=1, columns=columns_of(Kind.ARRIVAL, [arrival(5)])
        )
    )
    assert builder.add(0, body) == b""
    assert builder.summary().kinds == {"arrival": 1}
    assert [s.seqs for s in builder.summary().streams] == [[(7, 7)]]
