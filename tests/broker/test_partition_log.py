"""The log of a partition: what is in it stays in it, at its offset, whatever ends the process."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.broker.batches import heads, records_of
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.partition_log import PartitionLog
from burstwatch.broker.topic_configs import parse
from tests.support.kafka_wire import batch, keyed_batch

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def log_in(folder: Path, *, start: int = 0, **configs: str) -> PartitionLog:
    named = {name.replace("_", "."): value for name, value in configs.items()}
    return PartitionLog(folder, parse(named), start=start)


def values(log: PartitionLog) -> list[tuple[int, bytes]]:
    """Return (offset, value) of every record, read from the start in small steps."""
    found, offset = [], log.start
    while offset < log.end:
        data = log.read(offset, 1, at_least_one=True)
        if not data:
            break
        for at, head in heads(data):
            found += [(o, v) for o, v in decoded(data[at : at + head.size]) if o >= offset]
            offset = head.last_offset + 1
    return found


def decoded(data: bytes) -> list[tuple[int, bytes]]:
    from aiokafka.record.memory_records import MemoryRecords

    return [(r.offset, r.value) for r in MemoryRecords(data).next_batch()]


def test_offsets_count_records_not_batches(tmp_path: Path):
    log = log_in(tmp_path)
    assert [0, 1, 4] == [log.append(batch(*[b"x"] * n), NOW_MS).base_offset for n in (1, 3, 2)]
    assert log.end == 6


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3000)), max_size=30),
    reopen_after=st.integers(0, 30),
)
def test_every_record_is_read_back_at_its_offset_over_rolls_and_restarts(tmp_path_factory, sizes, reopen_after):
    folder = tmp_path_factory.mktemp("log")
    log, written = log_in(folder, segment_bytes="4096"), []
    for i, (count, size) in enumerate(sizes):
        if i == reopen_after:
            log.close()
            log = log_in(folder, segment_bytes="4096")
        batch_values = [b"%d.%d" % (i, j) + b"x" * size for j in range(count)]
        base = log.append(batch(*batch_values), NOW_MS).base_offset
        written += [(base + j, value) for j, value in enumerate(batch_values)]
    assert written == values(log)
    log.close()
    again = log_in(folder)
    assert (written, log.end) == (values(again), again.end)
    for offset, value in written:  # and from any offset, the batch that holds it comes first
        first = next(iter(heads(again.read(offset, 10**6))))[1]
        assert first.base_offset <= offset <= first.last_offset, value


def test_a_tail_torn_at_any_byte_is_cut_off_and_the_log_goes_on(tmp_path: Path):
    log = log_in(tmp_path)
    log.append(batch(b"one"), NOW_MS)
    log.append(batch(b"two"), NOW_MS)
    log.close()
    file = log.segments[0].path
    whole = file.read_bytes()
    first = next(iter(heads(whole)))[1].size
    for cut in range(first, len(whole)):
        file.write_bytes(whole[:cut])
        torn = log_in(tmp_path)
        assert [(0, b"one")] == values(torn)
        assert torn.append(batch(b"again"), NOW_MS).base_offset == 1
        torn.close()
        assert [(0, b"one"), (1, b"again")] == values(log_in(tmp_path))


def test_a_byte_changed_on_disk_in_the_last_batch_is_noticed(tmp_path: Path):
    log = log_in(tmp_path)
    log.append(batch(b"one"), NOW_MS)
    log.append(batch(b"two"), NOW_MS)
    log.close()
    file = log.segments[0].path
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    assert [(0, b"one")] == values(log_in(tmp_path))


def test_a_crash_right_after_a_roll_gives_no_offset_twice(tmp_path: Path):
    log = log_in(tmp_path)
    log.append(batch(b"one", b"two", producer_id=7, epoch=0, sequence=0), NOW_MS)
    log.roll()
    again = log_in(tmp_path)
    assert again.end == 2
    assert again.append(batch(b"one", b"two", producer_id=7, epoch=0, sequence=0), NOW_MS).base_offset == 0
    assert again.append(batch(b"three", producer_id=7, epoch=0, sequence=2), NOW_MS).base_offset == 2


def test_a_full_disk_refuses_the_batch_and_leaves_the_log_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = log_in(tmp_path)
    log.append(batch(b"one"), NOW_MS)
    write, calls = os.write, []

    def full(file: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:10])

    monkeypatch.setattr("burstwatch.broker.segment.os.write", full)
    with pytest.raises(Refused) as refusal:
        log.append(batch(b"two"), NOW_MS)
    assert refusal.value.code is Code.STORAGE_ERROR
    monkeypatch.setattr("burstwatch.broker.segment.os.write", write)
    assert log.append(batch(b"two"), NOW_MS).base_offset == 1
    assert [(0, b"one"), (1, b"two")] == values(log)
    assert [(0, b"one"), (1, b"two")] == values(log_in(tmp_path))


def test_a_torn_write_that_cannot_be_taken_back_at_once_is_before_the_next_one(tmp_path: Path, monkeypatch):
    log = log_in(tmp_path)
    log.append(batch(b"first"), NOW_MS)
    with monkeypatch.context() as failing:
        write, calls = os.write, []

        def half(descriptor: int, data: bytes) -> int:
            calls.append(descriptor)
            if len(calls) > 1:
                raise OSError(errno.EIO, "Input/output error")
            return write(descriptor, data[: len(data) // 2])

        def refuse(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        failing.setattr("burstwatch.broker.segment.os.write", half)
        failing.setattr("burstwatch.broker.segment.os.ftruncate", refuse)
        for _ in range(2):
            with pytest.raises(Refused):
                log.append(batch(b"torn"), NOW_MS)
    log.append(batch(b"second"), NOW_MS)
    assert values(log) == [(0, b"first"), (1, b"second")]
    log.close()
    assert values(log_in(tmp_path)) == [(0, b"first"), (1, b"second")]


def test_duplicates_are_known_after_a_restart_and_over_a_roll(tmp_path: Path):
    sent = [batch(b"%d" % i, producer_id=3, epoch=0, sequence=i) for i in range(8)]
    log = log_in(tmp_path)
    for i, data in enumerate(sent):
        log.append(data, NOW_MS)
        if i == 5:
            log.roll()
    log.close()
    again = log_in(tmp_path)
    assert [3, 4, 5, 6, 7] == [again.append(data, NOW_MS).base_offset for data in sent[3:]]
    assert again.end == 8
    with pytest.raises(Refused):
        again.append(batch(b"gap", producer_id=3, epoch=0, sequence=10), NOW_MS)


def test_old_segments_go_by_age_and_the_offsets_stay(tmp_path: Path):
    log = log_in(tmp_path, retention_ms=str(DAY_MS))
    for day in range(4):
        log.append(batch(b"day %d" % day, timestamp=NOW_MS + day * DAY_MS), NOW_MS + day * DAY_MS)
        log.roll()
    assert log.expired(NOW_MS + DAY_MS) == 0  # exactly a day old is not yet older than a day
    start = log.expired(NOW_MS + 2 * DAY_MS + 1)
    assert start == 2
    log.drop_before(start)
    assert [(2, b"day 2"), (3, b"day 3")] == values(log)
    assert 4 == log.end == log_in(tmp_path, start=2).end
    with pytest.raises(Refused) as refusal:
        log.read(1, 1000)
    assert refusal.value.code is Code.OFFSET_OUT_OF_RANGE


def test_even_the_newest_segment_expires_but_the_next_offset_is_remembered(tmp_path: Path):
    log = log_in(tmp_path, retention_ms=str(DAY_MS))
    log.append(batch(b"a", b"b", timestamp=NOW_MS), NOW_MS)
    log.drop_before(log.expired(NOW_MS + DAY_MS + 2))
    assert (2, 2, []) == (log.start, log.end, values(log))
    assert log_in(tmp_path, start=2).append(batch(b"c"), NOW_MS).base_offset == 2


@pytest.mark.parametrize("retention", [0, 1, 5_000, 10**9])
def test_the_log_shrinks_to_its_size_limit_by_whole_segments(tmp_path: Path, retention: int):
    log = log_in(tmp_path, retention_bytes=str(retention), retention_ms="-1", segment_bytes="2048")
    for i in range(40):
        log.append(batch(b"%d" % i + b"x" * 500), NOW_MS)
    total = sum(s.size for s in log.segments)
    log.drop_before(log.expired(NOW_MS))
    left = sum(s.size for s in log.segments)
    assert left >= min(retention, total)  # never below the limit
    assert left < retention + 2048 or left == total or len(log.segments) == 1  # and at most a segment above
    assert log.end == 40


def test_a_compacting_topic_without_delete_keeps_old_records(tmp_path: Path):
    log = log_in(tmp_path, cleanup_policy="compact", retention_ms="1", retention_bytes="1")
    log.append(batch(b"old"), NOW_MS)
    log.roll()
    assert log.expired(NOW_MS + DAY_MS) == 0


def test_records_below_a_deleted_offset_stay_hidden_after_a_restart(tmp_path: Path):
    log = log_in(tmp_path)
    for i in range(5):
        log.append(batch(b"%d" % i), NOW_MS)
    log.drop_before(3)
    log.close()
    assert [(3, b"3"), (4, b"4")] == values(log_in(tmp_path, start=3))


@settings(max_examples=30, deadline=None)
@given(
    times=st.lists(st.integers(0, 1000), min_size=1, max_size=25),
    asked=st.integers(-1, 1100),
    codec=st.sampled_from([0, 1, 2, 3, 4]),
)
def test_a_time_finds_the_first_record_not_before_it(tmp_path_factory, times, asked, codec):
    """Times may run backwards: 'first' is by offset, as in Kafka."""
    log = log_in(tmp_path_factory.mktemp("log"), segment_bytes="1024")
    stamped = []
    for time in times:
        records = [(b"k", b"v" * 50), (b"k", b"v" * 50)]
        base = log.append(keyed_batch(*records, timestamp=time, compression=codec), NOW_MS).base_offset
        stamped += [(time, base), (time + 1, base + 1)]
    expected = next(((t, o) for t, o in stamped if t >= asked), (-1, -1))
    assert expected == log.offset_at(asked)


def test_memory_does_not_grow_with_the_records(tmp_path: Path):
    import tracemalloc

    log = log_in(tmp_path)
    data = batch(b"x" * 100_000)
    tracemalloc.start()
    for _ in range(200):
        log.append(data, NOW_MS)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(s.size for s in log.segments) > 20_000_000
    assert kept < 200_000


def test_records_of_reads_every_codec():
    for codec in range(5):
        records = records_of(keyed_batch((b"a", b"1"), (b"b", None), compression=codec))
        assert [(b"a", False), (b"b", True)] == [(r.key, r.is_tombstone) for r in records]
