"""Compaction: the newest value of every key stays, what stays does not move, and the log is bounded."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.broker import compaction
from burstwatch.broker.batches import heads
from burstwatch.broker.partition_log import PartitionLog
from burstwatch.broker.topic_configs import parse
from tests.support.kafka_wire import keyed_batch

NOW_MS = 1_700_000_000_000
CONFIGS = {"cleanup.policy": "compact", "segment.bytes": "1024", "min.cleanable.dirty.ratio": "0"}

records = st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.none() | st.binary(max_size=60))
batches = st.lists(records, min_size=1, max_size=4)


def open_log(folder: Path) -> PartitionLog:
    return PartitionLog(folder, parse(CONFIGS))


def compact(log: PartitionLog, *, oldest_tombstone_ms: int = 0) -> None:
    cleaned_to = log.segments[-1].base
    copies = compaction.rewrite(list(log.segments), oldest_tombstone_ms=oldest_tombstone_ms)
    compaction.swap(log, copies, cleaned_to=cleaned_to)


def contents(log: PartitionLog) -> dict[int, bytes]:
    """Return every batch of the log by its base offset, found by reading like a client."""
    found, offset = {}, log.start
    while data := log.read(offset, 2**20):
        for at, head in heads(data):
            found[head.base_offset] = data[at : at + head.size]
            offset = head.last_offset + 1
    return found


def latest(log: PartitionLog) -> dict[bytes, bytes | None]:
    from aiokafka.record.memory_records import MemoryRecords

    return {r.key: r.value for data in contents(log).values() for r in MemoryRecords(data).next_batch()}


@settings(max_examples=60, deadline=None)
@given(before=st.lists(batches, max_size=40), after=st.lists(batches, max_size=10), codec=st.sampled_from([0, 3, 4]))
def test_the_newest_value_of_each_key_stays_at_its_offset(tmp_path_factory, before, after, codec):
    folder = tmp_path_factory.mktemp("log")
    log = open_log(folder)
    for some in before:
        log.append(keyed_batch(*some, compression=codec), NOW_MS)
    all_batches, values, end = contents(log), latest(log), log.end
    compact(log)
    assert (values, end) == (latest(log), log.end)
    assert contents(log).items() <= all_batches.items()  # the same bytes at the same offsets
    for some in after:
        log.append(keyed_batch(*some, compression=codec), NOW_MS)
    values = latest(log)
    compact(log)
    log.close()
    again = open_log(folder)
    assert (values, log.end) == (latest(again), again.end)


def test_a_changelog_of_few_keys_does_not_grow(tmp_path: Path):
    log = open_log(tmp_path)
    sizes = []
    for i in range(400):
        log.append(keyed_batch((b"key %d" % (i % 3), b"%d" % i + b"x" * 100)), NOW_MS)
        if i % 20 == 0 and compaction.is_due(log):
            compact(log)
            sizes.append(sum(s.size for s in log.segments))
    assert len(sizes) > 10
    assert max(sizes) < 4 * 1024
    assert len(log.segments) <= 5
    assert {b"key %d" % k for k in range(3)} == set(latest(log))


def test_a_deleted_key_is_forgotten_after_its_time_and_not_before(tmp_path: Path):
    log = open_log(tmp_path)
    log.append(keyed_batch((b"a", b"1")), NOW_MS)
    log.append(keyed_batch((b"a", None), timestamp=NOW_MS), NOW_MS)
    log.append(keyed_batch((b"b", b"1")), NOW_MS)
    log.roll()
    compact(log, oldest_tombstone_ms=NOW_MS)
    assert {b"a": None, b"b": b"1"} == latest(log)
    compact(log, oldest_tombstone_ms=NOW_MS + 1)
    assert {b"b": b"1"} == latest(log)


def test_what_is_written_while_compaction_runs_is_kept(tmp_path: Path):
    log = open_log(tmp_path)
    for i in range(30):
        log.append(keyed_batch((b"a", b"%d" % i + b"x" * 100)), NOW_MS)
    cleaned_to = log.segments[-1].base
    copies = compaction.rewrite(list(log.segments), oldest_tombstone_ms=0)
    for i in range(30, 60):
        log.append(keyed_batch((b"a", b"%d" % i + b"x" * 100)), NOW_MS)
    compaction.swap(log, copies, cleaned_to=cleaned_to)
    assert latest(log)[b"a"].startswith(b"59")
    assert [i for i, _ in enumerate(log.segments) if log.segments[i].base > log.segments[-1].base] == []


def test_a_segment_that_retention_took_meanwhile_stays_gone(tmp_path: Path):
    log = open_log(tmp_path)
    for i in range(30):
        log.append(keyed_batch((b"key %d" % (i % 20), b"x" * 200)), NOW_MS)
    copies = compaction.rewrite(list(log.segments), oldest_tombstone_ms=0)
    assert copies
    log.drop_before(log.segments[-1].base)
    compaction.swap(log, copies, cleaned_to=0)
    assert [log.segments[-1].path] == sorted(tmp_path.glob("*.log"))
    assert not list(tmp_path.glob("*.compacted"))


def test_a_crash_between_copy_and_swap_leaves_the_log_as_it_was(tmp_path: Path):
    log = open_log(tmp_path)
    for i in range(30):
        log.append(keyed_batch((b"a", b"%d" % i + b"x" * 100)), NOW_MS)
    before = contents(log)
    compaction.rewrite(list(log.segments), oldest_tombstone_ms=0)
    log.close()
    again = open_log(tmp_path)
    assert before == contents(again)
    assert not list(tmp_path.glob("*.compacted"))


def test_records_that_cannot_be_decoded_are_kept(tmp_path: Path):
    log = PartitionLog(tmp_path, parse({}))  # not compacted yet: keyless and odd records get in
    log.append(keyed_batch((None, b"keyless")), NOW_MS)
    log.append(keyed_batch((b"a", b"1")), NOW_MS)
    log.append(keyed_batch((b"a", b"2")), NOW_MS)
    log.roll()
    compact(log)
    assert [0, 2] == list(contents(log))


def test_compaction_waits_until_there_is_enough_to_gain(tmp_path: Path):
    log = PartitionLog(tmp_path, parse(CONFIGS | {"min.cleanable.dirty.ratio": "0.5"}))
    assert not compaction.is_due(log)
    for i in range(60):
        log.append(keyed_batch((b"key %d" % i, b"x" * 200)), NOW_MS)
    assert compaction.is_due(log)
    compact(log)
    assert not compaction.is_due(log)
    for _ in range(6):
        log.append(keyed_batch((b"key 0", b"x" * 200)), NOW_MS)
    assert not compaction.is_due(log)
