"""Retention: the oldest finished segments go, each is a file or in the ledger at every instant, never the newest."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaProducer

from streams.capture.files import DiskFolder
from streams.capture.footer import StreamSeen
from streams.capture.ledger import BadLedger, Removed, dump, ledger_name, load
from streams.capture.recorder import Recorder
from streams.capture.retention import DAY_US, LOOK_EVERY_US, Kept, Limits, Retention, ages_us, to_remove
from streams.capture.segments import SegmentName, parse_name, read_segment
from streams.capture.verify_folder import verify_folder
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.broker import create_topic, embedded_broker
from tests.support.events import completion
from tests.support.fake_log import FakeLog, FullFolder, Killed, MortalFolder, heartbeat, message

TOPIC = "llm.requests"
HOUR = 3_600_000_000
SMALL = Rotation(events=4)
LATER = 10**15  # a wall clock far from the events' times: only event time can make anything old


def topic(messages: int = 24) -> dict[int, list[bytes]]:
    """Two partitions, one service each, an hour of event time from message to message."""
    return {
        p: [
            heartbeat(seq=i, watermark=i * HOUR, key=f"s{p}")
            if i % 5 == 3
            else message([completion(i * HOUR + n) for n in range(2)], seq=i, key=f"s{p}", watermark=i * HOUR)
            for i in range(messages)
        ]
        for p in (0, 1)
    }


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """Processes die here, machines do not: what was written is there."""
    monkeypatch.setattr("os.fsync", lambda _: None)


class Wall:
    """A wall clock a minute further at each look, and files' times are never older than that."""

    def __init__(self) -> None:
        self.now_us = LATER

    def __call__(self) -> int:
        self.now_us += LOOK_EVERY_US
        return self.now_us


def fresh(folder):
    """Let all files look as if written at this moment of the far future."""
    facts = folder.facts
    folder.facts = lambda name: (facts(name)[0], LATER * 2)
    return folder


def run(log: FakeLog, folder, limits: Limits, *, events: int = 4) -> SegmentWriter:
    log.restart()
    retention = Retention(fresh(folder), TOPIC, limits, Wall())
    writer = SegmentWriter(folder, TOPIC, Rotation(events=events), retention)
    recorder = Recorder(log, writer, lambda _: None)
    for _ in range(200):
        recorder.step()
        if not log.behind(log.ends()):
            break
    assert recorder.finish()
    recorder.step()
    return writer


def removed_of(path: Path) -> Removed:
    file = path / ledger_name(TOPIC)
    return load(TOPIC, file.read_bytes()) if file.exists() else Removed()


def offsets(path: Path) -> dict[int, list[int]]:
    """Every offset a segment file or the ledger speaks for, by partition, as often as one does."""
    removed, found = removed_of(path), {}
    for partition, ranges in removed.partitions.items():
        for low, high in ranges:
            found.setdefault(partition, []).extend(range(low, high + 1))
    for file in path.iterdir():
        if (name := parse_name(file.name)) is not None and not removed.covers(name):
            read_segment(name, file.read_bytes().splitlines(keepends=True))
            found.setdefault(name.partition, []).extend(range(name.first, name.last + 1))
    return {partition: sorted(numbers) for partition, numbers in found.items()}


def names(path: Path) -> list[SegmentName]:
    return sorted(name for file in path.iterdir() if (name := parse_name(file.name)))


DAYS = Limits(age_us=6 * HOUR)


def test_what_its_service_has_gone_on_from_for_long_enough_is_removed_and_told(tmp_path: Path):
    run(FakeLog(topic()), DiskFolder(tmp_path), DAYS)
    kept = names(tmp_path)
    assert {name.partition for name in kept} == {0, 1}
    newest = {p: max(n.last for n in kept if n.partition == p) for p in (0, 1)}
    assert newest == {0: 23, 1: 23}
    # The newest event is at hour 23; a segment stays if it reaches hour 17 or later.
    assert all(name.last >= 17 for name in kept)
    removed = removed_of(tmp_path)
    assert set(removed.partitions) == {0, 1}
    assert all(
        ranges == [(0, min(n.first for n in kept if n.partition == p) - 1)] for p, ranges in removed.partitions.items()
    )
    assert offsets(tmp_path) == {0: list(range(24)), 1: list(range(24))}
    assert (removed.rows, removed.last_submitted_at < 17 * HOUR) == (
        sum(2 for p in (0, 1) for i in range(removed.partitions[p][0][1] + 1) if i % 5 != 3),
        True,
    )


def test_killed_before_every_single_operation_each_offset_is_in_one_file_or_in_the_ledger(tmp_path: Path):
    """create - write - fsync - rename - ledger aside - fsync - rename - remove: die before each, come back."""
    limits = Limits(age_us=3 * HOUR)
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    folder = MortalFolder(quiet)
    run(FakeLog(topic(12)), folder, limits)
    assert folder.operations.count("remove") > 4
    expected, kept = offsets(quiet), names(quiet)
    for dies_at in range(len(folder.operations)):
        path = tmp_path / str(dies_at)
        path.mkdir()
        log = FakeLog(topic(12))
        with pytest.raises(Killed):
            run(log, MortalFolder(path, dies_at), limits)
        spoken_for = offsets(path)
        for numbers in spoken_for.values():
            assert numbers == list(range(len(numbers))), "a hole, or twice"
        for partition, offset in log.committed.items():
            assert offset <= len(spoken_for.get(partition, []))
        run(log, DiskFolder(path), limits)
        assert offsets(path) == expected
        assert names(path)[-1] == kept[-1]
        assert not [file.name for file in path.iterdir() if file.name.endswith(".tmp")]
        assert not [name for name in names(path) if removed_of(path).covers(name)]


class Told(DiskFolder):
    """A folder that writes down what is asked of it, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.told: list[str] = []

    def rename(self, old: str, new: str) -> None:
        self.told.append(f"rename {new}")
        super().rename(old, new)

    def sync_names(self) -> None:
        self.told.append("sync_names")
        super().sync_names()

    def remove(self, name: str) -> None:
        self.told.append("remove" if name.endswith(".seg") else "tidy")
        super().remove(name)


def test_no_segment_goes_before_the_ledgers_name_is_on_the_disk(tmp_path: Path):
    """A machine that loses power may lose a rename and keep a removal, if nobody waited between them."""
    folder = Told(tmp_path)
    run(FakeLog(topic()), folder, DAYS)
    assert "remove" in folder.told
    for at, what in enumerate(folder.told):
        if what == "remove":
            since = folder.told[:at]
            ledger = len(since) - since[::-1].index(f"rename {ledger_name(TOPIC)}")
            assert "sync_names" in since[ledger:]


def test_the_ledger_says_where_to_go_on_when_the_newest_file_is_damaged(tmp_path: Path):
    log = FakeLog(topic())
    run(log, DiskFolder(tmp_path), Limits(bytes=1))
    (first, second) = names(tmp_path)
    for name in (first, second):
        (tmp_path / str(name)).write_bytes(b"cut off")
    log.committed = {}
    run(log, DiskFolder(tmp_path), Limits(bytes=1))
    assert names(tmp_path) == [first, second]
    assert offsets(tmp_path) == {0: list(range(24)), 1: list(range(24))}


def test_beyond_the_size_the_oldest_go_until_it_fits_and_the_newest_of_each_partition_stay(tmp_path: Path):
    run(FakeLog(topic()), DiskFolder(tmp_path), Limits(bytes=4_000))
    kept = names(tmp_path)
    assert sum((tmp_path / str(name)).stat().st_size for name in kept) <= 4_000
    assert len(kept) > 2
    run(FakeLog(topic()), DiskFolder(tmp_path), Limits(bytes=1))
    assert [name.last for name in names(tmp_path)] == [23, 23]


def test_a_disk_that_refuses_the_ledger_removes_nothing_and_stops_no_recording(tmp_path: Path, caplog):
    class NoLedger(FullFolder):
        def create(self, name):
            if "removed" in name and self.refuses:
                raise OSError(28, "No space left on device")
            return DiskFolder.create(self, name)

    folder = NoLedger(tmp_path)
    folder.refuses = {"ledger"}
    run(FakeLog(topic()), folder, DAYS)
    assert offsets(tmp_path) == {0: list(range(24)), 1: list(range(24))}
    assert removed_of(tmp_path) == Removed()
    assert caplog.text.count("event=retention_trouble") == 1


def kept(number: int, *, finished: int = 0, partition: int = 0, size: int = 10, **newest: int) -> Kept:
    name = SegmentName(topic=TOPIC, partition=partition, first=number, last=number)
    return Kept(name=name, bytes=size, finished_us=finished, newest_us=newest)


def test_age_is_how_far_all_its_services_have_gone_on():
    segments = [kept(0, a=0, b=5 * HOUR), kept(1, a=7 * HOUR), kept(2, b=6 * HOUR)]
    assert ages_us(segments, 0) == [HOUR, 0, 0]


def test_a_service_that_fell_silent_ages_by_the_wall_clock():
    assert ages_us([kept(0, a=0), kept(1, finished=DAY_US, b=5)], 3 * DAY_US) == [3 * DAY_US, 2 * DAY_US]


def test_one_clock_years_ahead_makes_nothing_old():
    now = 1_000 * DAY_US
    segments = [kept(n, finished=now, a=now - HOUR) for n in range(5)] + [kept(5, finished=now, a=now + 700 * DAY_US)]
    assert to_remove(segments, Limits(age_us=DAY_US), now) == []


def test_a_recording_of_long_ago_beside_live_traffic_is_not_old_by_the_others_clock():
    now = 1_000 * DAY_US
    recording = [kept(n, finished=now, partition=1, old=n * HOUR) for n in range(3)]
    live = [kept(n, finished=now, live=now) for n in range(3)]
    assert to_remove(recording + live, Limits(age_us=DAY_US), now) == []


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50), st.integers(1, 9), st.integers(0, 50)), max_size=12),
    st.integers(0, 60),
    st.integers(0, 40),
)
def test_never_more_goes_than_must_never_the_newest_and_never_a_younger_before_an_older(segments, limit, age):
    made = [
        kept(n, partition=p, size=size, finished=finished, **{f"s{p}": time})
        for n, (p, time, size, finished) in enumerate(segments)
    ]
    ages = dict(zip((k.name for k in made), ages_us(made, 50), strict=True))
    gone = to_remove(made, Limits(bytes=limit, age_us=age), 50)
    last = {k.name.partition: k for k in made}
    assert not any(k in gone for k in last.values())
    stays = [k for k in made if k not in gone and k not in last.values()]
    assert all(ages[g.name] >= ages[s.name] for g in gone for s in stays)
    assert all(ages[s.name] <= age for s in stays)
    if stays:
        assert sum(k.bytes for k in made if k not in gone) <= limit
    if gone and ages[gone[-1].name] <= age:  # it went for its size alone: without it there was too much
        assert sum(k.bytes for k in made if k not in gone[:-1]) > limit


STREAMS = st.builds(
    StreamSeen,
    agent=st.sampled_from("ab"),
    boot=st.sampled_from("xy"),
    key=st.just("k"),
    seqs=st.lists(st.tuples(st.integers(0, 9), st.just(9)), min_size=1, max_size=1),
    dropped=st.integers(0, 9),
    arrivals=st.none() | st.integers(0, 9),
    completions=st.none() | st.integers(0, 9),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(STREAMS, max_size=4), st.integers(0, 10**6), st.data())
def test_a_ledger_comes_back_as_it_was_written_and_any_damage_is_noticed(streams, number, data):
    removed = Removed(partitions={3: [(0, number)]}, rows=number, bytes=1, last_submitted_at=None, streams=streams)
    written = dump(TOPIC, removed)
    assert asdict(load(TOPIC, written)) == asdict(removed)
    place = data.draw(st.integers(0, len(written) - 1))
    damaged = written[:place] + bytes([written[place] ^ data.draw(st.integers(1, 255))]) + written[place + 1 :]
    with pytest.raises(BadLedger):
        load(TOPIC, damaged)


def test_a_damaged_ledger_is_set_aside_and_what_it_said_becomes_a_hole(tmp_path: Path, caplog):
    log = FakeLog(topic())
    run(log, DiskFolder(tmp_path), DAYS)
    ledger = tmp_path / ledger_name(TOPIC)
    ledger.write_bytes(ledger.read_bytes()[:-5])
    run(log, DiskFolder(tmp_path), DAYS)
    assert ledger.with_name(ledger.name + ".damaged").exists()
    assert "event=damaged_ledger" in caplog.text


def test_a_refused_ledger_is_tried_again_a_minute_later_not_at_every_step(tmp_path: Path, monkeypatch):
    writer = run(FakeLog(topic()), DiskFolder(tmp_path), Limits(bytes=10**9))
    retention, tries = writer._retention, []

    def refuse(*_):
        tries.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streams.capture.retention.write_ledger", refuse)
    retention.limits = Limits(bytes=1)
    retention.clock_us = lambda: LATER * 3
    for _ in range(5):
        with suppress(OSError):
            writer.tidy()
    assert len(tries) == 1
    monkeypatch.undo()
    retention.clock_us = lambda: LATER * 3 + LOOK_EVERY_US
    assert writer.tidy() > 2


@pytest.mark.slow
@pytest.mark.kafka
def test_a_real_capture_killed_again_and_again_while_it_removes_is_proven(tmp_path: Path):
    out = tmp_path / "captured"
    options = ["--rotate-events", "2", "--retain-gb", "0.00002", "--out", str(out), "--kafka"]
    with embedded_broker() as broker, (tmp_path / "log").open("wb") as log:
        kafka = broker.bootstrap_servers
        create_topic(kafka, partitions=2, name=TOPIC)
        producer = KafkaProducer(bootstrap_servers=kafka)
        command = [sys.executable, "-m", "burstwatch", "capture", *options, kafka]
        for life in range(6):
            for n in range(60):
                seq = life * 60 + n
                body = message([completion(seq * HOUR)], seq=seq // 2, key=f"s{n % 2}")
                producer.send(TOPIC, value=body, partition=n % 2)
            producer.flush()
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
            process.stdout.readline()
            time.sleep(0.15 * life)
            process.send_signal(signal.SIGTERM if life == 5 else signal.SIGKILL)
            assert process.wait(30) == (0 if life == 5 else -signal.SIGKILL)
            process.stdout.close()
        producer.close()
    removed = removed_of(out)
    assert removed.segments > 20
    assert offsets(out) == {0: list(range(180)), 1: list(range(180))}
    found = verify_folder(out)
    assert [
        text for text in found.problems if "missing" not in text
    ] == []  # the numbers of one stream were dealt to two


def test_files_moved_away_by_somebody_do_not_stop_it(tmp_path: Path):
    log = FakeLog(topic())
    writer = run(log, DiskFolder(tmp_path), Limits(age_us=1000 * HOUR))
    (tmp_path / str(names(tmp_path)[0])).rename(tmp_path / "elsewhere")
    writer._retention.limits = DAYS
    assert writer.tidy() > 2
    assert writer.tidy() == 0
