"""The spool on a disk that fails: nothing that was taken is lost, nothing is trusted that the kernel has forgotten."""

import os

import pytest

import collector.spool.writer as module
from collector.schema.errors import OperatorError
from collector.spool import folder
from collector.spool.acked import Acked, load_acked, store_acked
from collector.spool.framing import frame
from collector.spool.reader import SpoolReader
from collector.spool.record import Flush, State, encode_flush
from collector.spool.writer import SpoolRefused, SpoolWriter, recover


@pytest.fixture
def disk(monkeypatch):
    """A disk whose syncs are counted by file, and fail for files opened while it is ``bad``."""

    class Disk:
        bad = False
        synced = ()

        def fdatasync(self, descriptor):
            inode = os.fstat(descriptor).st_ino
            self.synced = (*self.synced, inode)
            if self.bad:
                raise OSError(5, "Input/output error")

    disk = Disk()
    monkeypatch.setattr(module.os, "fdatasync", disk.fdatasync)
    monkeypatch.setattr(module, "SYNC_INTERVAL_S", 3600.0)  # the test says when
    return disk


def payload(number, size=50):
    return encode_flush(Flush(messages=[], state=State(spooled=number, checkpoints={"x": {"pad": "p" * size}})))


def append(writer, *numbers):
    for number in numbers:
        writer.append(payload(number), State(spooled=number))


def seqs(reader, *, final=False):
    found = []
    while (record := reader.read(final=final)) is not None:
        found.append(record.seq)
    return found


def test_records_whose_sync_failed_are_written_again_into_another_file_and_that_is_synced(tmp_path, disk):
    writer = SpoolWriter(tmp_path, segment_bytes=100_000, bytes_max=1_000_000)
    reader = SpoolReader(tmp_path, 0)
    append(writer, 1, 2, 3)
    writer._sync()
    append(writer, 4, 5)
    disk.bad = True
    writer._sync()
    assert seqs(reader) == [1, 2, 3, 4, 5]
    disk.bad = False
    append(writer, 6)
    [first, second] = folder.segments(tmp_path)
    assert (first[0], second[0]) == (1, 4)
    first[1].unlink()  # what the disk has really kept of it is anybody's guess
    assert seqs(SpoolReader(tmp_path, 3), final=True) == [4, 5, 6]
    assert seqs(reader) == [6]
    writer.close()
    assert disk.synced[-1] == second[1].stat().st_ino
    assert len(set(disk.synced)) == 2


def test_a_reader_follows_a_file_that_takes_the_place_of_the_one_it_reads(tmp_path, disk):
    writer = SpoolWriter(tmp_path, segment_bytes=100_000, bytes_max=1_000_000)
    reader = SpoolReader(tmp_path, 0)
    append(writer, 1, 2)
    assert seqs(reader) == [1, 2]
    disk.bad = True
    writer._sync()
    append(writer, 3)
    assert [first for first, _ in folder.segments(tmp_path)] == [1]
    assert seqs(reader) == [3]
    append(writer, 4)
    assert seqs(reader) == [4]
    writer.close()
    assert recover(tmp_path)[0] == 4
    assert reader.skipped_bytes == 0


def test_a_disk_that_never_syncs_takes_events_all_the_same_and_no_file_is_synced_twice(tmp_path, disk):
    disk.bad = True
    writer = SpoolWriter(tmp_path, segment_bytes=1_000, bytes_max=1_000_000)
    for number in range(1, 31):
        append(writer, number)
        if number % 4 == 0:
            writer._sync()
        assert sum(len(record) for _, record in writer._unsynced) <= 1_000
    writer.close()
    assert seqs(SpoolReader(tmp_path, 0), final=True) == list(range(1, 31))
    assert not list(tmp_path.glob(".*"))


def test_records_that_cannot_be_written_again_are_kept_until_they_can(tmp_path, disk, monkeypatch):
    writer = SpoolWriter(tmp_path, segment_bytes=100_000, bytes_max=1_000_000)
    append(writer, 1)
    disk.bad = True
    writer._sync()
    disk.bad = False
    real = module.os.write

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", full)
    with pytest.raises(SpoolRefused):
        append(writer, 2)
    assert not list(tmp_path.glob(".*"))
    monkeypatch.setattr(module.os, "write", real)
    append(writer, 2)
    writer.close()
    assert seqs(SpoolReader(tmp_path, 0), final=True) == [1, 2]


def test_a_reader_that_met_half_a_record_reads_what_its_writer_wrote_instead(tmp_path):
    path = folder.segment_path(tmp_path, 1)
    taken_back, kept = frame(1, b"A" * 200), frame(1, b"B" * 400)
    path.write_bytes(taken_back[:150])
    reader = SpoolReader(tmp_path, 0)
    assert reader.read(final=False) is None
    path.write_bytes(kept + frame(2, b"C"))
    assert reader.read(final=False).payload == b"B" * 400
    assert reader.read(final=False).payload == b"C"
    assert reader.skipped_bytes == 0


def test_a_disk_that_takes_half_of_acked_never_leaves_half_of_it(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr("collector.spool.folder.os.write", lambda fd, data: real(fd, data[:7]))
    acked = Acked(seq=123456789, sent=5, state=State(spooled=5, checkpoints={"t": {"row": 5}}))
    store_acked(tmp_path, acked)
    assert load_acked(tmp_path) == acked


def test_a_torn_tail_that_cannot_be_cut_off_keeps_no_agent_from_starting(tmp_path, monkeypatch):
    writer = SpoolWriter(tmp_path, segment_bytes=100_000, bytes_max=1_000_000)
    append(writer, 1, 2)
    writer.close()
    [(_, path)] = folder.segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])

    def refuse(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "truncate", refuse)
    again = SpoolWriter(tmp_path, segment_bytes=100_000, bytes_max=1_000_000)
    append(again, 2)
    again.close()
    assert seqs(SpoolReader(tmp_path, 0), final=True) == [1, 2]


def test_a_lock_that_cannot_be_made_is_the_operators_to_mend(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="spool_dir"):
        folder.lock(tmp_path, wait_s=0)
