"""Laws of the record format: damage costs the damaged records and nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.spool.framing import HEADER, Pending, Record, frame, next_record

# Spool payloads begin with JSON: text without NULs, which is what makes sequence numbers landmarks.
PAYLOADS = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), min_size=1, max_size=12)
STARTS = st.sampled_from([0, 7, 2**24 - 3, 2**24 - 1, 2**40])


def write(payloads, start):
    records = [frame(start + i + 1, text.encode()) for i, text in enumerate(payloads)]
    return records, b"".join(records)


def read(data, after, *, final=True):
    found, offset = [], 0
    while isinstance(record := next_record(data, offset, after, final=final), Record):
        found.append((record.seq, record.payload))
        offset, after = record.end, record.seq
    return found, record


@given(PAYLOADS, STARTS)
def test_what_is_framed_is_read(payloads, start):
    _, data = write(payloads, start)
    found, rest = read(data, start)
    assert found == [(start + i + 1, text.encode()) for i, text in enumerate(payloads)]
    assert rest == Pending(offset=len(data))


@given(PAYLOADS, STARTS, st.data())
def test_a_cut_anywhere_leaves_every_whole_record(payloads, start, data):
    records, whole = write(payloads, start)
    cut = data.draw(st.integers(0, len(whole)))
    expected, end = [], 0
    for i, record in enumerate(records):
        end += len(record)
        if end <= cut:
            expected.append((start + i + 1, payloads[i].encode()))
    for final in (True, False):
        assert read(whole[:cut], start, final=final)[0] == expected


@settings(max_examples=300)
@given(PAYLOADS, STARTS, st.data())
def test_a_flipped_bit_costs_the_record_it_hits_and_no_other(payloads, start, data):
    records, whole = write(payloads, start)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << bit % 8
    hit, end = 0, 0
    for i, record in enumerate(records):
        if end <= bit // 8:
            hit = i
        end += len(record)
    expected = [(start + i + 1, text.encode()) for i, text in enumerate(payloads) if i != hit]
    assert read(bytes(damaged), start)[0] == expected


@given(PAYLOADS, st.binary(max_size=200), st.data())
def test_overwritten_bytes_never_yield_a_wrong_record_and_spare_what_lies_behind(payloads, junk, data):
    records, whole = write(payloads, 0)
    at = data.draw(st.integers(0, len(whole)))
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    truth = {(i + 1, text.encode()) for i, text in enumerate(payloads)}
    found = read(damaged, 0)[0]
    assert set(found) <= truth
    end, behind = 0, []
    for i, record in enumerate(records):
        if end >= at + len(junk) or end + len(record) <= at:
            behind.append((i + 1, payloads[i].encode()))
        end += len(record)
    assert [record for record in found if record in behind] == behind


@given(st.binary(max_size=400))
def test_any_bytes_end_without_a_record(data):
    assert read(data, 0)[0] == []


def test_an_unfinished_record_is_waited_for_until_its_file_is_final():
    first, second = frame(1, b"one"), frame(2, b"two")
    data = first + second[:-1]
    assert next_record(data, len(first), 1, final=False) == Pending(offset=len(first))
    # A header whose length was damaged looks unfinished too; behind a final file's end nothing can follow.
    lying = HEADER.pack(10_000, 0, 1) + b"x" + second
    assert next_record(lying, 0, 0, final=False) == Pending(offset=0)
    found = next_record(lying, 0, 0, final=True)
    assert (found.seq, found.skipped) == (2, HEADER.size + 1)


def test_a_record_from_before_is_not_told_again_even_if_it_is_whole():
    data = frame(7, b"old") + frame(8, b"new")
    assert next_record(data, 0, 7, final=True) == Record(
        seq=8, payload=b"new", end=len(data), skipped=len(frame(7, b"old"))
    )
