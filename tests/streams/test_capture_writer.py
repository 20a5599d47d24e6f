"""Exactly once: the writer and its loop killed at every step, on a full disk, behind retention, and restarted."""

from pathlib import Path

import pytest

from collector.schema.errors import OperatorError
from streams.capture.files import DiskFolder, lock_folder, open_folder
from streams.capture.recorder import Recorder
from streams.capture.segments import parse_name, read_segment
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.events import completion
from tests.support.fake_log import FakeLog, FullFolder, Killed, MortalFolder, heartbeat, message

TOPIC = "llm.requests"
SECOND = 1_000_000


def topic(messages: int = 20) -> dict[int, list[bytes]]:
    """Two partitions: completions with a heartbeat and some garbage between them."""
    return {
        p: [
            heartbeat(seq=i, watermark=i * SECOND, key=f"s{p}")
            if i % 5 == 3
            else b"junk"
            if i % 7 == 6
            else message([completion(i * 10 + n) for n in range(2)], seq=i, key=f"s{p}")
            for i in range(messages)
        ]
        for p in (0, 1)
    }


def captured(path: Path) -> dict[int, list[int]]:
    """The offset of every stored batch, as read back from the finished files."""
    offsets: dict[int, list[int]] = {}
    for file in sorted(path.iterdir()):
        name = parse_name(file.name)
        if name is not None:
            segment = read_segment(name, file.read_bytes().splitlines(keepends=True))
            offsets.setdefault(name.partition, []).extend(offset for offset, _ in segment.batches)
    return offsets


def expected(log: FakeLog) -> dict[int, list[int]]:
    return {
        p: [offset for offset, body in messages if b'"completion"' in body] for p, messages in log.partitions.items()
    }


def covered(path: Path, partition: int) -> list[tuple[int, int]]:
    names = [name for file in path.iterdir() if (name := parse_name(file.name)) and name.partition == partition]
    return sorted((name.first, name.last) for name in names)


def run(log: FakeLog, folder, rotation: Rotation, *, steps: int = 200) -> bool:
    """One life of a capture: as many steps as the topic needs, then the clean end."""
    log.restart()
    recorder = Recorder(log, SegmentWriter(folder, TOPIC, rotation), lambda _: None)
    for _ in range(steps):
        recorder.step()
        if not log.behind(log.ends()):
            break
    return recorder.finish()


SMALL = Rotation(events=6)


def operations_of_a_quiet_run(tmp_path: Path) -> list[str]:
    folder = MortalFolder(tmp_path)
    assert run(FakeLog(topic()), folder, SMALL)
    return folder.operations


def test_killed_before_every_single_operation_nothing_is_lost_or_doubled(tmp_path: Path):
    """create - write - fsync - rename - folder fsync - commit: die before each, come back, compare."""
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    operations = operations_of_a_quiet_run(quiet)
    assert {"create", "sync", "rename", "sync_names"} <= set(operations)
    for dies_at in range(len(operations)):
        path = tmp_path / str(dies_at)
        path.mkdir()
        log = FakeLog(topic())
        with pytest.raises(Killed):
            run(log, MortalFolder(path, dies_at), SMALL)
        for partition, offset in log.committed.items():
            assert offset <= max((last + 1 for _, last in covered(path, partition)), default=0)
        assert run(log, DiskFolder(path), SMALL)
        assert captured(path) == expected(log)
        assert not [file.name for file in path.iterdir() if file.name.endswith(".tmp")]
        assert log.committed == log.ends()


def test_killed_again_and_again_at_different_steps_it_still_ends_exact(tmp_path: Path):
    log = FakeLog(topic(60))
    for dies_at in (1, 2, 3, 5, 4, 2, 7, 3, 1, 6):
        with pytest.raises(Killed):
            run(log, MortalFolder(tmp_path, dies_at), SMALL)
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert captured(tmp_path) == expected(log)


def test_commits_that_never_arrive_change_nothing_because_files_win(tmp_path: Path):
    log = FakeLog(topic())
    log.refuse_commits = True
    with pytest.raises(Killed):
        run(log, MortalFolder(tmp_path, 9), SMALL)
    assert log.committed == {}
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert captured(tmp_path) == expected(log)


def test_a_group_offset_ahead_of_the_files_does_not_skip_anything(tmp_path: Path):
    log = FakeLog(topic())
    with pytest.raises(Killed):
        run(log, MortalFolder(tmp_path, 9), SMALL)
    assert captured(tmp_path)
    log.committed = dict.fromkeys(log.committed, 19)
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert captured(tmp_path) == expected(log)


def test_an_empty_folder_begins_at_the_oldest_message_whatever_the_group_says(tmp_path: Path):
    log = FakeLog(topic())
    log.committed = {0: 10, 1: 20}
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert captured(tmp_path) == expected(log)


def test_an_empty_folder_told_to_goes_on_where_the_group_stopped(tmp_path: Path):
    log = FakeLog(topic())
    log.committed, log.from_group = {0: 10, 1: 20}, True
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert {0: [o for o in expected(log)[0] if o >= 10]} == captured(tmp_path)


@pytest.mark.parametrize("refused", ["create", "sync", "rename", "sync_names"])
def test_a_full_disk_is_waited_out_and_leaves_no_partial_file(tmp_path: Path, refused, caplog):
    folder = FullFolder(tmp_path)
    log = FakeLog(topic())
    log.restart()
    waits: list[float] = []
    recorder = Recorder(log, SegmentWriter(folder, TOPIC, SMALL), waits.append)
    recorder.step()
    folder.refuses = {refused}
    for _ in range(4):
        recorder.step()
    committed, names = dict(log.committed), covered(tmp_path, 0)
    assert all(offset <= max((last + 1 for _, last in names), default=0) for offset in committed.values())
    assert waits == sorted(waits)
    assert waits
    assert "nothing is lost" in caplog.text
    folder.refuses = set()
    for _ in range(40):
        recorder.step()
    assert recorder.finish()
    assert captured(tmp_path) == expected(log)
    assert log.committed == log.ends()
    assert {file.suffix for file in tmp_path.iterdir()} == {".seg"}


def test_stopped_on_a_full_disk_the_rest_stays_in_kafka(tmp_path: Path):
    folder = FullFolder(tmp_path)
    log = FakeLog(topic())
    recorder = Recorder(log, SegmentWriter(folder, TOPIC, Rotation()), lambda _: None)
    while log.behind(log.ends()) or not log.positions:
        recorder.step()
    folder.refuses = {"sync"}
    assert recorder.finish() is False
    assert log.committed == {}
    assert list(tmp_path.iterdir()) == []
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert captured(tmp_path) == expected(log)


def test_what_retention_took_is_a_hole_between_file_names(tmp_path: Path, caplog):
    log = FakeLog(topic(), poll_size=5)
    recorder = Recorder(log, SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation()), lambda _: None)
    recorder.step()
    log.forget_before(0, 12)
    log.positions[0] = 5
    for _ in range(10):
        recorder.step()
    assert recorder.finish()
    assert covered(tmp_path, 0) == [(0, 4), (12, 19)]
    assert covered(tmp_path, 1) == [(0, 19)]
    assert "event=lost_offsets partition=0 first=5 last=11" in caplog.text


def test_offsets_that_kafka_skips_belong_to_the_segment(tmp_path: Path):
    """Transaction markers and compaction leave numbers without messages; that is not a loss."""
    log = FakeLog(topic())
    log.partitions = {0: [m for m in log.partitions[0] if m[0] not in {2, 3, 9}]}
    assert run(log, DiskFolder(tmp_path), SMALL)
    names = covered(tmp_path, 0)
    assert all(before[1] + 1 == after[0] for before, after in zip(names, names[1:], strict=False))
    assert names[0][0] == 0


def test_messages_that_the_client_returns_twice_are_taken_once(tmp_path: Path):
    log = FakeLog(topic())
    recorder = Recorder(log, SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation()), lambda _: None)
    recorder.step()
    log.seek(0, 0)
    while log.behind(log.ends()):
        recorder.step()
    recorder.finish()
    assert captured(tmp_path) == expected(log)


def beats(seconds: range, seq: int) -> list[bytes]:
    return [heartbeat(seq=seq + i, watermark=s * SECOND) for i, s in enumerate(seconds)]


def test_on_idle_traffic_heartbeats_finish_the_open_segment(tmp_path: Path):
    """One request, then only the agent's pulse: visible after 60 s of event time, not before."""
    log = FakeLog({0: [message([completion(1)], seq=0, watermark=0), *beats(range(1, 60), 1)]}, poll_size=100)
    recorder = Recorder(log, SegmentWriter(DiskFolder(tmp_path), TOPIC, Rotation()), lambda _: None)
    recorder.step()
    assert captured(tmp_path) == {}
    log.partitions[0].append((60, heartbeat(seq=60, watermark=60 * SECOND)))
    recorder.step()
    assert captured(tmp_path) == {0: [0]}


def test_a_recording_played_at_full_speed_does_not_leave_a_file_per_message(tmp_path: Path):
    hours = [message([completion(i)], seq=i, watermark=i * 3600 * SECOND) for i in range(90)]
    assert run(FakeLog({0: hours}), DiskFolder(tmp_path), Rotation())
    assert len(covered(tmp_path, 0)) == 3


def test_idle_partitions_do_not_leave_a_file_per_minute(tmp_path: Path):
    assert run(FakeLog({0: beats(range(3000), 0)}, poll_size=500), DiskFolder(tmp_path), Rotation())
    assert len(covered(tmp_path, 0)) == 1


def test_segments_end_at_the_byte_and_event_limits(tmp_path: Path):
    bodies = {0: [message([completion(i)], seq=i) for i in range(12)]}
    for name, rotation in {"events": Rotation(events=4), "bytes": Rotation(bytes=4 * len(bodies[0][0]))}.items():
        path = tmp_path / name
        path.mkdir()
        assert run(FakeLog(bodies), DiskFolder(path), rotation)
        assert covered(path, 0)[0] == (0, 3)


def test_a_segment_damaged_behind_our_back_is_set_aside_and_read_again(tmp_path: Path, caplog):
    log = FakeLog(topic())
    assert run(log, DiskFolder(tmp_path), SMALL)
    first, last = covered(tmp_path, 0)[-1]
    newest = tmp_path / f"{TOPIC}-0-{first:020d}-{last:020d}.seg"
    newest.write_bytes(newest.read_bytes()[:-20])
    assert run(log, DiskFolder(tmp_path), SMALL)
    assert captured(tmp_path) == expected(log)
    assert newest.with_name(newest.name + ".damaged").exists()
    assert "event=damaged_segment" in caplog.text


def test_leftovers_of_a_killed_run_are_removed_and_other_topics_files_left_alone(tmp_path: Path):
    leftover = tmp_path / f"{TOPIC}-0-{7:020d}.seg.tmp"
    leftover.write_text("half a segm")
    stranger = tmp_path / "other-0-00000000000000000000.seg.tmp"
    stranger.write_text("not ours")
    assert run(FakeLog(topic()), DiskFolder(tmp_path), SMALL)
    assert stranger.exists()
    assert not leftover.exists()


def test_a_second_capture_on_the_same_folder_is_refused_until_the_first_is_gone(tmp_path: Path):
    with lock_folder(tmp_path), pytest.raises(OperatorError, match="another capture"):
        lock_folder(tmp_path)
    lock_folder(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_the_operators_fault(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="choose another --out"):
        open_folder(tmp_path / "file" / "below")
