"""The spool on disk: what append returned from is read, whatever happened to the processes around it."""

import random

import pytest

from collector.schema.errors import OperatorError
from collector.spool import folder
from collector.spool.acked import Acked, load_acked, store_acked
from collector.spool.reader import SpoolReader
from collector.spool.record import Flush, Message, State, decode_flush, encode_flush
from collector.spool.writer import SpoolRefused, SpoolWriter, recover


def flush_of(number, *, size=50, **checkpoint):
    message = Message(topic="t", key="k", at_ms=number, n=1, body=bytes([65 + number % 26]) * size)
    return Flush(messages=[message], state=State(spooled=number, checkpoints={"source": {"at": number, **checkpoint}}))


def open_writer(path, *, segment_bytes=2_000, bytes_max=1_000_000):
    return SpoolWriter(path, segment_bytes=segment_bytes, bytes_max=bytes_max)


def append(writer, number, **kwargs):
    flush = flush_of(number, **kwargs)
    writer.append(encode_flush(flush), flush.state)


def read_all(path, after=0, *, final=True):
    reader = SpoolReader(path, after)
    found = []
    while (record := reader.read(final=final)) is not None:
        found.append(decode_flush(record.payload).state.spooled)
    reader.close()
    return found


def test_a_flush_survives_its_bytes_exactly():
    messages = [
        Message(topic="a", key="b", at_ms=1, n=2, body=b"{\n}"),
        Message(topic="c", key="d", at_ms=3, n=0, body=b""),
    ]
    flush = Flush(messages=messages, state=State(spooled=5, dropped=2, checkpoints={"x": {"row": 1}}))
    assert decode_flush(encode_flush(flush)) == flush
    assert flush.events == 2


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]\n", b'{"messages":[[1]]}\n', b'{"messages":[]}\nrest', b"\xff"])
def test_bytes_that_are_no_flush_raise_one_error(junk):
    with pytest.raises(ValueError):
        decode_flush(junk)


def test_a_reader_follows_a_writer_over_many_segments(tmp_path):
    writer = open_writer(tmp_path)
    reader = SpoolReader(tmp_path, 0)
    seen = []
    for number in range(1, 101):
        append(writer, number)
        if number % 7 == 0:
            while (record := reader.read(final=False)) is not None:
                seen.append(record.seq)
    writer.close()
    while (record := reader.read(final=True)) is not None:
        seen.append(record.seq)
    assert seen == list(range(1, 101))
    assert len(folder.segments(tmp_path)) > 5
    assert reader.skipped_bytes == 0


def test_a_reader_starts_behind_any_record_and_goes_back_to_it(tmp_path):
    writer = open_writer(tmp_path)
    for number in range(1, 61):
        append(writer, number)
    writer.close()
    for after in (0, 1, 13, 59, 60):
        assert read_all(tmp_path, after) == list(range(after + 1, 61))
    reader = SpoolReader(tmp_path, 0)
    assert [reader.read(final=True).seq for _ in range(40)] == list(range(1, 41))
    reader.rewind(17)
    assert reader.read(final=True).seq == 18


def test_a_new_writer_goes_on_where_the_last_one_was_killed(tmp_path):
    first = open_writer(tmp_path)
    for number in range(1, 31):
        append(first, number)
    # Never closed: as after kill -9. What write() took is in the file.
    second = open_writer(tmp_path)
    assert second.state == flush_of(30).state
    append(second, 31)
    second.close()
    assert read_all(tmp_path) == list(range(1, 32))


def test_a_torn_record_is_cut_off_and_the_state_is_that_of_the_last_whole_one(tmp_path):
    writer = open_writer(tmp_path, segment_bytes=100_000)
    for number in range(1, 11):
        append(writer, number)
    writer.close()
    [(_, path)] = folder.segments(tmp_path)
    data = path.read_bytes()
    rng = random.Random(5)
    for cut in sorted(rng.sample(range(1, len(data)), 40)):
        path.write_bytes(data[:cut])
        seq, state = recover(tmp_path)
        assert read_all(tmp_path) == list(range(1, seq + 1))
        assert state.spooled == seq
        assert path.stat().st_size <= cut
        path.write_bytes(data)


def test_damage_in_the_middle_costs_its_record_and_recovery_still_finds_the_newest_state(tmp_path):
    writer = open_writer(tmp_path, segment_bytes=100_000)
    for number in range(1, 11):
        append(writer, number)
    writer.close()
    [(_, path)] = folder.segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    found = read_all(tmp_path)
    assert len(found) == 9
    assert recover(tmp_path) == (10, flush_of(10).state)


def test_delivered_segments_are_deleted_but_the_newest_stays(tmp_path):
    writer = open_writer(tmp_path)
    for number in range(1, 101):
        append(writer, number)
    writer.close()
    reader = SpoolReader(tmp_path, 0)
    before = folder.segments(tmp_path)
    reader.delete_delivered(50)
    left = folder.segments(tmp_path)
    assert left[0][0] <= 51 < left[1][0]
    reader.delete_delivered(100)
    assert folder.segments(tmp_path) == before[-1:]
    assert recover(tmp_path)[0] == 100


def test_a_segment_is_deleted_with_its_last_record_delivered_and_not_one_record_earlier(tmp_path):
    writer = open_writer(tmp_path)
    for number in range(1, 61):
        append(writer, number)
    writer.close()
    reader = SpoolReader(tmp_path, 0)
    second = folder.segments(tmp_path)[1][0]
    assert reader.delete_delivered(second - 2) == 0
    assert reader.delete_delivered(second - 1) == 1
    assert folder.segments(tmp_path)[0][0] == second


def test_with_every_segment_gone_the_acked_file_still_knows_seq_and_checkpoints(tmp_path):
    writer = open_writer(tmp_path)
    for number in range(1, 11):
        append(writer, number)
    writer.close()
    acked = Acked(seq=10, sent=9, set_aside=1, state=flush_of(10).state)
    store_acked(tmp_path, acked)
    for _, path in folder.segments(tmp_path):
        path.unlink()
    assert load_acked(tmp_path) == acked
    writer = open_writer(tmp_path)
    assert writer.state.checkpoints == {"source": {"at": 10}}
    append(writer, 11)
    writer.close()
    assert read_all(tmp_path, 10) == [11]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seq": 1}', b'{"seq": "x", "sent": 0}'])
def test_an_unreadable_acked_file_means_sent_again_never_lost(tmp_path, content):
    (tmp_path / "acked.json").write_bytes(content)
    assert load_acked(tmp_path) == Acked()


def test_the_cap_refuses_and_deleting_delivered_segments_makes_room(tmp_path):
    writer = open_writer(tmp_path, bytes_max=8_000)
    number = 0
    with pytest.raises(SpoolRefused, match="spool_max_bytes"):
        while True:
            append(writer, number + 1)
            number += 1
    assert folder.size_bytes(tmp_path) <= 8_000
    assert writer.state.spooled == number
    SpoolReader(tmp_path, 0).delete_delivered(number)
    append(writer, number + 1)
    writer.close()
    assert read_all(tmp_path, number) == [number + 1]


def test_a_failing_write_leaves_nothing_behind_and_the_next_one_goes_through(tmp_path, monkeypatch):
    import collector.spool.writer as module

    writer = open_writer(tmp_path)
    append(writer, 1)
    real, calls = module.os.write, []

    def half(descriptor, data):
        calls.append(1)
        if len(calls) == 1:
            return real(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", half)
    with pytest.raises(SpoolRefused, match="No space left"):
        append(writer, 2)
    assert read_all(tmp_path, final=False) == [1]
    monkeypatch.setattr(module.os, "write", real)
    append(writer, 2)
    append(writer, 3)
    writer.close()
    assert read_all(tmp_path) == [1, 2, 3]


def test_two_agents_never_share_a_spool(tmp_path):
    held = folder.lock(tmp_path, wait_s=0)
    with pytest.raises(OperatorError, match="another running agent"):
        folder.lock(tmp_path, wait_s=0.2)
    import os

    os.close(held)
    os.close(folder.lock(tmp_path, wait_s=0))


def test_a_spool_dir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="spool_dir"):
        folder.prepare(tmp_path / "file" / "below")


def test_files_are_for_this_user_only(tmp_path):
    spool = tmp_path / "spool"
    folder.prepare(spool)
    writer = open_writer(spool)
    append(writer, 1)
    writer.close()
    store_acked(spool, Acked())
    assert spool.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spool.iterdir()} == {0o600}
