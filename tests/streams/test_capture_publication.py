"""What others get to see: tags that nobody can join again, counts of who stands alone, keys nobody finds."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.cli import main as burstwatch
from collector.schema.codec import decode
from collector.schema.errors import OperatorError
from collector.schema.events import Kind
from streams.capture import privacy as privacy_module
from streams.capture.key_file import publication_key
from streams.capture.privacy import Groups, Privacy
from streams.capture.publication import Publication, fingerprint
from streams.capture.rows import rows_of
from tests.support.captured import SECOND, bodies_of, capture, exported, mixed
from tests.support.events import completion, events
from tests.support.fake_log import message

KEY, OTHER = b"k" * 32, b"o" * 32


def rows_for(completions) -> list:
    return sorted(rows_of(decode(message(completions, seq=0)), 0, 0))


def published(folder: Path, out: Path, **publication) -> tuple[list[dict], dict]:
    return exported(folder, out, publication=Publication(**publication))


def test_tags_and_ids_are_others_but_sessions_stay_sessions_and_all_else_is_as_it_was(tmp_path: Path):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    plain, _ = exported(folder, tmp_path / "plain.csv")
    hashed, about = published(folder, tmp_path / "hashed.csv", key=KEY, key_from="a test")
    hidden = ("id", "session")
    assert [{k: v for k, v in row.items() if k not in hidden} for row in hashed] == [
        {k: v for k, v in row.items() if k not in hidden} for row in plain
    ]
    pairs = {(a["session"], b["session"]) for a, b in zip(plain, hashed, strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 4  # three sessions and None
    assert (None, None) in pairs
    written = (tmp_path / "hashed.csv").read_text() + (tmp_path / "hashed.sidecar.jsonl").read_text()
    assert not [row[name] for row in plain for name in hidden if row[name] and row[name] in written]
    assert KEY.hex() not in (tmp_path / "hashed.manifest.json").read_text()
    assert about["made_as"]["publication"] == {
        "sessions": "hashed again",
        "request_ids": "hashed again",
        "key_from": "a test",
        "key_fingerprint": fingerprint(KEY),
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(events(Kind.COMPLETION), min_size=1, max_size=6))
def test_two_publications_share_no_tag_and_one_key_always_gives_the_same(rows):
    found = rows_for(rows)
    one, again, other = (Publication(key=key).apply(found) for key in (KEY, KEY, OTHER))
    assert one == again
    names = [{row[1] for row in part} | {row[12] for row in part if row[12]} for part in (one, other, found)]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
    assert [row[0] for row in one] == [row[0] for row in found]
    assert all(row[12] is None for row in Publication(without_sessions=True).apply(found))


def test_without_sessions_none_is_left_in_any_file(tmp_path: Path):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    rows, about = published(folder, tmp_path / "t.csv", without_sessions=True)
    assert {row["session"] for row in rows} == {None}
    assert "s-1" not in (tmp_path / "t.csv").read_text()
    assert about["privacy"]["columns"]["Session ID"]["identifies"] == "nothing"


def test_the_command_takes_a_key_file_and_makes_one_that_only_its_owner_can_read(tmp_path: Path, capsys):
    folder, key = capture(tmp_path / "in", {0: bodies_of(mixed())}), tmp_path / "publication.key"
    command = ["trace", "export", str(folder), "--json", "--rekey", str(key), "--out"]
    assert burstwatch([*command, str(tmp_path / "a.csv")]) == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert burstwatch([*command, str(tmp_path / "b.csv")]) == 0
    capsys.readouterr()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert burstwatch(["trace", "export", str(folder), "--rekey", "random", "--out", str(tmp_path / "c.csv")]) == 0
    assert burstwatch(["trace", "export", str(folder), "--rekey", "random", "--out", str(tmp_path / "d.csv")]) == 0
    assert len({(tmp_path / f"{name}.csv").read_bytes() for name in "acd"}) == 3
    assert sorted(path.name for path in tmp_path.iterdir() if "key" in path.name) == ["publication.key"]
    assert json.loads((tmp_path / "c.manifest.json").read_text())["made_as"]["publication"]["key_from"].startswith(
        "chance"
    )


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31, "é"])
def test_a_file_that_is_no_key_is_refused_and_left_as_it_is(tmp_path: Path, text):
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(OperatorError, match="must hold 64 hexadecimal digits"):
        publication_key(path)
    assert path.read_text() == text


def test_a_key_file_that_cannot_be_had_is_the_operators_fault(tmp_path: Path):
    with pytest.raises(OperatorError, match="cannot use the key file"):
        publication_key(tmp_path / "no" / "key")
    with pytest.raises(OperatorError, match="cannot use the key file"):
        publication_key(tmp_path / "key", make=False)
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 6)), max_size=30), st.integers(1, 7))
def test_the_report_counts_who_stands_alone(requests, per_part):
    rows = rows_for(
        [
            completion(at * SECOND + n, id=f"r{n:02d}", request_tokens=a, response_tokens=b, session=f"s{a}")
            for n, (a, b, at) in enumerate(requests)
        ]
    ) if requests else []  # fmt: skip
    privacy = Privacy()
    for start in range(0, len(rows), per_part):
        privacy.add(rows[start : start + per_part])
    columns = privacy.report(Publication().facts())["columns"]
    for name, values in {
        "Request tokens, Response tokens": [request[:2] for request in requests],
        "Session ID": [request[0] for request in requests],
    }.items():
        groups = Counter(values)
        assert columns[name]["rows_alone"] == sum(n == 1 for n in groups.values())
        assert columns[name]["rows_in_groups_below_5"] == sum(n for n in groups.values() if n < 5)
        assert columns[name]["smallest_group"] == min(groups.values(), default=None)
    seconds = Counter(request[2] for request in requests)
    assert columns["Timestamp, Elapsed time"]["rows_alone_in_their_second"] == sum(n == 1 for n in seconds.values())


def test_counting_stops_to_grow_and_says_so(monkeypatch):
    monkeypatch.setattr(privacy_module, "TRACKED_MAX", 3)
    groups = Groups()
    for value in [1, 2, 3, 4, 1, 5]:
        groups.add([value])
    assert (groups.facts()["values"], groups.facts()["exact"], groups.rows[1]) == (3, False, 2)
    at_once = Groups()
    at_once.add([1, 2, 3, 4, 1, 5])
    assert at_once == groups


def test_it_says_what_to_do_only_while_there_is_something_to_do(tmp_path: Path):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    _, plain = exported(folder, tmp_path / "a.csv")
    _, careful = exported(folder, tmp_path / "b.csv", publication=Publication(key=KEY), whole_seconds=True)
    assert any("--no-sessions" in text for text in plain["privacy"]["advice"])
    assert any("--whole-seconds" in text for text in plain["privacy"]["advice"])
    assert [text[:25] for text in careful["privacy"]["advice"]] == ["publish the table only: t"]
