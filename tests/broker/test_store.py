"""The data folder as a whole: housekeeping, deletion that a crash cut short, topics created again."""

import asyncio
from pathlib import Path

import pytest

from burstwatch.broker import compaction
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.store import Store
from tests.support.kafka_wire import batch, keyed_batch

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
COMPACT = {"cleanup.policy": "compact", "segment.bytes": "1024"}


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def maintain(store: Store, now_ms: int = NOW_MS, *, with_retention: bool = True) -> None:
    asyncio.run(store.maintain(now_ms, live_groups=set(), with_retention=with_retention))


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.log"))


def test_housekeeping_compacts_what_is_to_be_compacted(store: Store, tmp_path: Path):
    store.create_topic("table", 1, COMPACT, dry_run=False)
    store.create_topic("events", 1, {"segment.bytes": "1024"}, dry_run=False)
    for i in range(100):
        for topic in ("table", "events"):
            store.log(topic, 0).append(keyed_batch((b"k", b"%d" % i), timestamp=NOW_MS), NOW_MS)
    events = bytes_in(tmp_path / "topics" / "events")
    maintain(store)
    assert bytes_in(tmp_path / "topics" / "table") < 2 * 1024
    assert bytes_in(tmp_path / "topics" / "events") == events


def test_housekeeping_expires_records_and_a_restart_knows_it(store: Store, tmp_path: Path):
    store.create_topic("events", 1, {"retention.ms": str(DAY_MS)}, dry_run=False)
    store.log("events", 0).append(batch(b"old", timestamp=NOW_MS), NOW_MS)
    maintain(store, NOW_MS + 2 * DAY_MS, with_retention=False)
    assert store.log("events", 0).start == 0
    maintain(store, NOW_MS + 2 * DAY_MS)
    assert (1, 1) == (store.log("events", 0).start, store.log("events", 0).end)
    assert bytes_in(tmp_path) == 0
    store.close()
    again = Store(tmp_path)
    assert (1, 1) == (again.log("events", 0).start, again.log("events", 0).end)
    store.__init__(tmp_path / "other")  # for the fixture to close
    again.close()


def test_a_topic_deleted_and_created_again_during_compaction_is_not_touched_by_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.create_topic("table", 1, COMPACT, dry_run=False)
    for i in range(100):
        store.log("table", 0).append(keyed_batch((b"k", b"%d" % i)), NOW_MS)
    rewrite = compaction.rewrite

    def meanwhile(*args, **kwargs):
        copies = rewrite(*args, **kwargs)
        store.delete_topic("table")
        store.create_topic("table", 1, {}, dry_run=False)
        store.log("table", 0).append(batch(b"new"), NOW_MS)
        return copies

    monkeypatch.setattr(compaction, "rewrite", meanwhile)
    maintain(store)
    assert b"new" in store.log("table", 0).read(0, 1000)


def test_what_a_crash_left_of_a_deleted_topic_is_removed(store: Store, tmp_path: Path):
    store.create_topic("kept", 1, {}, dry_run=False)
    store.close()
    leftover = tmp_path / "topics" / "deleted" / "0"
    leftover.mkdir(parents=True)
    (leftover / f"{0:020d}.log").write_bytes(batch(b"x"))
    again = Store(tmp_path)
    assert ["kept"] == [folder.name for folder in (tmp_path / "topics").iterdir()]
    again.close()
    store.__init__(tmp_path / "other")  # for the fixture to close


def test_names_that_would_leave_the_folder_are_refused(store: Store):
    for name in ("..", ".", "../up", "a/b", "", "x" * 250, "nul\0", "ü"):
        with pytest.raises(Refused) as refusal:
            store.create_topic(name, 1, {}, dry_run=False)
        assert refusal.value.code is Code.INVALID_TOPIC


def test_new_configs_reach_the_open_logs(store: Store):
    store.create_topic("events", 2, {}, dry_run=False)
    store.set_configs("events", {"max.message.bytes": "100"}, dry_run=False)
    with pytest.raises(Refused) as refusal:
        store.log("events", 1).append(batch(b"x" * 200), NOW_MS)
    assert refusal.value.code is Code.MESSAGE_TOO_LARGE
