"""Session tags: one key for as long as it lives, a new one after it, and nothing that joins the two."""

import logging
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.sources import session_tag
from collector.sources.session_tag import DAY_US, KEY_FILE, RETRY_US, SessionTags

START = 1_800_000_000_000_000


class Days:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> int:
        return START + int(self.at * DAY_US)


def tags(folder: Path, clock: Days, *, days: float, aged: float = 0.0) -> SessionTags:
    """Tags over a key written ``aged`` days before the clock's beginning (or what is in the folder)."""
    if not (folder / KEY_FILE).exists():
        session_tag.load_key(folder)
        os.utime(folder / KEY_FILE, ns=((START - int(aged * DAY_US)) * 1000,) * 2)
    return SessionTags(folder, days=days, now_us=clock)


def test_a_key_lives_its_days_over_restarts_and_is_then_replaced_for_all(tmp_path: Path):
    clock = Days()
    first = tags(tmp_path, clock, days=7, aged=2)
    key = (tmp_path / KEY_FILE).read_bytes()
    old = first.tag("alice")
    clock.at = 4.9
    again = tags(tmp_path, clock, days=7)
    assert again.tag("alice") == old
    clock.at = 5.1
    new = again.tag("alice")
    assert new != old
    assert again.tag("alice") == new != again.tag("bob")
    assert (tmp_path / KEY_FILE).read_bytes() != key
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEY_FILE], "the old key is nowhere"
    clock.at = 12.0
    assert again.tag("alice") == new
    clock.at = 12.2
    assert again.tag("alice") not in {old, new}


def test_an_agent_that_was_off_for_long_starts_with_a_new_key(tmp_path: Path):
    clock = Days()
    old = tags(tmp_path, clock, days=0, aged=400).tag("alice")
    assert tags(tmp_path, clock, days=30).tag("alice") != old


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1000), max_size=5))
def test_without_days_the_key_is_for_ever(tmp_path_factory, moments):
    clock = Days()
    found = tags(tmp_path_factory.mktemp("tags"), clock, days=0)
    first = found.tag("alice")
    for clock.at in moments:
        assert found.tag("alice") == first


def test_where_the_disk_refuses_the_old_key_stays_and_it_is_tried_again(tmp_path: Path, monkeypatch, caplog):
    clock = Days()
    found = tags(tmp_path, clock, days=1)
    old, replace = found.tag("alice"), Path.replace
    caplog.set_level(logging.INFO)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    clock.at = 1.5
    assert [found.tag("alice") for _ in range(9)] == [old] * 9
    assert caplog.text.count("event=session_key_kept") == 1
    monkeypatch.setattr(Path, "replace", replace)
    clock.at += RETRY_US / DAY_US
    assert found.tag("alice") != old
    assert "event=session_key_replaced" in caplog.text
